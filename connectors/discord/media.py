"""Turns the place of a file into bytes: the message it is in is asked for an address that is still good.

https://docs.discord.com/developers/resources/message#get-channel-message,
https://docs.discord.com/developers/reference#signed-attachment-cdn-urls
"""

from __future__ import annotations

import re

import msgspec

from connectors._shared.media import about_a_file, downloaded
from connectors.discord.api import RestApi
from connectors.discord.channel import DiscordSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Refused
from omnibus.http import Http
from omnibus.model.content import AttachmentRef

MAX_BYTES = 1_000_000_000
"""More than anybody may send; the caller has its own limit."""
_REFERENCE = re.compile(r"(?P<channel>[0-9]{1,20})/(?P<message>[0-9]{1,20})/(?P<file>[0-9]{1,20})")


class _File(msgspec.Struct, frozen=True):
    id: str
    url: str
    filename: str | None = None
    content_type: str | None = None


class _Held(msgspec.Struct, frozen=True):
    attachments: tuple[_File, ...] = ()


class _Snapshot(msgspec.Struct, frozen=True):
    message: _Held = _Held()


class _Message(msgspec.Struct, frozen=True):
    attachments: tuple[_File, ...] = ()
    message_snapshots: tuple[_Snapshot, ...] | None = None


class DiscordMedia:
    """Fetches the files of the channels that one bot can read."""

    def __init__(self, tools: SenderTools) -> None:
        settings: DiscordSettings = tools.account.settings
        self._http: Http = tools.http
        self._api = RestApi(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        found = _REFERENCE.fullmatch(ref.uri) if ref.scheme == "native" else None
        if found is None:
            raise Refused("MEDIA_NOT_REACHABLE", "not a file of Discord")
        file = await self._file(found["channel"], found["message"], found["file"])
        # The address proves itself: our token stays with us.
        chunks = downloaded(self._http, file.url, max_bytes=MAX_BYTES, allow_private=self._api.allow_private)
        return MediaContent(chunks=chunks, mime=file.content_type, file_name=file.filename)

    async def _file(self, channel: str, message_id: str, file_id: str) -> _File:
        with about_a_file():
            message = await self._api.get(f"/channels/{channel}/messages/{message_id}", _Message)
        forwarded = [file for each in message.message_snapshots or () for file in each.message.attachments]
        for file in (*message.attachments, *forwarded):
            if file.id == file_id:
                return file
        raise Refused("MEDIA_NOT_REACHABLE", "the message no longer has this file")
