"""Discord: messages by the gateway, interactions by the gateway or by webhook."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from connectors.discord.verify import check_signature
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Deletion, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.channel.receive import Request, Unverified, Verdict, Webhook
from omnibus.config.fields import ApiUrl, BotToken, Settings, described

API_URL = "https://discord.com/api/v10"
MAX_FILE_BYTES = 10 * 1024 * 1024
"""https://docs.discord.com/developers/reference#uploading-files"""
_KEY = re.compile(r"[0-9a-fA-F]{64}")


class DiscordSettings(Settings, frozen=True, kw_only=True):
    """One application with its bot."""

    bot_token: Annotated[
        BotToken, described("Token of the bot, from the Bot page of the application.", example="${DISCORD_TOKEN}")
    ]
    receive: Annotated[
        tuple[Literal["gateway", "interactions"], ...],
        described(
            "How things come: `gateway` connects to Discord (messages; interactions, too, when the application has no "
            "address for them), `interactions` lets Discord call us for commands, buttons and forms."
        ),
    ] = ("gateway",)
    public_key: Annotated[
        str | None,
        described("Public key of the application, from General Information. Needed when receive has interactions."),
    ] = None
    listen_to: Annotated[
        tuple[Literal["direct", "guilds"], ...],
        described("Whose messages the gateway shall bring: direct messages, those in the channels of servers."),
    ] = ("direct", "guilds")
    command_answer: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)],
        described("What is shown at once to somebody who calls a command or sends a form."),
    ] = "Thank you, we have got it."
    api_url: Annotated[ApiUrl, described("Address of the API; another one for tests and proxies.")] = API_URL

    def __post_init__(self) -> None:
        if self.public_key is None and "interactions" in self.receive:
            raise ValueError("public_key is needed when receive has interactions")
        if self.public_key is not None and not _KEY.fullmatch(self.public_key):
            raise ValueError("public_key has 64 hexadecimal digits")
        if not self.listen_to:
            raise ValueError("listen_to needs direct, guilds, or both")


def verify(request: Request, settings: DiscordSettings) -> Verdict:
    if settings.public_key is None:
        raise Unverified("this account takes no interactions by webhook")
    check_signature(settings.public_key, request)
    return "signature"


CHANNEL = Channel(
    name="discord",
    title="Discord",
    docs="https://docs.discord.com/developers/",
    settings=DiscordSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "choices"}),
        max_text_chars=2_000,  # https://docs.discord.com/developers/resources/message#create-message
        splits_text=True,
        attachments=(AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),),
        supports=frozenset({"edit", "delete", "reaction", "reply_to", "group", "choices"}),
        outbound_first=True,
        identity_scope="global",
        # Interactions are never sent again; a broken gateway session can be resumed for some minutes.
        # https://docs.discord.com/developers/events/gateway#resuming
        provider_retry=ProviderRetry(max_age=timedelta(minutes=2), ack_deadline_ms=3_000),
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction}),
    map=Later("connectors.discord.mapping:map_event"),
    threads=Later("connectors.discord.mapping:threads"),
    receive={
        "gateway": ".gateway:DiscordGateway",
        "interactions": Webhook(
            verify=verify,
            challenge=Later("connectors.discord.webhook:challenge"),
            answer_with=Later("connectors.discord.webhook:answer"),
        ),
    },
    send=".send:DiscordSender",
    media=".media:DiscordMedia",
    inactivity=timedelta(days=3),
)
