"""Files people sent, which Vonage keeps for the account. https://developer.vonage.com/en/api/messages#inbound-message"""

from __future__ import annotations

from urllib.parse import urlsplit

from connectors._shared.media import downloaded
from connectors.vonage.contents import OWN_HOSTS
from connectors.vonage.credentials import Credentials
from connectors.vonage.settings import API_URL, VonageSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Misconfigured, Refused
from omnibus.model.content import AttachmentRef

MAX_BYTES = 200_000_000
"""WhatsApp takes documents of 100 MB, the largest there are; the caller has its own limit."""


class VonageMedia:
    """Fetches the files of one account."""

    def __init__(self, tools: SenderTools) -> None:
        self._http = tools.http
        self._settings: VonageSettings = tools.account.settings
        self._credentials = Credentials(self._settings)

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises Refused when the address is not Vonage's; the chunks raise TryAgain, Misconfigured and Refused."""
        if ref.scheme != "native" or not _is_own(ref.uri, self._settings.api_url):
            raise Refused("MEDIA_NOT_REACHABLE", "not an address of Vonage")
        chunks = downloaded(
            self._http,
            ref.uri,
            max_bytes=MAX_BYTES,
            headers={"Authorization": self._credentials.header()},
            allow_private=self._settings.api_url != API_URL,
            follow=5,
            credential=Misconfigured("private_key", "Vonage does not accept the credentials"),
        )
        return MediaContent(chunks=chunks)


def _is_own(url: str, api_url: str) -> bool:
    try:
        parts, ours = urlsplit(url), urlsplit(api_url)
        if (parts.scheme, parts.hostname, parts.port) == (ours.scheme, ours.hostname, ours.port):
            return True
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    known = any(host == own or host.endswith(f".{own}") for own in OWN_HOSTS)
    return known and parts.scheme == "https" and port in (None, 443)
