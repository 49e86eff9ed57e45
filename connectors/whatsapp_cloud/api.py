"""The Cloud API with the settings of an account."""

from __future__ import annotations

from connectors._shared.meta.graph import GraphApi
from connectors.whatsapp_cloud.channel import API_URL, WhatsAppSettings
from connectors.whatsapp_cloud.errors import WHATSAPP
from omnibus.http import Http


def api_of(http: Http, settings: WhatsAppSettings) -> GraphApi:
    return GraphApi(
        http,
        url=settings.api_url,
        version=settings.api_version,
        access_token=settings.access_token,
        meaning=WHATSAPP,
        allow_private=settings.api_url != API_URL,
        proof_secret=settings.app_secret if settings.app_secret_proof else None,
    )
