"""Turns a message id into bytes. https://developers.line.biz/en/reference/messaging-api/#get-content"""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from connectors._shared.media import about_a_file, downloaded
from connectors.line.api import MessagingApi
from connectors.line.channel import LineSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Refused, TryAgain
from omnibus.model.content import AttachmentRef

MAX_BYTES = 2_000_000_000
"""More than anything LINE keeps; the caller has its own limit."""
PREPARED = frozenset({"video", "audio"})
"""Kinds that LINE converts before it gives them."""
SOON = timedelta(seconds=5)
_REFERENCE = re.compile(r"(?P<kind>[a-z]{1,20})/(?P<id>[A-Za-z0-9_-]{1,100})")


class _Transcoding(msgspec.Struct, frozen=True):
    """https://developers.line.biz/en/reference/messaging-api/#verify-video-or-audio-preparation-status"""

    status: str


class LineMedia:
    """Fetches what people sent to one account. LINE deletes it after a while that it does not disclose."""

    def __init__(self, tools: SenderTools) -> None:
        settings: LineSettings = tools.account.settings
        self._http = tools.http
        self._api = MessagingApi(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        found = _REFERENCE.fullmatch(ref.uri) if ref.scheme == "native" else None
        if found is None:
            raise Refused("MEDIA_NOT_REACHABLE", "not a file of LINE")
        if found["kind"] in PREPARED:
            await self._expect_prepared(found["id"])
        chunks = downloaded(
            self._http,
            self._api.file_url(found["id"]),
            max_bytes=MAX_BYTES,
            headers=self._api.headers,
            allow_private=self._api.private_data,
        )
        return MediaContent(chunks=chunks)

    async def _expect_prepared(self, message_id: str) -> None:
        with about_a_file():
            state = await self._api.about_file(f"/v2/bot/message/{message_id}/content/transcoding", _Transcoding)
        if state.status == "processing":
            raise TryAgain("LINE is still preparing the file", after=SOON)
        if state.status == "failed":
            raise Refused("MEDIA_NOT_REACHABLE", "LINE could not prepare the file")
