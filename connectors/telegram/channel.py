"""Telegram Bot API."""

from __future__ import annotations

import hmac
import re
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from connectors.telegram.place import chat_of
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Deletion, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.channel.receive import Answer, Request, Unverified, Verdict, Webhook
from omnibus.config.fields import ApiUrl, BotToken, Duration, Settings, WebhookSecret, between, described

API_URL = "https://api.telegram.org"
SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - the header's name, not its value
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")  # https://core.telegram.org/bots/api#setwebhook
MAPPED_UPDATES = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "callback_query",
    "message_reaction",  # Telegram sends it only when asked for by name, and in groups only to administrators
    "my_chat_member",
)


class TelegramSettings(Settings, frozen=True, kw_only=True):
    """One bot."""

    bot_token: Annotated[BotToken, described("Token of the bot, from @BotFather.", example="${TELEGRAM_TOKEN}")]
    receive: Annotated[
        Literal["poll", "webhook"],
        described("How updates come: `poll` asks Telegram (nothing to set up), `webhook` lets Telegram call us."),
    ] = "poll"
    webhook_secret: Annotated[
        WebhookSecret | None,
        described("The secret_token given to setWebhook: letters, digits, _ and -. Needed when receive is webhook."),
    ] = None
    delete_webhook: Annotated[
        bool, described("With receive: poll, take a webhook that is still set away from the bot when we start.")
    ] = True
    poll_timeout: Annotated[
        Duration, between("0s", "5m"), described("How long Telegram holds a poll open while nothing happens.")
    ] = timedelta(seconds=50)
    allowed_updates: Annotated[
        tuple[str, ...],
        described("The kinds of update to ask for when polling; kinds we do not map arrive as `unsupported`."),
    ] = MAPPED_UPDATES
    api_url: Annotated[ApiUrl, described("Address of the Bot API; another one for a Bot API server of your own.")] = (
        API_URL
    )

    def __post_init__(self) -> None:
        secret = None if self.webhook_secret is None else self.webhook_secret.reveal()
        if secret is None and self.receive == "webhook":
            raise ValueError("webhook_secret is needed when receive is webhook")
        if secret is not None and not _SECRET.fullmatch(secret):
            raise ValueError("webhook_secret may hold 1 to 256 letters, digits, _ and - only")


def verify(request: Request, settings: TelegramSettings) -> Verdict:
    """Telegram repeats our secret in a header, https://core.telegram.org/bots/api#setwebhook."""
    if settings.webhook_secret is None:
        raise Unverified("this account takes no webhooks")
    given = request.header(SECRET_HEADER) or ""
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), settings.webhook_secret.reveal().encode()):
        raise Unverified(f"{SECRET_HEADER} is missing or wrong")
    return "token"


class _Pressed(msgspec.Struct, frozen=True):
    id: str


class _Update(msgspec.Struct, frozen=True):
    callback_query: _Pressed | None = None


def pressed_button(update: bytes) -> str | None:
    """The id of the press when the update is one of a button below a message, otherwise (or for garbage) None."""
    try:
        query = msgspec.json.decode(update, type=_Update).callback_query
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if query is None else query.id


def answer(request: Request) -> Answer:
    """A pressed button keeps its progress bar until it is answered, which may be done in the webhook's answer.

    https://core.telegram.org/bots/api#callbackquery, https://core.telegram.org/bots/api#making-requests-when-getting-updates
    """
    press = pressed_button(request.body)
    if press is None:
        return Answer()
    call = {"method": "answerCallbackQuery", "callback_query_id": press}
    return Answer(body=msgspec.json.encode(call), content_type="application/json")


CHANNEL = Channel(
    name="telegram",
    title="Telegram",
    docs="https://core.telegram.org/bots/api",
    settings=TelegramSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "sticker", "location", "choices"}),
        max_text_chars=4_096,  # https://core.telegram.org/bots/api#sendmessage; captions 1,024, #sendphoto
        splits_text=True,
        attachments=(  # https://core.telegram.org/bots/api#sending-files
            AttachmentRule(mime="image/*", max_bytes=50_000_000),  # above 10 MB they go as a document
            AttachmentRule(mime="*/*", max_bytes=50_000_000),
        ),
        supports=frozenset({"edit", "delete", "reaction", "reply_to", "group", "choices"}),
        identity_scope="global",
        # Unanswered updates are kept for 24 hours; the deadline is not documented, so we assume little.
        # https://core.telegram.org/bots/api#getting-updates
        provider_retry=ProviderRetry(max_age=timedelta(hours=24), ack_deadline_ms=10_000),
        ids="stable",
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction}),
    map=Later("connectors.telegram.mapping:map_event"),
    threads=Later("connectors.telegram.mapping:threads"),
    receive={
        "poll": ".receive:TelegramPoller",
        "webhook": Webhook(verify=verify, answer=answer, secret_headers=frozenset({SECRET_HEADER})),
    },
    send=".send:TelegramSender",
    media=".media:TelegramMedia",
    together=chat_of,
    inactivity=timedelta(days=3),
)
