"""Discord's ids: unique everywhere, and they say when. https://docs.discord.com/developers/reference#snowflakes"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from omnibus import clock

Snowflake = Annotated[str, Meta(pattern=r"\A[0-9]{1,20}\Z")]
EPOCH_MS = 1_420_070_400_000
"""The first second of 2015."""


def time_of(snowflake: str) -> datetime:
    """When the thing was made; the times of ids of 20 digits end in the 28th century."""
    return clock.from_ms((int(snowflake) >> 22) + EPOCH_MS)
