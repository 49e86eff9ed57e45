"""The settings of one web chat account."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import Secret, Settings, Size, described

DEFAULT_FILE_TYPES = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/mpeg",
    "audio/ogg",
    "audio/webm",
    "audio/wav",
    "video/mp4",
    "video/webm",
    "application/pdf",
    "text/plain",
)
"""No HTML, SVG or Office macros: a browser or a desktop of ours would run what is in them."""

Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class WebchatSettings(Settings, frozen=True, kw_only=True):
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
    typing_token: Annotated[
        Secret | None,
        described('Bearer token of programs that may show "is typing" to visitors; without it none may.'),
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
    max_text_chars: Annotated[int, described("Longest message a visitor may write."), Meta(ge=1, le=10_000)] = 4_000
    max_file_size: Annotated[Size, described("Largest file a visitor may send; 0 takes no files.", example="10MB")] = (
        10_000_000
    )
    file_types: Annotated[tuple[str, ...], described("MIME types a visitor may send.", example="application/pdf")] = (
        DEFAULT_FILE_TYPES
    )
    messages_per_minute: Annotated[Count, described("Messages and other stored frames from one visitor.")] = 60
    uploads_per_hour: Annotated[Count, described("Files from one visitor.")] = 60
    max_connections: Annotated[Count, described("Open chats in one process.")] = 10_000
    max_connections_per_ip: Annotated[Count, described("Open chats from one network address.")] = 100
    max_connections_per_visitor: Annotated[Count, described("Open chats (tabs, devices) of one visitor.")] = 10
