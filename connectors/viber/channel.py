"""Viber REST Bot API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec

from connectors._shared.chat.reading import read
from connectors._shared.receivers import webhook_with_hmac
from connectors.viber.mapping import map_event, threads
from connectors.viber.payload import Callback
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Delivery, Message
from omnibus.channel.receive import Answer, Request
from omnibus.config.fields import ApiUrl, BotToken, Settings, Url, described
from omnibus.errors import InvalidPayload

API_URL = "https://chatapi.viber.com"
MAX_FILE_BYTES = 50_000_000


class ViberSettings(Settings, frozen=True, kw_only=True):
    """One bot."""

    bot_token: Annotated[
        BotToken,
        described("Token (app key) of the bot; Viber signs its callbacks with it, too.", example="${VIBER_TOKEN}"),
    ]
    sender_name: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=28)], described("Name that messages are shown under.")
    ]
    sender_avatar: Annotated[Url | None, described("Address of the picture beside the name; at most 100 KB.")] = None
    welcome: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=7_000)] | None,
        described("What is said to somebody who opens the chat, before they have written."),
    ] = None
    api_url: Annotated[ApiUrl, described("Address of the API; another one for tests and proxies.")] = API_URL


def sender_of(settings: ViberSettings) -> dict[str, str]:
    """Who a message is from. https://developers.viber.com/docs/api/rest-bot-api/#general-send-message-parameters"""
    avatar = {} if settings.sender_avatar is None else {"avatar": settings.sender_avatar}
    return {"name": settings.sender_name, **avatar}


def challenge(request: Request, settings: ViberSettings) -> Answer | None:
    """Viber asks once whether we answer, when the webhook is set.

    https://developers.viber.com/docs/api/rest-bot-api/#set-webhook-callback
    """
    return Answer() if _event(request, b'"webhook"') == "webhook" else None


def answer(request: Request, settings: ViberSettings) -> Answer:
    """Somebody who opens the chat may be welcomed in the answer, subscribed or not.

    https://developers.viber.com/docs/api/rest-bot-api/#sending-a-welcome-message
    """
    if settings.welcome is None or _event(request, b'"conversation_started"') != "conversation_started":
        return Answer()
    welcome = {"sender": sender_of(settings), "type": "text", "text": settings.welcome}
    return Answer(body=msgspec.json.encode(welcome), content_type="application/json")


def _event(request: Request, mark: bytes) -> str | None:
    """The kind of a callback that may be one we look for; None when it is none, or garbage."""
    if mark not in request.body:
        return None
    try:
        return read(request.body, Callback).event
    except InvalidPayload:
        return None


CHANNEL = Channel(
    name="viber",
    title="Viber",
    docs="https://developers.viber.com/docs/api/rest-bot-api/",
    settings=ViberSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "location", "choices"}),
        max_text_chars=7_000,  # https://developers.viber.com/docs/api/rest-bot-api/#text-message
        splits_text=True,
        attachments=(
            AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),
        ),  # pictures above 1 MB and videos above 26 MB go as files
        supports=frozenset({"delivery_receipt", "read_receipt", "choices"}),
        identity_scope="account",
        # https://developers.viber.com/docs/api/rest-bot-api/#re-try-logic; the deadline is not documented.
        provider_retry=ProviderRetry(max_age=timedelta(hours=1), ack_deadline_ms=5_000),
    ),
    emits=frozenset({Message, Delivery}),
    map=map_event,
    threads=threads,
    receive={
        # Signed with the token itself: https://developers.viber.com/docs/api/rest-bot-api/#callbacks
        "webhook": webhook_with_hmac("x-viber-content-signature", "bot_token", challenge=challenge, answer_with=answer),
        "files": ".files:ViberFiles",
    },
    send=".send:ViberSender",
    inactivity=timedelta(days=3),
)
