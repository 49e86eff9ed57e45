"""How a web chat begins: who the visitor is, what they missed, and how the widget looks."""

from __future__ import annotations

from connectors._shared.live.chat import IDENTITY_REFUSED, LiveChat, identity_refused, said_already
from connectors._shared.live.frames import Frame, UnknownFrame
from connectors._shared.live.hub import Listener
from connectors._shared.live.intake import Intake
from connectors.webchat.desk import Desk
from connectors.webchat.envelope import raw_event
from connectors.webchat.identity import IdentityRefused, Visitor, new_visitor, verified
from connectors.webchat.protocol import Hello, Welcome, read_frame
from omnibus import clock
from omnibus.model.raw import RawEvent


class Chat(LiveChat):
    """One widget's conversation with us. `browser` is the visitor of the browser's cookie, or somebody new."""

    def __init__(self, *, desk: Desk, line: Listener, remote: str, browser: str | None = None) -> None:
        super().__init__(desk, line, remote)
        self._desk = desk
        self._browser = browser or new_visitor()

    def read(self, data: bytes) -> Frame | UnknownFrame:
        return read_frame(data)

    def greet(self, hello: Frame) -> None:
        """Who they are and what they missed. Joining, reading and answering in one go lets no entry slip between."""
        assert isinstance(hello, Hello)
        if self.thread is not None:
            self.refuse(said_already())
            return
        try:
            visitor = self._visitor_of(hello)
        except IdentityRefused as error:
            self.hang_up(identity_refused(str(error)), IDENTITY_REFUSED)
            return
        if self.enter(visitor.thread, self._intake_of(visitor, hello)):
            self.send(self._welcome_of(visitor, hello.after))

    def _visitor_of(self, hello: Hello) -> Visitor:
        """A token counts before the cookie: it is what this very embed has kept."""
        known = self._desk.signer.visitor_of(hello.token, clock.now_ms())
        secret = self._desk.settings.identity_secret
        return verified(known or self._browser, hello.user, None if secret is None else secret.reveal())

    def _intake_of(self, visitor: Visitor, hello: Hello) -> Intake:
        def raw_of(data: bytes) -> RawEvent:
            return raw_event(
                self._desk.account,
                visitor,
                data,
                clock.now(),
                locale=hello.locale,
                page=hello.page,
                remote=self.remote or None,
            )

        return Intake(self._desk, visitor.thread, self.remote, raw_of)

    def _welcome_of(self, visitor: Visitor, after: str | None) -> Welcome:
        entries, more, gap = self.missed(visitor.thread, after)
        now_ms = clock.now_ms()
        return Welcome(
            token=self._desk.signer.token(visitor.id, now_ms),
            session=self._desk.signer.session(visitor.thread, now_ms),
            entries=entries,
            look=self._desk.look(),
            more=more,
            gap=gap,
        )
