"""The router's stage: events, commands and outcomes of a partition's conversations, in one pure step."""

from __future__ import annotations

from collections.abc import Callable

from omnibus import clock
from omnibus.bus.port import Record, StageSpec, StoreSpec
from omnibus.bus.topics import Topics
from omnibus.errors import InvalidPayload, Refused
from omnibus.model import events, ids
from omnibus.model.codec import Event, decode, encode, is_known, type_of
from omnibus.model.entities import DeliveryState, FailureReason
from omnibus.model.events import COMMANDS, CallChanged, MessageDelivery, Reply, SinkResult
from omnibus.stage.contract import Ctx, Timer
from router import board, breaker, clocks, commands, control, escalation, messages, receipts, routing, sla, survey
from router.board import LastPlace, Others
from router.plan import Plan
from router.state import ConversationState, packed, unpacked
from router.turn import Cause, Turn, cause_of

CONVERSATIONS = "conversations"
SEEN = "seen"
SEEN_FOR_S = 3 * 86_400
"""How long an event's id is remembered: longer than any redelivery, since a step is exactly once by itself."""

_OWN = events.ROUTER.encode()
_NORMALIZER = events.NORMALIZER.encode()
OPENED = "omnibus.conversation.opened.v1"

Handler = Callable[[Turn, Event, Record], None]

FROM_EVENTS: dict[str, Handler] = {
    OPENED: messages.on_opened,
    "omnibus.message.received.v1": messages.on_received,
    "omnibus.message.sent.v1": messages.on_echo,
    "omnibus.message.edited.v1": messages.on_edited,
    "omnibus.message.deleted.v1": messages.on_deleted,
    "omnibus.message.attachment.v1": messages.on_attachment,
    "omnibus.message.delivery.v1": receipts.on_delivery,
    "omnibus.conversation.closed.v1": messages.on_closed,
    **{kind: messages.on_call for kind, data in events.DATA.items() if data is CallChanged},
}
"""What to do with an event of the normalizer's or the media worker's; the others go to the owner as they are."""

FROM_OUTCOMES: dict[str, Handler] = {
    "omnibus.message.delivery.v1": receipts.on_delivery,
    **{kind: receipts.on_sink_result for kind, data in events.DATA.items() if data is SinkResult},
}

TIMERS: dict[str, Callable[[Turn], None]] = {
    clocks.INACTIVITY: clocks.on_inactivity,
    control.SILENCE: routing.on_silence,
    control.TARGET: routing.on_target_timeout,
    sla.SLA: escalation.on_sla,
    escalation.AGE: escalation.on_age,
    breaker.BREAKER: breaker.on_breaker,
    survey.SURVEY: survey.on_survey,
}


def spec(topics: Topics) -> StageSpec:
    """What the bus must know of the router."""
    return StageSpec(
        name="router",
        inputs=(topics.events, topics.commands, topics.outcomes),
        stores=(
            StoreSpec(name=CONVERSATIONS, of_timers=True),
            StoreSpec(name=SEEN, ttl_s=SEEN_FOR_S),
            StoreSpec(name=board.LOAD),
        ),
        tables=(topics.routing,),
        commit_interval_ms=20,
    )


class RouterStage:
    """Routes the conversations of one partition. `plan` is asked for every record, so that it can be replaced."""

    def __init__(self, plan: Callable[[], Plan]) -> None:
        self._plan = plan
        self._others = Others()

    def process(self, record: Record, ctx: Ctx) -> None:
        """Handle one record. Raises InvalidPayload for one that is not what its topic holds."""
        kind = type_of(record)
        plan = self._plan()
        if record.topic == plan.topics.commands:
            self._command(record, ctx, plan, kind)
        elif not is_known(kind):
            self._pass_on(record, ctx, plan)
        elif record.header("ce_source") != _OWN:
            handlers, rest = self._handlers(record, plan)
            self._event(record, ctx, plan, handlers.get(kind or "", rest))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        """A timer is due; that of a conversation which was forgotten meanwhile means nothing."""
        plan = self._plan()
        if timer.kind == clocks.FORGET:
            ctx.store(CONVERSATIONS).delete(timer.key)
            return
        if timer.kind == board.LOAD:
            board.Board(ctx, plan.topics, self._others).publish()
            return
        if timer.kind == board.EXPIRE:
            board.Board(ctx, plan.topics, self._others).expire(timer)
            return
        state = _load(ctx, timer.key)
        if state is not None:
            # The number of the last event is part of it: the same timer may be due twice in a millisecond.
            name = f"timer:{timer.kind}:{timer.due_ms}:{state.conversation.id}:{state.sequence}"
            cause = Cause(id=name, time_ms=timer.due_ms)
            turn = Turn(ctx, plan, cause, state, self._others)
            control.mend_owner(turn)
            TIMERS[timer.kind](turn)
            _finish(turn)

    def _handlers(self, record: Record, plan: Plan) -> tuple[dict[str, Handler], Handler]:
        if record.topic == plan.topics.outcomes:
            return FROM_OUTCOMES, receipts.on_outcome
        return FROM_EVENTS, messages.on_other

    def _event(self, record: Record, ctx: Ctx, plan: Plan, handler: Handler) -> None:
        event = decode(record)
        if _seen(ctx, event.id):
            return
        state = _load(ctx, event.subject.encode())
        if event.type == OPENED:
            state = state or messages.opened_state(event)
        elif state is None:
            _without_conversation(event)
            return
        if event.source == events.NORMALIZER:
            state.convseq = max(state.convseq, event.convseq or 0)
        turn = Turn(ctx, plan, cause_of(event), state, self._others)
        control.mend_owner(turn)
        handler(turn, event, record)
        _finish(turn)

    def _command(self, record: Record, ctx: Ctx, plan: Plan, kind: str | None) -> None:
        if kind not in COMMANDS:
            raise InvalidPayload("ce_type", f"expected a command, got {kind!r}")
        try:
            event = decode(record)
        except InvalidPayload as invalid:
            _refuse_unreadable(record, ctx, plan, invalid)
            ctx.dead_letter(record, invalid)
            return
        if _seen(ctx, event.id):
            return
        state = _load(ctx, event.subject.encode())
        if state is None:
            _refuse_unknown(event, ctx, plan)
            return
        turn = Turn(ctx, plan, cause_of(event), state, self._others)
        control.mend_owner(turn)
        commands.carry_out(turn, event, record)
        _finish(turn)

    def _pass_on(self, record: Record, ctx: Ctx, plan: Plan) -> None:
        """An event of a newer release: its owner may know what to do with it."""
        subject = record.header("ce_subject")
        state = None if subject is None else _load(ctx, subject)
        if state is None or record.topic != plan.topics.events:
            return
        Turn(ctx, plan, Cause(id="", time_ms=record.ts_ms), state).forward(record)
        count = record.header("ce_convseq")
        if record.header("ce_source") == _NORMALIZER and count is not None and count.isdigit():
            state.convseq = max(state.convseq, int(count))
            ctx.store(CONVERSATIONS).put(state.conversation.id.encode(), packed(state))


