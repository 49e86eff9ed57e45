"""Turns a file id into bytes. https://docs.slack.dev/reference/methods/files.info"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from connectors._shared.media import about_a_file, downloaded
from connectors.slack.api import WebApi
from connectors.slack.channel import SlackSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Refused
from omnibus.model.content import AttachmentRef

MAX_BYTES = 1_000_000_000
"""The largest file Slack takes; the caller has its own limit."""


HOSTS = (".slack.com", ".slack-files.com")


class _File(msgspec.Struct, frozen=True):
    url_private_download: str | None = None
    url_private: str | None = None
    name: str | None = None
    mimetype: str | None = None


class _Info(msgspec.Struct, frozen=True):
    file: _File


class SlackMedia:
    """Fetches the files of one workspace; the bot needs the scope ``files:read``."""

    def __init__(self, tools: SenderTools) -> None:
        settings: SlackSettings = tools.account.settings
        self._http = tools.http
        self._api = WebApi(tools.http, settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises TryAgain, Misconfigured, and Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE), also from the chunks."""
        if ref.scheme != "native":
            raise Refused("MEDIA_NOT_REACHABLE", "not a file id of Slack")
        file = await self._file(ref.uri)
        url = file.url_private_download or file.url_private or ""
        if not self._is_slacks(url):
            raise Refused("MEDIA_NOT_REACHABLE", "Slack gives no address of its own for this file")
        # Slack answers strangers with a page to log in at: a redirect is a refusal.
        chunks = downloaded(
            self._http,
            url,
            max_bytes=MAX_BYTES,
            headers=self._api.headers,
            allow_private=self._api.allow_private,
        )
        return MediaContent(chunks=chunks, mime=file.mimetype, file_name=file.name)

    def _is_slacks(self, url: str) -> bool:
        """Our token goes to Slack and to nobody else: files may be kept elsewhere."""
        host = urlsplit(url).hostname or ""
        return host.endswith(HOSTS) or host == urlsplit(self._api.url).hostname

    async def _file(self, file_id: str) -> _File:
        with about_a_file():
            return (await self._api.form("files.info", {"file": file_id}, _Info)).file
