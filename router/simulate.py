"""Runs recorded events through two plans, in memory, and compares what would have become of them.

Both plans are run over the same recording, with the clock of the recording: timers fire between the records as they
would have. What downstream did (commands, outcomes) is part of the recording, so an agent answers in the candidate's
world when the agent did in the real one, wherever the conversation is. Nothing is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from omnibus.bus.port import Out, Record
from omnibus.model import codec, events
from omnibus.model.codec import type_of
from omnibus.model.entities import RoutingDecision
from omnibus.stage.step import next_due_ms
from router.plan import Plan
from router.rehearsal import Rehearsal

MAX_SAMPLE = 20
_OURS = events.ROUTER.encode()
DECIDED = "omnibus.routing.decided.v1"
_SLA = ("omnibus.sla.breached.v1", "omnibus.sla.met.v1", "omnibus.sla.warning.v1")


class World(msgspec.Struct, kw_only=True):
    """What became of a recording under one plan."""

    version: str
    first: dict[str, RoutingDecision] = {}
    placed: Counter[str] = msgspec.field(default_factory=Counter)
    overflowed: Counter[str] = msgspec.field(default_factory=Counter)
    sla: Counter[str] = msgspec.field(default_factory=Counter)
    rule_errors: int = 0
    dead: int = 0


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that the candidate would have put elsewhere."""

    conversation_id: str
    was: str
    becomes: str
    was_rule: str | None
    becomes_rule: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The two worlds side by side. In each pair the first is the plan in use, the second the candidate."""

    records: int
    conversations: int
    moved: int
    versions: tuple[str, str]
    volume: Mapping[str, tuple[int, int]]
    overflow: Mapping[str, tuple[int, int]]
    sla: Mapping[str, tuple[int, int]]
    rule_errors: tuple[int, int]
    dead: tuple[int, int]
    priorities: Mapping[str, tuple[int, int]]
    sample: tuple[Moved, ...]


def is_recorded_input(record: Record) -> bool:
    """Whether the router was given this record, rather than having written it itself."""
    return record.header("ce_source") != _OURS


def in_order(records: Iterable[Record]) -> list[Record]:
    """Records of several topics and partitions in the order of their times; those of a partition stay in theirs."""
    latest: dict[tuple[str, int], int] = {}
    timed: list[tuple[int, Record]] = []
    for record in records:
        place = (record.topic, record.partition)
        latest[place] = max(record.ts_ms, latest.get(place, 0))
        timed.append((latest[place], record))
    return [record for _, record in sorted(timed, key=lambda entry: entry[0])]


def run(plan: Plan, records: Sequence[Record]) -> World:
    """What becomes of the recording under a plan."""
    world = World(version=plan.rules.version)
    rehearsal = Rehearsal(plan, now_ms=records[0].ts_ms if records else 0)
    for record in records:
        _let_time_pass(rehearsal, record.ts_ms, world)
        rehearsal.now_ms = max(rehearsal.now_ms, record.ts_ms)
        _note(world, rehearsal.step(record))
        rehearsal.forget()
    world.dead = len(rehearsal.dead)
    return world


def _let_time_pass(rehearsal: Rehearsal, until_ms: int, world: World) -> None:
    """Fire the timers that are due before `until_ms`, each at its time."""
    while (due := next_due_ms(rehearsal.backing)) is not None and due <= until_ms:
        rehearsal.now_ms = max(rehearsal.now_ms, due)
        _note(world, rehearsal.step())
        rehearsal.forget()


def _note(world: World, outs: Sequence[Out]) -> None:
    for out in outs:
        record = Record(out.topic, 0, 0, out.ts_ms or 0, out.key, out.value, out.headers)
        kind = type_of(record)
        if kind == DECIDED:
            _note_decision(world, codec.decode(record).data.decision)
        elif kind in _SLA and out.topic.endswith(".events"):
            changed = codec.decode(record).data
            world.sla[f"{changed.policy} {changed.target.metric} {kind.split('.')[2]}"] += 1


def _note_decision(world: World, decision: RoutingDecision) -> None:
    world.placed[_where(decision)] += 1
    world.rule_errors += sum(tried.result == "error" for tried in decision.tried)
    world.first.setdefault(decision.conversation_id, decision)
    if decision.overflow_after is not None:
        world.overflowed[decision.overflow_after] += 1


def _where(decision: RoutingDecision) -> str:
    return f"{decision.outcome}:{decision.target}" if decision.target else decision.outcome


def compare(one: World, other: World, records: int) -> Comparison:
    """What the candidate (`other`) would change."""
    both = sorted(one.first.keys() & other.first.keys())
    moved = [_moved(one.first[name], other.first[name]) for name in both]
    real = [entry for entry in moved if entry.was != entry.becomes]
    return Comparison(
        records=records,
        conversations=len(both),
        moved=len(real),
        versions=(one.version, other.version),
        volume=_pairs(one.placed, other.placed),
        overflow=_pairs(one.overflowed, other.overflowed),
        sla=_pairs(one.sla, other.sla),
        rule_errors=(one.rule_errors, other.rule_errors),
        dead=(one.dead, other.dead),
        priorities=_pairs(_priorities(one), _priorities(other)),
        sample=_spread(real),
    )


def _moved(one: RoutingDecision, other: RoutingDecision) -> Moved:
    return Moved(
        conversation_id=one.conversation_id,
        was=_where(one),
        becomes=_where(other),
        was_rule=one.rule,
        becomes_rule=other.rule,
    )


def _priorities(world: World) -> Counter[str]:
    return Counter(decision.priority for decision in world.first.values())


def _pairs(one: Counter[str], other: Counter[str]) -> dict[str, tuple[int, int]]:
    return {name: (one[name], other[name]) for name in sorted(one.keys() | other.keys())}


def _spread(moved: Sequence[Moved]) -> tuple[Moved, ...]:
    """A sample with something of every kind of move, in equal parts as far as there are so many."""
    kinds: dict[tuple[str, str, str | None], list[Moved]] = {}
    for one in moved:
        kinds.setdefault((one.was, one.becomes, one.becomes_rule), []).append(one)
    sample: list[Moved] = []
    turn = 0
    while len(sample) < min(MAX_SAMPLE, len(moved)):
        sample += [entries[turn] for entries in kinds.values() if turn < len(entries)]
        turn += 1
    return tuple(sample[:MAX_SAMPLE])


def simulate(live: Plan, candidate: Plan, records: Sequence[Record]) -> Comparison:
    """Run both over the recording and compare. Records of a partition come in their order, others in any."""
    inputs = in_order(record for record in records if is_recorded_input(record))
    return compare(run(live, inputs), run(candidate, inputs), len(inputs))
