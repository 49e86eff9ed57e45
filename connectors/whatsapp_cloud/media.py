"""Turns a media id into bytes.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from __future__ import annotations

import msgspec

from connectors._shared.media import about_a_file, downloaded
from connectors.whatsapp_cloud.api import api_of
from connectors.whatsapp_cloud.channel import WhatsAppSettings
from connectors.whatsapp_cloud.plan import MAX_FILE_BYTES
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Refused
from omnibus.model.content import AttachmentRef


class _Media(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    mime_type: str | None = None
    file_size: int | None = None


class WhatsAppMedia:
    """Fetches what people sent to one business. An address Meta gives is good for five minutes: it is asked anew."""

    def __init__(self, tools: SenderTools) -> None:
        settings: WhatsAppSettings = tools.account.settings
        self._http = tools.http
        self._api = api_of(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        if ref.scheme != "native" or not ref.uri.isalnum():
            raise Refused("MEDIA_NOT_REACHABLE", "not a media id of WhatsApp")
        with about_a_file():
            media = await self._api.get(ref.uri, _Media)
        if (media.file_size or 0) > MAX_FILE_BYTES:
            raise Refused("MEDIA_TOO_LARGE", f"announced with {media.file_size} bytes")
        chunks = downloaded(  # the address wants the token, too
            self._http,
            media.url,
            max_bytes=MAX_FILE_BYTES,
            headers=self._api.headers,
            allow_private=self._api.allow_private,
        )
        return MediaContent(chunks=chunks, mime=media.mime_type)
