"""What all chats of one account in this process share."""

from __future__ import annotations

from collections import OrderedDict

from connectors.webchat.history import TABLE, History, history_out
from connectors.webchat.hub import Hub
from connectors.webchat.identity import Signer
from connectors.webchat.limits import Allowance, Counted
from connectors.webchat.protocol import Ack, Entry, Look
from connectors.webchat.settings import WebchatSettings
from omnibus.bus.port import Out
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import TryAgain
from omnibus.telemetry import metrics

REMEMBERED_ACKS = 10_000
ADDRESS_SHARE = 10
"""One network address may do as much as so many visitors: an office behind one address is not one visitor."""


class Desk:
    """Settings, signer, hub, history and limits of one account."""

    def __init__(self, tools: ReceiverTools, settings: WebchatSettings, signer: Signer) -> None:
        self.tools = tools
        self.settings = settings
        self.signer = signer
        self.account = tools.account.name
        self.topic = tools.topics.channel_table(tools.account.channel.name, TABLE)
        self.hub = Hub()
        self.open_by_address = Counted(settings.max_connections_per_ip)
        self.open_by_thread = Counted(settings.max_connections_per_visitor)
        self.open_chats = 0
        self.connects = Allowance(settings.max_connections_per_ip * 2, settings.max_connections_per_ip * 2)
        pace = settings.messages_per_minute
        self.messages = Allowance(pace, max(10, pace // 2))
        self.messages_by_address = Allowance(pace * ADDRESS_SHARE, pace * ADDRESS_SHARE)
        self.uploads = Allowance(settings.uploads_per_hour / 60, max(5, settings.uploads_per_hour // 4))
        self._history: History | None = None
        self._acks: OrderedDict[tuple[str, str], Ack] = OrderedDict()

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
        """Let visitors in."""
        self._history = history

    def close(self) -> None:
        """Let nobody in, until `open`."""
        self._history = None

    def look(self) -> Look:
        """How the widget looks here."""
        settings = self.settings
        return Look(
            title=settings.title,
            greeting=settings.greeting,
            color=settings.color,
            max_text_chars=settings.max_text_chars,
            max_file_size=settings.max_file_size,
            file_types=settings.file_types,
        )

    def history_out(self, thread: str, entry: Entry) -> Out:
        """The record that puts an entry into this account's history."""
        return history_out(self.topic, self.account, thread, entry)

    def rejected(self, reason: str) -> None:
        """Count something that was refused before the log."""
        metrics.current().count("rejected", self.tools.account.channel.name, self.account, reason)

    def acknowledged(self, thread: str, frame_id: str) -> Ack | None:
        """The acknowledgement of a frame that this process has stored before."""
        return self._acks.get((thread, frame_id))

    def remember(self, thread: str, ack: Ack) -> None:
        """A frame is stored: when it comes again, it is acknowledged again and that is all."""
        self._acks[thread, ack.id] = ack
        if len(self._acks) > REMEMBERED_ACKS:
            self._acks.popitem(last=False)
