"""Pictures people sent and voicemail they left. https://www.twilio.com/docs/messaging/api/media-resource

Twilio asks for the account's credentials and redirects to where the bytes are; the credentials stay behind then.
"""

from __future__ import annotations

from connectors._shared.media import downloaded
from connectors.twilio.api import credentials_of, is_own_address
from connectors.twilio.settings import API_URL, TwilioSettings
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.errors import Misconfigured, Refused
from omnibus.model.content import AttachmentRef

MAX_BYTES = 1_000_000_000
"""An hour's recording is far below; the caller has its own limit."""


class TwilioMedia:
    """Fetches the files of one account."""

    def __init__(self, tools: SenderTools) -> None:
        self._http = tools.http
        self._settings: TwilioSettings = tools.account.settings

    async def fetch(self, ref: AttachmentRef) -> MediaContent:
        """Raises Refused when the address is not Twilio's; the chunks raise TryAgain, Misconfigured and Refused."""
        if ref.scheme != "native" or not is_own_address(ref.uri, self._settings):
            raise Refused("MEDIA_NOT_REACHABLE", "not an address of Twilio")
        chunks = downloaded(
            self._http,
            ref.uri,
            max_bytes=MAX_BYTES,
            headers={"Authorization": credentials_of(self._settings)},
            allow_private=self._settings.api_url != API_URL,
            follow=5,
            credential=Misconfigured("auth_token", "Twilio does not accept the credentials"),
        )
        return MediaContent(chunks=chunks)
