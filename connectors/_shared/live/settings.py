"""Settings that every channel over a live line has: how much one person may send, and what."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import Duration, Secret, Settings, Size, between, described

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


class LiveSettings(Settings, frozen=True, kw_only=True):
    """The bounds of one account, and who may show "is typing"."""

    typing_token: Annotated[
        Secret | None,
        described('Bearer token of programs that may show "is typing" to the person; without it none may.'),
    ] = None
    max_text_chars: Annotated[int, described("Longest message a person may write."), Meta(ge=1, le=10_000)] = 4_000
    max_file_size: Annotated[Size, described("Largest file a person may send; 0 takes no files.", example="10MB")] = (
        10_000_000
    )
    file_types: Annotated[tuple[str, ...], described("MIME types a person may send.", example="application/pdf")] = (
        DEFAULT_FILE_TYPES
    )
    history_for: Annotated[
        Duration,
        between("1d", "3650d"),
        described("How long what was said is shown to the person, and kept for that."),
    ] = timedelta(days=90)
    messages_per_minute: Annotated[Count, described("Messages and other stored frames from one person.")] = 60
    uploads_per_hour: Annotated[Count, described("Files from one person.")] = 60
    max_connections: Annotated[Count, described("Open lines in one process.")] = 10_000
    max_connections_per_ip: Annotated[Count, described("Open lines from one network address.")] = 100
