"""Where a message is: the one place that knows how thread keys and native ids of this channel are written.

A message is named by its channel and its `ts`, unique within the channel
(https://docs.slack.dev/reference/events/message), so a native id is ``<channel>:<ts>``. A thread is a direct message
channel (``D...``), the replies to one message of any other channel (``<channel>:<ts of that message>``), a channel as
a whole (``<channel>``), or a user who did something outside of channels (``U...``: Slack finds their direct messages).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from omnibus import clock
from omnibus.errors import InvalidPayload

WORKSPACE = "workspace"
"""The thread of events that belong to no channel and no user."""
CONVERSATION = "conversation"
"""The attribute of a raw event that tells what a conversation was when it came: a thread unless it says otherwise."""
_TS = r"\A[0-9]{1,11}\.[0-9]{1,6}\Z"
Ts = Annotated[str, Meta(pattern=_TS)]
"""A time in seconds, with the microseconds that make it unique; up to the year 5138."""
_PLACE = re.compile(r"(?P<channel>[A-Z][A-Z0-9]{1,40})(?::(?P<ts>[0-9]{1,11}\.[0-9]{1,6}))?")


class Place(msgspec.Struct, frozen=True):
    """A channel, and the message whose replies are meant."""

    channel: str
    ts: str | None = None

    @property
    def thread(self) -> str:
        return self.channel if self.ts is None else f"{self.channel}:{self.ts}"

    def native_id(self, ts: str) -> str:
        return f"{self.channel}:{ts}"


def channel_of(thread: str) -> str:
    """The channel a thread is in: reactions name their message and not its thread."""
    return thread.partition(":")[0]


def is_direct(channel: str) -> bool:
    """Whether the channel is a direct message, where everything is one conversation."""
    return channel.startswith(("D", "U", "W"))


def place_of(channel: str, ts: str, thread_ts: str | None, *, whole: bool) -> Place:
    """Where a message is. With `whole`, channels are not divided into their threads."""
    return Place(channel) if whole or is_direct(channel) else Place(channel, thread_ts or ts)


def place_named(thread: str) -> Place:
    """The place a thread key names. Raises InvalidPayload when it is none of this channel's."""
    found = _PLACE.fullmatch(thread)
    if found is None:
        raise InvalidPayload("conversation.thread_key", "expected a Slack channel")
    return Place(found["channel"], found["ts"])


def ts_in(native_id: str, channel: str) -> str | None:
    """The `ts` a native id names, None when it is of another channel or of no message."""
    found = _PLACE.fullmatch(native_id)
    return found["ts"] if found is not None and found["channel"] == channel else None


def microseconds(ts: str) -> int:
    """A `ts` as a number that grows with time."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0"))


def at(ts: str) -> datetime:
    return clock.from_ms(microseconds(ts) // 1000)
