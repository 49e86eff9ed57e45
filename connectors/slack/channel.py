"""Slack: Events API, interactions and slash commands over one signed address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from connectors._shared.bodies import looks_like_json
from connectors._shared.chat.reading import read
from connectors._shared.receivers import webhook_with_timestamped_hmac
from connectors.slack.interactions import team_of_form
from connectors.slack.mapping import CONVERSATION, map_event, threads
from connectors.slack.payload import Envelope
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Deletion, Edit, Message, Reaction
from omnibus.channel.receive import Answer, Request
from omnibus.config.fields import ApiUrl, BotToken, Settings, SigningSecret, described
from omnibus.errors import InvalidPayload

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


class _Challenge(msgspec.Struct, frozen=True):
    type: str
    challenge: str


def challenge(request: Request, settings: SlackSettings) -> Answer | None:
    """Slack asks once, and signs that too. https://docs.slack.dev/reference/events/url_verification"""
    if b"url_verification" not in request.body:
        return None
    try:
        asked = read(request.body, _Challenge)
    except InvalidPayload:
        return None
    return Answer(body=asked.challenge.encode("utf-8", "replace")) if asked.type == "url_verification" else None


def attributes(request: Request, settings: SlackSettings) -> Mapping[str, str]:
    """What a conversation is decides which thread a message belongs to, so it is kept with the request."""
    return {} if settings.conversation == "thread" else {CONVERSATION: settings.conversation}


def teams(request: Request) -> Sequence[str]:
    """The workspace a request comes from: an app has one address for all of them."""
    try:
        form = not looks_like_json(request.body)
        team = team_of_form(request.body) if form else read(request.body, Envelope).team_id
    except InvalidPayload:
        return ()
    return (team,) if team else ()


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
    map=map_event,
    threads=threads,
    receive={
        "webhook": webhook_with_timestamped_hmac(
            "x-slack-signature",
            "x-slack-request-timestamp",
            challenge=challenge,
            # What is answered to a slash command is shown to whoever typed it.
            answer=lambda _request: Answer(body=b""),
            attributes=attributes,
            addresses=teams,
            address=lambda settings: settings.team_id,
        )
    },
    send=".send:SlackSender",
    media=".media:SlackMedia",
    inactivity=timedelta(days=3),
)
