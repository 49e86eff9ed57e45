"""The normalizer's stage: a raw event in, every unified event of it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from normalizer.fragments import TIMER, on_arrival, on_waited, record_of, tell_incomplete
from normalizer.messages import on_call, on_deletion, on_delivery, on_edit, on_reaction
from normalizer.policy import Policy
from normalizer.state import State, stores
from normalizer.steps.conversation import close
from normalizer.work import Work
from omnibus import clock
from omnibus.bus.port import Record, StageSpec
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.events import AnyEvent, CallEvent, Deletion, Delivery, Edit, Message, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.codec import decode_as
from omnibus.model.events import CloseThread
from omnibus.model.raw import RawEvent, raw_of
from omnibus.stage.contract import Ctx, Timer
from omnibus.telemetry.metrics import current

HANDLERS: Mapping[type[Any], Callable[[Work, Any], bool | None]] = {
    Message: on_arrival,
    Edit: on_edit,
    Deletion: on_deletion,
    Reaction: on_reaction,
    Delivery: on_delivery,
    CallEvent: on_call,
}


class NormalizerStage:
    """One partition's normalizer."""

    def __init__(self, accounts: Mapping[str, Account], topics: Topics, policy: Policy) -> None:
        self._accounts = accounts
        self._topics = topics
        self._policy = policy

    def process(self, record: Record, ctx: Ctx) -> None:
        if record.topic == self._topics.control:
            self._close_thread(record, ctx)
        else:
            self._normalize(record, ctx)

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        if timer.kind != TIMER:
            raise InvalidPayload("timer", f"the normalizer sets no such timer, got {timer.kind!r}")
        state = State(ctx)
        gathered = on_waited(state, timer.key)
        if gathered is not None:
            raw, record = gathered.raw, record_of(gathered, timer.key)
            account = self._account(raw.account)
            tell_incomplete(Work(record, raw, account, self._topics, self._policy, state, ctx), timer.key, gathered)

    def _normalize(self, record: Record, ctx: Ctx) -> None:
        raw = raw_of(record, ctx.body(record))
        work = Work(record, raw, self._account(raw.account), self._topics, self._policy, State(ctx), ctx)
        current().count("raw", raw.channel)
        # The good events of a request are kept, the damaged ones dead-letter the whole of it: replayed once the
        # mapping is mended, the good ones are duplicates.
        try:
            for event in work.account.channel.map(raw):
                if raw.thread is None or event.thread == raw.thread:
                    self._handle(work, event)
        except InvalidPayload as error:
            ctx.dead_letter(record, error)

    def _handle(self, work: Work, event: AnyEvent) -> None:
        try:
            fresh = HANDLERS[type(event)](work, event)
        except InvalidPayload as error:
            work.ctx.dead_letter(work.record, error)
            return
        if fresh is not None:
            current().count("unified" if fresh else "duplicates", work.raw.channel)

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            raise InvalidPayload("raw.account", f"no account {name!r} in the configuration; add it and replay")
        return account

    def _close_thread(self, record: Record, ctx: Ctx) -> None:
        request = decode_as(CloseThread, record.value)
        account = self._account(request.account)
        raw = RawEvent(
            id=request.conversation_id,
            channel=account.channel.name,
            account=request.account,
            received_at=clock.from_ms(record.ts_ms),
            body=b"",
            scope=account.scope,
        )
        close(Work(record, raw, account, self._topics, self._policy, State(ctx), ctx), request)


def spec(topics: Topics, channels: list[str], policy: Policy) -> StageSpec:
    """The stage's spec for these channels."""
    inputs = (topics.control, *(topics.raw(name) for name in sorted(channels)))
    return StageSpec(name="normalizer", inputs=inputs, stores=stores(policy))
