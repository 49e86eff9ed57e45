"""What the normalizer remembers: one entry for each native thread, three small indexes, and pieces of messages."""

from __future__ import annotations

import msgspec

from normalizer.policy import Policy
from omnibus.bus.port import StoreSpec
from omnibus.stage.contract import Ctx


class Thread(msgspec.Struct, array_like=True, gc=False):
    """A native thread. Times are milliseconds since the epoch. `convseq` counts the conversation's events."""

    conversation_id: str
    contact_id: str
    convseq: int
    last_at: int
    closed: bool = False
    window_start: int = 0
    window_count: int = 0
    tripped_until: int = 0


class Arrival(msgspec.Struct, array_like=True, gc=False):
    """A message that may arrive several times: what it is known by, its thread, and where it came in."""

    fingerprint: str
    thread: str
    places: tuple[str, ...]


class Known(msgspec.Struct, array_like=True, gc=False):
    """A channel identity met before."""

    first_seen: int
    display_name: str | None = None
    username: str | None = None


class Link(msgspec.Struct, array_like=True, gc=False):
    """Which thread a name leads to; `sender` restricts a weak link to the identity that made it."""

    thread: str
    at: int
    sender: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_thread = msgspec.msgpack.Decoder(Thread)
_known = msgspec.msgpack.Decoder(Known)
_arrival = msgspec.msgpack.Decoder(Arrival)
_link = msgspec.msgpack.Decoder(Link)


def stores(policy: Policy) -> tuple[StoreSpec, ...]:
    """The stores of the normalizer; the order is part of the stored format."""

    def seconds(name: str) -> int:
        return int(getattr(policy, name).total_seconds())

    return (
        StoreSpec(name="seen", ttl_s=seconds("seen_for")),
        StoreSpec(name="threads", ttl_s=seconds("threads_for")),
        StoreSpec(name="links", ttl_s=seconds("links_for")),
        StoreSpec(name="identities"),
        StoreSpec(name="fragments", ttl_s=seconds("fragments_for")),
    )


class State:
    """Typed access to the stores within one step."""

    def __init__(self, ctx: Ctx) -> None:
        self._seen = ctx.store("seen")
        self._threads = ctx.store("threads")
        self._links = ctx.store("links")
        self._identities = ctx.store("identities")
        self.fragments = ctx.store("fragments")

    def first_time(self, event_id: str) -> bool:
        """Remember an event id; False when it was there already."""
        key = bytes.fromhex(event_id[-32:])
        if self._seen.get(key) is not None:
            return False
        self._seen.put(key, b"")
        return True

    def arrival(self, event_id: str) -> Arrival | None:
        """How the message of that event arrived the first time; None when it has not."""
        value = self._seen.get(bytes.fromhex(event_id[-32:]))
        return None if value is None else _arrival.decode(value) if value else Arrival("", "", ())

    def keep_arrival(self, event_id: str, arrival: Arrival) -> None:
        self._seen.put(bytes.fromhex(event_id[-32:]), _encode(arrival))

    def thread(self, account: str, thread: str) -> Thread | None:
        value = self._threads.get(_key(account, thread))
        return None if value is None else _thread.decode(value)

    def keep_thread(self, account: str, thread: str, state: Thread) -> None:
        self._threads.put(_key(account, thread), _encode(state))

    def link(self, account: str, name: str) -> Link | None:
        value = self._links.get(_key(account, name))
        return None if value is None else _link.decode(value)

    def keep_link(self, account: str, name: str, link: Link) -> None:
        self._links.put(_key(account, name), _encode(link))

    def identity(self, identity_id: str) -> Known | None:
        value = self._identities.get(identity_id.encode())
        return None if value is None else _known.decode(value)

    def keep_identity(self, identity_id: str, known: Known) -> None:
        self._identities.put(identity_id.encode(), _encode(known))


def _key(account: str, name: str) -> bytes:
    return account.encode() + b"\0" + name.encode("utf-8", "surrogatepass")