def _seen(ctx: Ctx, event_id: str) -> bool:
    """Whether this event was handled before; from now on it was."""
    store, key = ctx.store(SEEN), event_id.encode()
    if store.get(key) is not None:
        return True
    store.put(key, b"")
    return False


def _load(ctx: Ctx, key: bytes) -> ConversationState | None:
    data = ctx.store(CONVERSATIONS).get(key)
    return None if data is None else unpacked(data)


def _finish(turn: Turn) -> None:
    if turn.state.conversation is not turn.before:
        escalation.follow_age(turn)
        sla.follow(turn)
        turn.board.count(turn.before, turn.conversation)
        _tell_place(turn)
    elif turn.state.clocks:
        sla.show(turn)
    turn.snapshot()
    turn.ctx.store(CONVERSATIONS).put(turn.key, packed(turn.state))


def _tell_place(turn: Turn) -> None:
    """Where the contact is, for rules that bring contacts back; only when there are any."""
    before, now = turn.before, turn.conversation
    queue = now.queue or before.queue
    changed = (before.queue, before.assignee) != (now.queue, now.assignee) or board.counted_in(
        before
    ) != board.counted_in(now)
    if queue is None or not changed or not turn.plan.rules.asks_where_last:
        return
    place = LastPlace(queue=queue, agent=now.assignee or before.assignee, at_ms=turn.cause.time_ms)
    turn.board.tell_place(now.contact_id, place, turn.plan.place_kept_ms)


def _without_conversation(event: Event) -> None:
    """Only messages must have a conversation: the rest may be about an account, or come too late to matter."""
    if event.type == "omnibus.message.received.v1":
        raise InvalidPayload("ce_subject", f"no conversation {event.subject} was opened")


def _refuse_unknown(event: Event, ctx: Ctx, plan: Plan) -> None:
    refused = Refused("CONVERSATION_UNKNOWN", "there is no such conversation, or it was closed long ago")
    _publish_refusal(event.id, event.subject, isinstance(event.data, Reply), refused, ctx, plan)


def _refuse_unreadable(record: Record, ctx: Ctx, plan: Plan, invalid: InvalidPayload) -> None:
    subject = (record.header("ce_subject") or b"").decode("utf-8", "replace")[:128]
    command = (record.header("ce_id") or b"").decode("utf-8", "replace")[:128]
    if subject and command:
        _publish_refusal(command, subject, False, Refused("INVALID_COMMAND", str(invalid)), ctx, plan)


def _publish_refusal(command: str, subject: str, is_reply: bool, refused: Refused, ctx: Ctx, plan: Plan) -> None:
    at = clock.from_ms(ctx.now_ms)
    data: MessageDelivery | SinkResult
    if is_reply:
        reason = FailureReason(code=refused.code, description=refused.reason)
        state = DeliveryState(status="failed", at=at, reason=reason, final=True)
        data = MessageDelivery(conversation_id=subject, delivery=state, command_id=command)
    else:
        data = SinkResult(
            sink=commands.ROUTER_SINK,
            event_id=command,
            conversation_id=subject,
            status="failed",
            at=at,
            code=refused.code,
            reason=refused.reason,
        )
    kind = "omnibus.message.delivery.v1" if is_reply else "omnibus.sink.failed.v1"
    event = Event(
        id=ids.event_id("", command, kind),
        type=kind,
        source=events.ROUTER,
        subject=subject,
        time=ctx.now_ms,
        data=data,
        causationid=command,
    )
    ctx.emit(encode(event, plan.topics.events))
