"""What all chats of one account in this process share."""

from __future__ import annotations

from collections import OrderedDict

from connectors._shared.live.frames import Ack, Author, Entry
from connectors._shared.live.history import TABLE, History, history_out
from connectors._shared.live.hub import Hub
from connectors._shared.live.limits import Allowance, Counted
from connectors._shared.live.settings import LiveSettings
from connectors._shared.live.signing import LiveSigner
from omnibus import clock
from omnibus.bus.port import Out
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import TryAgain
from omnibus.telemetry import metrics

REMEMBERED = 10_000
ADDRESS_SHARE = 10
"""One network address may do as much as so many people: an office behind one address is not one person."""


class LiveDesk:
    """Bounds, signer, hub and history of one account. `author` is what its protocol calls the person who writes."""

    def __init__(
        self,
        tools: ReceiverTools,
        bounds: LiveSettings,
        signer: LiveSigner,
        *,
        author: Author,
        connections_per_person: int,
    ) -> None:
        self.tools = tools
        self.bounds = bounds
        self.links = signer
        self.author = author
        self.account = tools.account.name
        self.topic = tools.topics.channel_table(tools.account.channel.name, TABLE)
        self.hub = Hub()
        self.open_by_address = Counted(bounds.max_connections_per_ip)
        self.open_by_thread = Counted(connections_per_person)
        self.open_chats = 0
        self.connects = Allowance(bounds.max_connections_per_ip * 2, bounds.max_connections_per_ip * 2)
        pace = bounds.messages_per_minute
        self.messages = Allowance(pace, max(10, pace // 2))
        self.messages_by_address = Allowance(pace * ADDRESS_SHARE, pace * ADDRESS_SHARE)
        self.uploads = Allowance(bounds.uploads_per_hour / 60, max(5, bounds.uploads_per_hour // 4))
        self._history: History | None = None
        self._acks: OrderedDict[tuple[str, str], Ack] = OrderedDict()
        self._last_ms: OrderedDict[str, int] = OrderedDict()

    @property
    def history(self) -> History:
        """Raises TryAgain until `open` was called."""
        if self._history is None:
            raise TryAgain("the chat history is still being read")
        return self._history

    @property
    def is_open(self) -> bool:
        return self._history is not None

    def open(self, history: History) -> None:
        """Let people in."""
        self._history = history

    def close(self) -> None:
        """Let nobody in, until `open`."""
        self._history = None

    def history_out(self, thread: str, entry: Entry) -> Out:
        """The record that puts an entry into this account's history."""
        return history_out(self.topic, self.account, thread, entry)

    def next_ms(self, thread: str) -> int:
        """The time, later than the last one of the thread: what came in one millisecond must stay in its order, too."""
        now_ms = max(clock.now_ms(), self._last_ms.pop(thread, 0) + 1)
        self._last_ms[thread] = now_ms
        if len(self._last_ms) > REMEMBERED:
            self._last_ms.popitem(last=False)
        return now_ms

    def rejected(self, reason: str) -> None:
        """Count something that was refused before the log."""
        metrics.current().count("rejected", self.tools.account.channel.name, self.account, reason)

    def acknowledged(self, thread: str, frame_id: str) -> Ack | None:
        """The acknowledgement of a frame that this process has stored before."""
        return self._acks.get((thread, frame_id))

    def remember(self, thread: str, ack: Ack) -> None:
        """A frame is stored: when it comes again, it is acknowledged again and that is all."""
        self._acks[thread, ack.id] = ack
        if len(self._acks) > REMEMBERED:
            self._acks.popitem(last=False)
