"""Turns a file id into bytes. https://core.telegram.org/bots/api#getfile"""

from __future__ import annotations

import msgspec

from connectors._shared.media import about_a_file, downloaded
from connectors.telegram.api import BotApi
from connectors.telegram.channel import TelegramSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Misconfigured, Refused
from omnibus.model.content import AttachmentRef

MAX_BYTES = 2_000_000_000
"""What a Bot API server of one's own gives; Telegram's own gives 20 MB and refuses before. The caller has its limit."""


class _File(msgspec.Struct, frozen=True):
    file_path: str | None = None


class TelegramMedia:
    """Fetches the files of one bot; file ids are of no use to another bot."""

    def __init__(self, tools: SenderTools) -> None:
        settings: TelegramSettings = tools.account.settings
        self._http = tools.http
        self._api = BotApi(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        if ref.scheme != "native":
            raise Refused("MEDIA_NOT_REACHABLE", "not a file id of Telegram")
        path = _path(await self._file(ref.uri))
        url = self._api.file_url(path)
        chunks = downloaded(self._http, url, max_bytes=MAX_BYTES, allow_private=self._api.allow_private)
        return MediaContent(chunks=chunks, file_name=path.rpartition("/")[2] or None)

    async def _file(self, file_id: str) -> msgspec.Raw:
        with about_a_file():
            return await self._api.call("getFile", {"file_id": file_id})


def _path(result: msgspec.Raw) -> str:
    """A Bot API server in local mode gives paths of its own disk, which we cannot read."""
    try:
        path = msgspec.json.decode(result, type=_File).file_path
    except msgspec.DecodeError:
        path = None
    if not path:
        raise Refused("MEDIA_NOT_REACHABLE", "Telegram gives no path to this file")
    if path.startswith("/") or ".." in path.split("/"):
        raise Misconfigured("api_url", "the Bot API server runs in local mode; start it without --local")
    return path
