"""Fetches pictures of direct messages, which only their participants may see."""

from __future__ import annotations

import re

from connectors._shared.media import downloaded
from connectors.x.api import XApi
from connectors.x.settings import XSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Misconfigured, Refused
from omnibus.model.content import AttachmentRef

MAX_BYTES = 512_000_000
_PLACE = re.compile(r"[0-9]{1,19}/[0-9]{1,19}/[\w.-]{1,50}")


class XMedia:
    """Fetches for one account. The address is always of the X API: what a message says never gets our token."""

    def __init__(self, tools: SenderTools) -> None:
        settings: XSettings = tools.account.settings
        self._http = tools.http
        self._api = XApi(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        if ref.scheme != "native" or not _PLACE.fullmatch(ref.uri):
            raise Refused("MEDIA_NOT_REACHABLE", "not a file of a direct message")
        # https://docs.x.com/x-api/direct-messages/download-dm-media
        url = self._api.url(f"/2/dm_conversations/media/{ref.uri}")
        chunks = downloaded(
            self._http,
            url,
            max_bytes=MAX_BYTES,
            headers=self._api.headers("GET", url),
            allow_private=self._api.allow_private,
            credential=Misconfigured("access_token", "X does not accept the token; authorise the account again"),
        )
        return MediaContent(chunks=chunks, file_name=ref.uri.rpartition("/")[2])
