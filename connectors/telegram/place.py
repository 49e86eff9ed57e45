"""Where a message is: the one place that knows how thread keys and native ids of this channel are written.

Message ids of Telegram count within a chat (https://core.telegram.org/bots/api#message), so a native id is
``<chat>:<message>``. A thread is the chat, or a part of it that belongs to other people: ``<chat>:<topic>`` for a forum
topic, ``<chat>:d<topic>`` for one customer's topic of a channel's direct messages, ``<connection>/<chat>`` for a chat
of a business account that lets the bot answer.
"""

from __future__ import annotations

import msgspec

from omnibus.errors import InvalidPayload

NOWHERE = "updates"
"""The thread of updates that belong to no chat."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A chat, and the part of it."""

    chat_id: int
    topic_id: int | None = None
    direct_topic_id: int | None = None
    business: str | None = None

    @property
    def root(self) -> str:
        """The chat, without the part: what message ids count within."""
        return f"{self.business}/{self.chat_id}" if self.business else str(self.chat_id)

    @property
    def thread(self) -> str:
        if self.direct_topic_id is not None:
            return f"{self.root}:d{self.direct_topic_id}"
        return self.root if self.topic_id is None else f"{self.root}:{self.topic_id}"

    def native_id(self, message_id: int) -> str:
        return f"{self.root}:{message_id}"

    def message_id(self, native_id: str) -> int | None:
        """The message's number when it is in this chat, otherwise None."""
        root, _, number = native_id.rpartition(":")
        return int(number) if root == self.root and number.isdecimal() else None

    def moved_to(self, chat_id: int) -> Place:
        """The same part of the chat's new number (a group that became a supergroup)."""
        return msgspec.structs.replace(self, chat_id=chat_id)


def chat_of(thread: str) -> str:
    """The chat a thread is in: reactions name their message and not its topic."""
    return thread.partition(":")[0]


def place_of(thread: str) -> Place:
    """The place a thread key names. Raises InvalidPayload when it is none of this channel's."""
    business, _, rest = thread.rpartition("/")
    chat, _, part = rest.partition(":")
    direct = part.startswith("d")
    try:
        topic = int(part.removeprefix("d")) if part else None
        return Place(
            chat_id=int(chat),
            topic_id=None if direct else topic,
            direct_topic_id=topic if direct else None,
            business=business or None,
        )
    except ValueError:
        raise InvalidPayload("conversation.thread_key", "expected a Telegram chat") from None
