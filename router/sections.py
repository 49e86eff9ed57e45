"""Sections of the configuration that are the router's own, besides calendars."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec

from omnibus.config.fields import Duration, FilePath, Settings, between, described


class BreakerSettings(Settings, frozen=True, kw_only=True):
    """When a conversation is too fast to be a person's: automations keep out of it for a while."""

    messages: Annotated[
        Annotated[int, msgspec.Meta(ge=2, le=10_000)], described("More messages than this within the time trip it.")
    ] = 20
    within: Annotated[Annotated[Duration, between("1s", "1d")], described("The time they are counted in.")] = timedelta(
        minutes=1
    )
    release_after: Annotated[
        Annotated[Duration, between("1s", "7d")], described("It is released when it was quiet for this long.")
    ] = timedelta(minutes=10)


class ContactSettings(Settings, frozen=True, kw_only=True):
    """What the router remembers of contacts between their conversations."""

    last_place_for: Annotated[
        Annotated[Duration, between("1h", "3650d")],
        described("How long it is remembered where a contact was last (at least as long as any `sticky` rule asks)."),
    ] = timedelta(days=90)


class ShadowSettings(Settings, frozen=True, kw_only=True):
    """A candidate: its decisions are published beside the live ones, and nothing comes of them."""

    rules: Annotated[FilePath, described("Configuration whose routes are the candidate.", example="new.yaml")]
