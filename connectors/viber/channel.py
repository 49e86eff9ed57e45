"""Viber REST Bot API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec

from connectors._shared.receivers import webhook_with_hmac
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later
from omnibus.config.fields import ApiUrl, BotToken, Settings, Url, described

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
        # For an hour, https://developers.viber.com/docs/faq/; the deadline is not documented.
        provider_retry=ProviderRetry(max_age=timedelta(hours=1), ack_deadline_ms=5_000),
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.viber.mapping:map_event"),
    threads=Later("connectors.viber.mapping:threads"),
    receive={
        # Signed with the token itself: https://developers.viber.com/docs/api/rest-bot-api/#callbacks
        "webhook": webhook_with_hmac(
            "x-viber-content-signature",
            "bot_token",
            challenge=Later("connectors.viber.webhook:challenge"),
            answer_with=Later("connectors.viber.webhook:answer"),
        ),
        "files": ".files:ViberFiles",
    },
    send=".send:ViberSender",
    inactivity=timedelta(days=3),
)
