"""How every account is doing: changes are logged, published as ``channel.*`` events, and shown in health."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import structlog

from connectors._ingress.publish import source_of
from connectors._ingress.tools import State
from omnibus import clock
from omnibus.bus.port import Publisher
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown
from omnibus.model import codec, ids
from omnibus.model.events import ChannelStatus
from omnibus.telemetry import facts, metrics
from omnibus.telemetry.redact import masked

MAX_REASON_CHARS = 500
_VERBS = {"ok": "connected", "degraded": "degraded", "disconnected": "disconnected"}

log = structlog.get_logger("omnibus.connectors")


class ChannelDegraded(facts.Fact, frozen=True, kw_only=True):
    """A channel account works, but not as it should; it is tried again."""

    level: ClassVar[facts.Level] = "warning"
    channel: str
    account: str
    why: str


class Statuses:
    """The latest state of each account that has a connection of its own."""

    def __init__(self, publisher: Publisher, topics: Topics) -> None:
        self._publisher = publisher
        self._topics = topics
        self._states: dict[str, tuple[State, str]] = {}
        self._publishing: set[asyncio.Task[None]] = set()

    def of(self, account: str) -> tuple[State, str] | None:
        """State and reason, None for an account that never said."""
        return self._states.get(account)

    def tell(self, account: Account, state: State, reason: str = "") -> None:
        """Note a state; the same one again is no news."""
        reason = masked(reason)[:MAX_REASON_CHARS]
        if self._states.get(account.name) == (state, reason):
            return
        self._states[account.name] = (state, reason)
        facts.emit(_fact(account, state, reason))
        connected = float(state != "disconnected")
        metrics.current().set("channel_connected", account.channel.name, account.name, value=connected)
        task = asyncio.get_running_loop().create_task(self._publish(account, state, reason))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def settled(self) -> None:
        """Returns when every change told so far is published (or could not be)."""
        while self._publishing:
            await asyncio.wait(tuple(self._publishing))

    async def _publish(self, account: Account, state: State, reason: str) -> None:
        event = _event(account, state, reason)
        try:
            await self._publisher.publish([codec.encode(event, self._topics.events)])
        except (PublishRejected, PublishUnknown, Overloaded) as error:
            log.warning("channel.status_unpublished", account=account.name, state=state, why=str(error))


def _fact(account: Account, state: State, reason: str) -> facts.Fact:
    channel, name = account.channel.name, account.name
    match state:
        case "ok":
            return facts.ChannelConnected(channel=channel, account=name)
        case "degraded":
            return ChannelDegraded(channel=channel, account=name, why=reason)
        case "disconnected":
            return facts.ChannelDisconnected(channel=channel, account=name, why=reason)


def _event(account: Account, state: State, reason: str) -> codec.Event:
    now = clock.now()
    return codec.Event(
        id=ids.random_id("evt"),
        type=f"omnibus.channel.{_VERBS[state]}.v1",
        source=source_of(account.channel.name, account.name),
        subject=account.name,
        time=clock.to_ms(now),
        recordedtime=clock.to_ms(now),
        data=ChannelStatus(
            channel=account.channel.name, channel_account_id=account.name, at=now, reason=reason or None
        ),
    )
