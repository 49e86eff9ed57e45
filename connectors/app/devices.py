"""The devices of people, and how far they have read: two compacted tables.

``devices``: ``account \\0 t \\0 thread \\0 device`` is a device of a person; ``account \\0 d \\0 device`` says whose it
is now, so that a phone that changes hands takes its push token along. ``seen``: ``account \\0 thread``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from connectors._shared.live.frames import Receipt
from connectors._shared.live.history import PAGE, History
from connectors.app.identity import Person
from connectors.app.protocol import Registration, Seen
from omnibus import clock
from omnibus.bus.port import Bus, Out, ReadTable
from omnibus.bus.topics import Topics

CHANNEL_NAME = "app"
MAX_DEVICES = 20
"""Devices of one person; with one more, the one that registered longest ago is forgotten."""


class Device(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A device as we know it."""

    id: str
    platform: str
    registered_ms: int
    push_token: str | None = None
    app_version: str | None = None
    locale: str | None = None


class Devices:
    """Reads the tables of one account, and makes the records that change them."""

    def __init__(self, account: str, topics: Topics) -> None:
        self._account = account
        self._devices_topic = topics.channel_table(CHANNEL_NAME, "devices")
        self._seen_topic = topics.channel_table(CHANNEL_NAME, "seen")
        self._devices: ReadTable | None = None
        self._seen: ReadTable | None = None

    async def load(self, bus: Bus) -> None:
        """Before anything is read."""
        self._devices = await bus.global_table(self._devices_topic)
        self._seen = await bus.global_table(self._seen_topic)

    def of(self, thread: str) -> Sequence[Device]:
        """A person's devices."""
        assert self._devices is not None, "load comes first"
        return [_device.decode(value) for _, value in self._devices.scan(self._of(thread), MAX_DEVICES * 2)]

    def seen(self, thread: str) -> Seen:
        """How far a person has come."""
        assert self._seen is not None, "load comes first"
        value = self._seen.get(self._key(thread))
        return Seen() if value is None else _seen.decode(value)

    def registered(self, person: Person, registration: Registration) -> tuple[Out, ...]:
        """The device is this person's from now on, and nobody else's."""
        device = Device(
            id=person.device,
            platform=person.platform,
            registered_ms=clock.now_ms(),
            push_token=registration.push_token,
            app_version=person.app_version,
            locale=person.locale,
        )
        return (
            self._put(self._of(person.thread) + device.id.encode(), _encoder.encode(device)),
            self._put(self._owner(device.id), person.thread.encode()),
            *self._taken_from_others(person),
            *self._crowded_out(person),
        )

    def forgotten(self, thread: str, devices: Iterable[str]) -> tuple[Out, ...]:
        """Those devices are no longer this person's."""
        return tuple(
            self._put(key, None)
            for device in devices
            for key in (self._of(thread) + device.encode(), *self._own(thread, device))
        )

    def receipt(self, thread: str, receipt: Receipt, history: History) -> tuple[Out, ...]:
        """What a receipt changes: the last of its entries, when it is later than what was known."""
        keys = {entry.id: entry.key for entry in history.latest(thread, PAGE * 4)}
        last = max((keys.get(one, "") for one in receipt.ids), default="")
        before = self.seen(thread)
        now = replace(before, delivered=max(before.delivered, last))
        if receipt.status == "read":
            now = replace(now, read=max(before.read, last))
        if now == before:
            return ()
        return (Out(topic=self._seen_topic, key=self._key(thread), value=_encoder.encode(now)),)

    def _taken_from_others(self, person: Person) -> tuple[Out, ...]:
        assert self._devices is not None, "load comes first"
        owner = self._devices.get(self._owner(person.device))
        if owner is None or owner == person.thread.encode():
            return ()
        return (self._put(self._of(owner.decode()) + person.device.encode(), None),)

    def _crowded_out(self, person: Person) -> tuple[Out, ...]:
        others = sorted(
            (one for one in self.of(person.thread) if one.id != person.device), key=lambda one: one.registered_ms
        )
        return self.forgotten(person.thread, [one.id for one in others[: max(0, len(others) + 1 - MAX_DEVICES)]])

    def _own(self, thread: str, device: str) -> tuple[bytes, ...]:
        """The key that says whose the device is, when it is this person's."""
        assert self._devices is not None, "load comes first"
        key = self._owner(device)
        return (key,) if self._devices.get(key) == thread.encode() else ()

    def _put(self, key: bytes, value: bytes | None) -> Out:
        return Out(topic=self._devices_topic, key=key, value=value)

    def _of(self, thread: str) -> bytes:
        return f"{self._account}\0t\0{thread}\0".encode()

    def _owner(self, device: str) -> bytes:
        return f"{self._account}\0d\0{device}".encode()

    def _key(self, thread: str) -> bytes:
        return f"{self._account}\0{thread}".encode()


_encoder = msgspec.json.Encoder()
_device = msgspec.json.Decoder(Device)
_seen = msgspec.json.Decoder(Seen)
