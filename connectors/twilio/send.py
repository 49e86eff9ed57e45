"""Sends text messages, pictures and templates. https://www.twilio.com/docs/messaging/api/message-resource#create-a-message"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote, urlencode

import msgspec

from connectors._shared.links.links import Links
from connectors._shared.progress import Progress
from connectors._shared.sms.numbers import SEPARATOR, ends_of
from connectors._shared.words import plain
from connectors.twilio.api import TwilioApi
from connectors.twilio.places import is_writable
from connectors.twilio.settings import MAX_FILE_BYTES, TwilioSettings
from omnibus.channel.send import SenderTools, Sent, split_text
from omnibus.errors import Misconfigured, Refused
from omnibus.model import content as model
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_TEXT = 1_600
MAX_FILES = 10
FETCHED_WITHIN = timedelta(hours=1)
"""Twilio fetches a file when it has the message, not when somebody opens it."""

Fields = list[tuple[str, str]]


class TwilioSender:
    """Sends for one account. Twilio knows no idempotency key: a message whose answer was lost is sent again."""

    def __init__(self, tools: SenderTools) -> None:
        self._tools = tools
        self._settings: TwilioSettings = tools.account.settings
        self._api = TwilioApi(tools.http, self._settings)
        self._links = Links(
            tools.account, tools.blobs, self._settings.auth_token, valid=FETCHED_WITHIN, schemes=("https", "http")
        )
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        message = outbound.message
        addressed = self._addressed(outbound)
        urls = [await self._links.url_of(one, MAX_FILE_BYTES) for one in message.attachments]
        pieces = [[*addressed, *said] for said in _said(message, urls)]
        return Sent(native_ids=await self._progress.send(message.id, pieces, self._api.create_message))

    async def probe(self) -> str | None:
        """The account's name, when the credentials are right."""
        return await self._api.account_name()

    async def close(self) -> None:
        return None

    def _addressed(self, outbound: Outbound) -> Fields:
        ours, theirs = self._ends(outbound)
        fields: Fields = [("To", theirs)]
        if ours:
            fields.append(("From", ours))
        if self._settings.messaging_service_sid is not None:
            fields.append(("MessagingServiceSid", self._settings.messaging_service_sid))
        elif not ours:
            raise Misconfigured("from_number", "without it, or messaging_service_sid, nobody can be written to first")
        if self._tools.account.public_url:
            fields.append(("StatusCallback", self._callback(outbound.conversation.thread_key)))
        return fields

    def _ends(self, outbound: Outbound) -> tuple[str | None, str]:
        """From the number that was written to, to the one that wrote; somebody new is written to from our first."""
        thread = outbound.conversation.thread_key
        if SEPARATOR in thread:
            ours, theirs = ends_of(thread)
            if not is_writable(theirs):
                raise Refused("RECIPIENT_NOT_REACHABLE", "this caller takes no text messages")
            return ours, theirs
        if outbound.recipient.scheme not in ("e164", "sms_sender"):
            raise Refused("RECIPIENT_NOT_REACHABLE", "nobody knows the number of this caller")
        return self._settings.from_number, outbound.recipient.value

    def _callback(self, thread: str) -> str:
        """A service may choose another sender than the thread's, so the report says which thread it is for."""
        account = self._tools.account
        query = f"?{urlencode({'thread': thread})}" if SEPARATOR in thread else ""
        return f"{account.public_url}/in/{quote(account.name, safe='')}{query}"


def _said(message: Message, urls: Sequence[str]) -> list[Fields]:
    """The fields that say the message, for each text message it takes; files go with the first."""
    content = message.content
    match content:
        case model.Template():
            pieces = [_template(content)]
        case model.Text():
            pieces = _bodies(plain(content))
        case model.Media():
            pieces = _bodies(content.caption or "")
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"Twilio cannot send {content.__struct_config__.tag!r}")
    if len(urls) > MAX_FILES:
        raise Refused("UNSUPPORTED_OPERATION", f"more than {MAX_FILES} files")
    files = [("MediaUrl", url) for url in urls]
    pieces = [[*pieces[0], *files], *pieces[1:]] if pieces else [files]
    if pieces == [[]]:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    return pieces


def _bodies(text: str) -> list[Fields]:
    return [[("Body", piece)] for piece in split_text(text, MAX_TEXT) if piece.strip()]


def _template(content: model.Template) -> Fields:
    """https://www.twilio.com/docs/content/send-templates-created-with-the-content-template-builder"""
    fields = [("ContentSid", content.name)]
    if content.params:
        fields.append(("ContentVariables", msgspec.json.encode(content.params).decode()))
    return fields
