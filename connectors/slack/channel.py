"""Slack: Events API, interactions and slash commands over one signed address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from connectors._shared.receivers import webhook_with_timestamped_hmac
from connectors.slack.place import CONVERSATION, channel_of
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Deletion, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.channel.receive import Answer, Request
from omnibus.config.fields import ApiUrl, BotToken, Settings, SigningSecret, described

API_URL = "https://slack.com/api"
MAX_FILE_BYTES = 100_000_000
"""Slack takes 1 GB; a file is in memory while it is sent."""


class SlackSettings(Settings, frozen=True, kw_only=True):
    """One workspace that the app is installed in."""

    bot_token: Annotated[
        BotToken,
        described("Bot User OAuth Token of the workspace, from OAuth & Permissions.", example="${SLACK_TOKEN}"),
    ]
    signing_secret: Annotated[
        SigningSecret, described("Signing Secret of the app, from Basic Information.", example="${SLACK_SECRET}")
    ]
    team_id: Annotated[
        str | None,
        described("Id of the workspace. Needed when several accounts are workspaces of one app.", example="T0EXAMPLE"),
    ] = None
    conversation: Annotated[
        Literal["thread", "channel"],
        described("What is one conversation in channels: each thread, or all of a channel. Direct messages are one."),
    ] = "thread"
    api_url: Annotated[ApiUrl, described("Address of the Web API; another one for tests and proxies.")] = API_URL


def attributes(request: Request, settings: SlackSettings) -> Mapping[str, str]:
    """What a conversation is decides which thread a message belongs to, so it is kept with the request."""
    return {} if settings.conversation == "thread" else {CONVERSATION: settings.conversation}


CHANNEL = Channel(
    name="slack",
    title="Slack",
    docs="https://docs.slack.dev/apis/events-api",
    settings=SlackSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "choices"}),
        max_text_chars=4_000,  # https://docs.slack.dev/reference/methods/chat.postMessage#truncating
        splits_text=True,
        attachments=(AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),),
        supports=frozenset({"edit", "delete", "reaction", "reply_to", "group", "choices"}),
        outbound_first=True,
        # At once, after a minute, after five: https://docs.slack.dev/apis/events-api#retries
        provider_retry=ProviderRetry(max_age=timedelta(minutes=6), ack_deadline_ms=3_000),
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction}),
    map=Later("connectors.slack.mapping:map_event"),
    threads=Later("connectors.slack.mapping:threads"),
    receive={
        "webhook": webhook_with_timestamped_hmac(
            "x-slack-signature",
            "x-slack-request-timestamp",
            challenge=Later("connectors.slack.webhook:challenge"),
            # What is answered to a slash command is shown to whoever typed it.
            answer=lambda _request: Answer(body=b""),
            attributes=attributes,
            addresses=Later("connectors.slack.webhook:teams"),
            address=lambda settings: settings.team_id,
        )
    },
    send=".send:SlackSender",
    media=".media:SlackMedia",
    together=channel_of,
    inactivity=timedelta(days=3),
)
