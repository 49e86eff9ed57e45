"""How a device's line begins: whose it is, and what it missed."""

from __future__ import annotations

from connectors._shared.live.chat import IDENTITY_REFUSED, LiveChat, identity_refused, said_already
from connectors._shared.live.frames import Frame, UnknownFrame
from connectors._shared.live.hub import Listener
from connectors.app.desk import AppDesk
from connectors.app.identity import Person
from connectors.app.protocol import Hello, Welcome, read_frame
from omnibus import clock


class AppChat(LiveChat):
    """One device's line. It ends with its session."""

    def __init__(self, desk: AppDesk, line: Listener, remote: str) -> None:
        super().__init__(desk, line, remote)
        self._desk = desk
        self._person: Person | None = None

    def read(self, data: bytes) -> Frame | UnknownFrame:
        return read_frame(data)

    async def handle(self, data: bytes) -> None:
        if self._person is not None and self._person.expires_s * 1000 <= clock.now_ms():
            self.hang_up(identity_refused("the session has expired"), IDENTITY_REFUSED)
            return
        await super().handle(data)

    def greet(self, hello: Frame) -> None:
        """Joining, reading and answering in one go lets no entry slip between."""
        assert isinstance(hello, Hello)
        if self._person is not None:
            self.refuse(said_already())
            return
        person = self._desk.sessions.person_of(hello.session, clock.now_ms())
        if person is None:
            self.hang_up(identity_refused("register the device again"), IDENTITY_REFUSED)
            return
        if self.enter(person.thread, self._desk.intake_of(person, self.remote, "socket")):
            self._person = person
            entries, more, gap = self.missed(person.thread, hello.after)
            self.send(Welcome(entries=entries, more=more, gap=gap, seen=self._desk.devices.seen(person.thread)))
