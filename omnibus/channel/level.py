"""How much of a conversation a channel carries, from what it declares and its fixtures prove."""

from __future__ import annotations

from typing import Literal

from omnibus.channel.declaration import Channel

Level = Literal["receives", "converses", "complete"]

FILES = frozenset({"image", "audio", "video", "file", "sticker"})


def level_of(channel: Channel) -> Level:
    """`receives`: what people write becomes conversations. `converses`: answers leave, too. `complete`: so do files,
    and what happens to messages later (edits, reactions, delivery reports) is followed."""
    sends = channel.capabilities.sends
    if channel.send is None or not sends:
        return "receives"
    return "complete" if sends & FILES and len(channel.emits) > 1 else "converses"
