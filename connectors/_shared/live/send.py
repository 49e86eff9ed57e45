"""Sending over a live line is putting the message into the thread's history; every ingress process follows that."""

from __future__ import annotations

from connectors._shared.live.frames import Entry
from connectors._shared.live.history import TABLE, history_out
from connectors._shared.live.shown import message_entry
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Refused
from omnibus.model.events import Outbound


class LiveSender:
    """One account's sender. The history entry is written in the transaction that records the delivery, so that a
    person sees a reply exactly when it counts as sent; the client reports `delivered` and `read` afterwards."""

    def __init__(self, tools: SenderTools) -> None:
        self._account = tools.account
        self._topic = tools.topics.channel_table(tools.account.channel.name, TABLE)

    async def send(self, outbound: Outbound) -> Sent:
        """Raises Refused for a message with nothing in it that a client could show."""
        entry = message_entry(outbound.message)
        if not _shows_something(entry):
            raise Refused("UNSUPPORTED_OPERATION", "the message has no words, choices or reachable files")
        thread = outbound.conversation.thread_key
        return Sent(
            native_ids=(outbound.message.id,), also=(history_out(self._topic, self._account.name, thread, entry),)
        )

    async def close(self) -> None:
        """Nothing is held open."""


def _shows_something(entry: Entry) -> bool:
    return bool(entry.text.strip() or entry.options or entry.files)
