"""Settings that every account behind an app of Meta has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from connectors._shared.meta.direct.place import APP_ID
from omnibus.channel.receive import Request
from omnibus.config.fields import AppSecret, Settings, VerifyToken, described

API_VERSION = "v24.0"


class MetaSettings(Settings, frozen=True, kw_only=True):
    """What proves the app to us, and us to the app."""

    app_secret: Annotated[
        AppSecret, described("Secret of the app, which signs the webhooks.", example="${META_APP_SECRET}")
    ]
    verify_token: Annotated[
        VerifyToken, described("The verify token you entered beside the callback URL.", example="${META_VERIFY_TOKEN}")
    ]
    previous_app_secret: Annotated[
        AppSecret | None, described("Also accepted, while the app secret is being reset.")
    ] = None
    api_version: Annotated[str, Meta(pattern=r"^v[0-9]{1,3}\.[0-9]{1,2}$"), described("Version of the Graph API.")] = (
        API_VERSION
    )


class DirectSettings(MetaSettings, frozen=True, kw_only=True):
    """A page or profile, which our app writes for."""

    app_id: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,32}$")] | None,
        described("Id of the app: what it sends is not shown twice."),
    ] = None


def attributes(_request: Request, settings: DirectSettings) -> Mapping[str, str]:
    """What the mapping has to know to tell our own echoes."""
    return {} if settings.app_id is None else {APP_ID: settings.app_id}
