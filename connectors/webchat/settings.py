"""The settings of one web chat account."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from connectors._shared.live.settings import Count, LiveSettings
from omnibus.config.fields import Secret, described


class WebchatSettings(LiveSettings, frozen=True, kw_only=True):
    """One web chat: who may embed it, what visitors may send, and how much of it."""

    cookie_secret: Annotated[
        Secret,
        described("Signs visitor cookies, tokens and file links. Changing it makes every visitor a new one."),
    ]
    identity_secret: Annotated[
        Secret | None,
        described(
            "Key your site signs its users' ids with (HMAC-SHA256), so that history follows them across devices."
        ),
    ] = None
    allowed_origins: Annotated[
        tuple[str, ...],
        described(
            "Web origins besides our own that may embed the chat; `*` for any.", example="https://www.example.com"
        ),
    ] = ()
    title: Annotated[
        str, described("Heading of the chat window; empty for the widget's own words."), Meta(max_length=80)
    ] = ""
    greeting: Annotated[
        str,
        described("First line visitors see, before anybody has written; empty for the widget's own words."),
        Meta(max_length=500),
    ] = ""
    color: Annotated[
        str,
        described("Main colour of the widget.", example="#1f5fbf"),
        Meta(pattern="^#[0-9a-fA-F]{6}$"),
    ] = "#1f5fbf"
    max_connections_per_visitor: Annotated[Count, described("Open chats (tabs, devices) of one visitor.")] = 10
