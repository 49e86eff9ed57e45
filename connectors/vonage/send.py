"""Sends with the Messages API. https://developer.vonage.com/en/api/messages#SendMessage"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from connectors._shared.links.links import Links
from connectors._shared.progress import Progress
from connectors._shared.sms.numbers import SEPARATOR
from connectors._shared.words import plain
from connectors.vonage.credentials import Credentials
from connectors.vonage.errors import code_in, raise_failure
from connectors.vonage.places import Ends, ends_in
from connectors.vonage.settings import API_URL, MAX_FILE_BYTES, VonageSettings
from omnibus.channel.send import SenderTools, Sent, split_text
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http import Response
from omnibus.model import content as model
from omnibus.model.content import Attachment
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_TEXT = 1_000
MAX_REFERENCE = 100
MAX_ANSWER_BYTES = 1_000_000
FETCHED_WITHIN = timedelta(hours=1)
"""Vonage fetches a file when it has the message, not when somebody opens it."""

Body = dict[str, Any]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of an answer: the message's id, or an error (RFC 7807)."""

    message_uuid: str | None = None
    type: str | None = None


class VonageSender:
    """Sends for one account. Vonage knows no idempotency key: a message whose answer was lost is sent again."""

    def __init__(self, tools: SenderTools) -> None:
        self._tools = tools
        self._settings: VonageSettings = tools.account.settings
        self._credentials = Credentials(self._settings)
        self._links = Links(
            tools.account, tools.blobs, self._settings.signing_secret, valid=FETCHED_WITHIN, schemes=("https", "http")
        )
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        ends, message = self._ends(outbound), outbound.message
        urls = {one.id: await self._links.url_of(one, MAX_FILE_BYTES) for one in message.attachments}
        common: Body = {"to": ends.theirs, "from": ends.ours}
        thread = outbound.conversation.thread_key
        if SEPARATOR in thread and len(thread) <= MAX_REFERENCE:
            common["client_ref"] = thread
        if ends.channel == "whatsapp" and message.in_reply_to is not None and message.in_reply_to.native_id:
            common["context"] = {"message_uuid": message.in_reply_to.native_id}
        bodies = [{**common, **_on(ends, said)} for said in _said(message, urls)]
        return Sent(native_ids=await self._progress.send(message.id, bodies, self._hand_in))

    async def close(self) -> None:
        return None

    def _ends(self, outbound: Outbound) -> Ends:
        thread = outbound.conversation.thread_key
        if SEPARATOR in thread:
            return ends_in(thread)
        if self._settings.from_number is None:
            raise Misconfigured("from_number", "without it nobody can be written to first")
        if outbound.recipient.scheme != "e164":
            raise Refused("RECIPIENT_NOT_REACHABLE", "nobody can be written to first but by phone number")
        return Ends(
            channel="sms",
            ours=self._settings.from_number.removeprefix("+"),
            theirs=outbound.recipient.value.removeprefix("+"),
        )

    async def _hand_in(self, body: Body) -> str:
        response = await self._tools.http.request(
            "POST",
            f"{self._settings.api_url.rstrip('/')}/v1/messages",
            headers={"Authorization": self._credentials.header(), "Accept": "application/json"},
            json=body,
            max_response_bytes=MAX_ANSWER_BYTES,
            allow_private=self._settings.api_url != API_URL,
        )
        answered = _read(response)
        if not response.ok:
            raise_failure(response, code_in(answered.type))
        if not answered.message_uuid:
            raise TryAgain("Vonage answered with something that is no message")
        return answered.message_uuid


def _read(response: Response) -> Answered:
    try:
        return msgspec.json.decode(response.body, type=Answered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answered()


def _on(ends: Ends, said: Body) -> Body:
    """Text messages hold words only: a file for a phone goes as a picture message."""
    channel = "mms" if ends.channel == "sms" and said["message_type"] != "text" else ends.channel
    return {"channel": channel, **said}


def _said(message: Message, urls: dict[str, str]) -> Sequence[Body]:
    content, others = message.content, message.attachments
    match content:
        case model.Text():
            said = _texts(plain(content))
        case model.Template():
            said = [_template(content)]
        case model.Media():
            named = next((one for one in message.attachments if one.id == content.attachment_id), None)
            if named is None:
                raise Refused("MEDIA_NOT_REACHABLE", "the message names an attachment that it does not have")
            said = [_file(named, urls[named.id], content.caption, content)]
            others = tuple(one for one in message.attachments if one.id != named.id)
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"Vonage cannot send {content.__struct_config__.tag!r}")
    said = [*said, *(_file(one, urls[one.id], None, None) for one in others)]
    if not said:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    return said


def _texts(text: str) -> list[Body]:
    return [{"message_type": "text", "text": piece} for piece in split_text(text, MAX_TEXT) if piece.strip()]


def _file(attachment: Attachment, url: str, caption: str | None, content: model.Media | None) -> Body:
    family = attachment.mime.partition("/")[0].strip().lower()
    kind = family if family in ("image", "audio", "video") and not isinstance(content, model.File) else "file"
    described: Body = {"url": url}
    if caption and kind != "audio":
        described["caption"] = caption
    if kind == "file" and attachment.file_name:
        described["name"] = attachment.file_name
    return {"message_type": kind, kind: described}


def _template(content: model.Template) -> Body:
    """A WhatsApp template; parameters fill its places in the order of their names."""
    parameters = [value for _, value in sorted(content.params.items(), key=_place)]
    template: Body = {"name": content.name, **({"parameters": parameters} if parameters else {})}
    return {
        "message_type": "template",
        "template": template,
        "whatsapp": {"policy": "deterministic", "locale": content.language},
    }


def _place(param: tuple[str, str]) -> tuple[int, str]:
    name = param[0]
    return (int(name) if name.isascii() and name.isdigit() and len(name) < 6 else 100_000, name)
