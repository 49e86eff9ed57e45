"""What the lines and requests of one account in this process share."""

from __future__ import annotations

from typing import Literal

from connectors._shared.live.desk import LiveDesk
from connectors._shared.live.frames import Receipt, StoredFrame
from connectors._shared.live.intake import Intake
from connectors._shared.live.limits import Allowance
from connectors.app.devices import Devices
from connectors.app.envelope import raw_event
from connectors.app.identity import Identities, Person, Sessions
from connectors.app.settings import AppSettings
from omnibus import clock
from omnibus.bus.port import Out
from omnibus.channel.receive import ReceiverTools
from omnibus.model.raw import RawEvent

REQUESTS_PER_MINUTE = 240
REQUESTS_AT_ONCE = 60


class AppDesk(LiveDesk):
    """The desk of an app account."""

    def __init__(self, tools: ReceiverTools, settings: AppSettings) -> None:
        self.sessions = Sessions(settings.session_secret.reveal(), tools.account.name)
        super().__init__(
            tools,
            settings,
            self.sessions,
            author="contact",
            connections_per_person=settings.max_connections_per_person,
        )
        self.identities = Identities(settings)
        self.devices = Devices(tools.account.name, tools.topics)
        self.requests = Allowance(REQUESTS_PER_MINUTE, REQUESTS_AT_ONCE)

    def intake_of(self, person: Person, remote: str, transport: Literal["socket", "api"]) -> Intake:
        """Takes what this person sends."""

        def raw_of(data: bytes) -> RawEvent:
            return raw_event(self.account, person, data, clock.now(), transport=transport, remote=remote or None)

        def also(frame: StoredFrame) -> tuple[Out, ...]:
            if not isinstance(frame, Receipt):
                return ()
            return self.devices.receipt(person.thread, frame, self.history)

        return Intake(self, person.thread, remote, raw_of, also)
