"""The Bot API: one call, and what its answer means. https://core.telegram.org/bots/api#making-requests

The token is part of every address, so no address ever reaches a log line or an exception from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NoReturn
from urllib.parse import quote

import msgspec

from connectors.telegram.channel import API_URL, TelegramSettings
from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http import DEFAULT_TIMEOUT, Http, Part, Response, retry_after
from omnibus.http_answer import LONGEST_RETRY_AFTER

MAX_ANSWER_BYTES = 32_000_000
"""Above what 100 updates, the most that one answer holds, can be."""


class ChatMoved(Refused):
    """The group became a supergroup with another number: write there instead."""

    def __init__(self, chat_id: int) -> None:
        super().__init__("RECIPIENT_NOT_REACHABLE", "the group has moved to another chat", native_code="400")
        self.chat_id = chat_id


class Conflict(Misconfigured):
    """Somebody else receives this bot's updates: a webhook, or another program that polls."""

    def __init__(self) -> None:
        super().__init__(
            "receive", "another program polls this bot or a webhook is set; stop it, or set delete_webhook: true"
        )


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#responseparameters"""

    migrate_to_chat_id: int | None = None
    retry_after: float | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer of the Bot API looks like."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error_code: int | None = None
    description: str = ""
    parameters: Parameters = Parameters()


class BotApi:
    """Calls methods of one bot."""

    def __init__(self, http: Http, settings: TelegramSettings) -> None:
        self._http = http
        self._token = settings.bot_token.reveal()
        self._base = settings.api_url.rstrip("/")
        # A Bot API server of one's own usually stands on a private address (https://github.com/tdlib/telegram-bot-api).
        self.allow_private = settings.api_url != API_URL

    async def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        files: Sequence[Part] = (),
        timeout: timedelta = DEFAULT_TIMEOUT,
    ) -> msgspec.Raw:
        """The `result` of a method. Raises as `raise_failure` does, and TryAgain when no answer came."""
        params = params or {}
        parts = [*(_field(name, value) for name, value in params.items()), *files] if files else None
        response = await self._http.request(
            "POST",
            f"{self._base}/bot{self._token}/{method}",
            json=None if files else params,
            parts=parts,
            timeout=timeout,
            max_response_bytes=MAX_ANSWER_BYTES,
            allow_private=self.allow_private,
        )
        envelope = _envelope(response)
        return envelope.result if envelope.ok else raise_failure(envelope)

    def file_url(self, file_path: str) -> str:
        """Where a file's bytes are, for at least an hour. https://core.telegram.org/bots/api#file"""
        return f"{self._base}/file/bot{self._token}/{quote(file_path)}"


def _field(name: str, value: object) -> Part:
    """A parameter beside a file: text as it is, everything else as JSON."""
    return Part(name=name, value=value.encode() if isinstance(value, str) else msgspec.json.encode(value))


def _envelope(response: Response) -> Envelope:
    """The answer; something between us and Telegram that answers otherwise is known by its status."""
    try:
        envelope = msgspec.json.decode(response.body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if response.ok:
            raise TryAgain("Telegram answered with something that is not the Bot API's") from None
        delay = retry_after(response.headers)
        parameters = Parameters(retry_after=None if delay is None else delay.total_seconds())
        return Envelope(ok=False, error_code=response.status, parameters=parameters)
    if envelope.ok or envelope.error_code is not None:
        return envelope
    return msgspec.structs.replace(envelope, error_code=response.status)


GONE = (  # https://github.com/vrumger/telegram-errors lists what the Bot API says; it is not documented
    "bot was blocked by the user",
    "user is deactivated",
    "bot was kicked",
    "bot is not a member",
    "bot can't initiate conversation",
    "bot can't send messages to bots",
    "the group chat was deleted",
    "group chat was deactivated",
    "chat not found",
    "user not found",
    "peer_id_invalid",
)

REFUSALS: Mapping[str, str] = {
    "not enough rights": "NO_PERMISSION",
    "have no rights": "NO_PERMISSION",
    "chat_write_forbidden": "NO_PERMISSION",
    "chat_restricted": "NO_PERMISSION",
    "topic_closed": "NO_PERMISSION",
    "voice_messages_forbidden": "NO_PERMISSION",
    "business_peer_usage_missing": "OUTSIDE_ALLOWED_SENDING_WINDOW",
    "file is too big": "MEDIA_TOO_LARGE",
    "request entity too large": "MEDIA_TOO_LARGE",
    "wrong file identifier": "MEDIA_NOT_REACHABLE",
    "wrong file_id": "MEDIA_NOT_REACHABLE",
    "invalid file_id": "MEDIA_NOT_REACHABLE",
    "failed to get http url content": "MEDIA_NOT_REACHABLE",
    "wrong type of the web page content": "MEDIA_TYPE_UNSUPPORTED",
    "photo_invalid_dimensions": "MEDIA_TYPE_UNSUPPORTED",
    "image_process_failed": "MEDIA_TYPE_UNSUPPORTED",
    "message is too long": "UNSUPPORTED_OPERATION",
}


def raise_failure(envelope: Envelope) -> NoReturn:
    """Raise what happens next: TryAgain for 429 and 5xx, Misconfigured for 401, 404 and 409, ChatMoved, RecipientGone,
    and Refused for the rest."""
    code = envelope.error_code or 0
    if code == 429:
        raise TryAgain("Telegram asks us to slow down", after=_delay(envelope.parameters.retry_after))
    if code >= 500:
        raise TryAgain(f"Telegram answered {code}")
    if code == 409:
        raise Conflict
    if code in (401, 404):  # 404: the token does not even have the form of one
        raise Misconfigured("bot_token", "Telegram does not know this token; get a new one from @BotFather")
    if envelope.parameters.migrate_to_chat_id is not None:
        raise ChatMoved(envelope.parameters.migrate_to_chat_id)
    _refuse(code, envelope.description)


def _refuse(code: int, description: str) -> NoReturn:
    said = description.lower()
    for sign in GONE:
        if sign in said:
            raise RecipientGone(sign, native_code=str(code))
    for sign, ours in REFUSALS.items():
        if sign in said:
            raise Refused(ours, sign, native_code=str(code))
    fallback = {403: "NO_PERMISSION", 413: "MEDIA_TOO_LARGE"}.get(code, "CHANNEL_FAILURE")
    raise Refused(fallback, _unquoted(description), native_code=str(code))


def _unquoted(description: str) -> str:
    """What Telegram says, up to where it may begin to quote the message."""
    for mark in ("'", '"', ":\n"):
        description = description.partition(mark)[0]
    return description[:120].strip() or "no reason given"


def _delay(seconds: float | None) -> timedelta | None:
    if seconds is None:
        return None
    return min(timedelta(seconds=min(max(seconds, 0.0), 1e6)), LONGEST_RETRY_AFTER)
