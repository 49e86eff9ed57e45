"""A rule as it is written, and what can be wrong with one besides its condition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from omnibus.model.base import Attributes, Model
from router.rules.tokens import Token, dotted, tokens_of

PRIORITIES = ("low", "normal", "high", "urgent")
KEYED = {"calendar.open": "calendar", "queue.open": "queue", "queue.load": "queue"}
"""Maps whose keys are names of the configuration, and of what."""

Known = Mapping[str, Collection[str]]
"""The names there are: of each ``queue``, ``automation`` and (when they are to be checked) ``calendar``."""


class RuleTarget(Model, frozen=True, kw_only=True):
    """One of the queues and automations a rule tries in order: it has one of the two."""

    queue: str | None = None
    automation: str | None = None
    priority: str | None = None
    timeout_ms: int | None = None
    unless: str | None = None

    @property
    def to(self) -> str:
        """As `to` of a rule says it."""
        return f"queue:{self.queue}" if self.automation is None else f"automation:{self.automation}"


class StickyRule(Model, frozen=True, kw_only=True):
    """Back to where the contact was last, when that is not too long ago; with the agent, or without."""

    within_ms: int
    agent: bool = False


class Rule(Model, frozen=True, kw_only=True):
    """A rule as it is written: when `when` holds, what to set and where to go.

    Where to go is one of `to`, `targets` (in order), `split` (by weight) and `sticky`. Without any, and with `go_on`,
    the rules below are tried too; what several rules set adds up, and the later wins. With `stop` none is, target or
    not. `place` names the rule for error messages (`routes.3`).
    """

    name: str
    when: str = "true"
    to: str | None = None
    targets: tuple[RuleTarget, ...] = ()
    split: dict[str, int] = {}
    sticky: StickyRule | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    language: str | None = None
    attributes: Attributes = {}
    go_on: bool = False
    stop: bool = False
    place: str = ""

    @property
    def leads_somewhere(self) -> bool:
        return bool(self.to or self.targets or self.split or self.sticky)

    @property
    def ends(self) -> bool:
        return self.stop or (self.leads_somewhere and not self.go_on)


class RuleError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a rule. `place` is its path in the configuration; line and column count within the value."""

    place: str
    rule: str
    why: str
    line: int = 1
    column: int = 1
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        meant = f" (did you mean {' or '.join(repr(name) for name in self.near)}?)" if self.near else ""
        return f"{self.place}: rule {self.rule!r}, line {self.line}, column {self.column}: {self.why}{meant}"


def repeated(rules: Sequence[Rule]) -> Iterator[RuleError]:
    """Rules with the name of another: decisions cite rules by name."""
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            yield RuleError(place=f"{rule.place}.name", rule=rule.name, why="another rule has this name")
        seen.add(rule.name)


def rule_errors(rule: Rule, known: Known) -> Iterator[RuleError]:
    """Everything wrong with where a rule leads and what it sets."""

    def wrong(field: str, why: str, near: Sequence[str] = ()) -> RuleError:
        return RuleError(place=f"{rule.place}.{field}", rule=rule.name, why=why, near=tuple(near))

    ways = [name for name in ("to", "targets", "split", "sticky") if getattr(rule, name)]
    if len(ways) > 1:
        yield wrong(ways[1], f"a rule leads one way: {' or '.join(ways)}, not both")
    for field, target in (("to", rule.to), *((f"split.{name}", name) for name in rule.split)):
        if target is not None and (why := target_error(target, known)) is not None:
            yield wrong(field, why, _near(target, targets(known)))
    for index, step in enumerate(rule.targets):
        yield from (wrong(f"targets.{index}{field}", why, near) for field, why, near in _step_errors(step, known))
        if step.priority is not None and step.priority not in PRIORITIES:
            yield wrong(f"targets.{index}.priority", _no_priority(step.priority))
    if rule.split and not sum(rule.split.values()):
        yield wrong("split", "all weights are zero")
    if rule.priority is not None and rule.priority not in PRIORITIES:
        yield wrong("priority", _no_priority(rule.priority))


def _step_errors(step: RuleTarget, known: Known) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if (step.queue is None) is (step.automation is None):
        yield "", "expected a queue or an automation, one of them", ()
        return
    for kind, name in (("queue", step.queue), ("automation", step.automation)):
        if name is not None and name not in known[kind]:
            yield f".{kind}", f"unknown {kind} {name!r}", _near(name, known[kind])


def _no_priority(priority: str) -> str:
    return f"unknown priority {priority!r}; accepted: {', '.join(PRIORITIES)}"


def targets(known: Known) -> list[str]:
    """Every target there is."""
    kinds = ("queue", "automation")
    return [f"{kind}:{name}" for kind in kinds for name in sorted(known[kind])] + ["drop", "hold"]


def target_error(target: str, known: Known) -> str | None:
    """What is wrong with a target, None when nothing is."""
    if target in ("drop", "hold"):
        return None
    kind, _, name = target.partition(":")
    if kind not in ("queue", "automation"):
        return f"unknown target {target!r}; accepted: queue:NAME, automation:NAME, drop, hold"
    return None if name in known[kind] else f"unknown {kind} {name!r}"


def key_errors(rule: Rule, field: str, condition: str, known: Known) -> Iterator[RuleError]:
    """Names in ``calendar.open['name']`` and its like that the configuration does not have."""
    tokens = tokens_of(condition)
    for index in range(len(tokens) - 5):
        kind = KEYED.get(dotted(tokens[index : index + 3]) or "")
        opening, key = tokens[index + 3 : index + 5]
        if (
            kind is None
            or kind not in known
            or opening.text != "["
            or key.kind != "string"
            or _inside_a_name(tokens, index)
        ):
            continue
        name = key.text.strip("\"'")
        if name not in known[kind]:
            line = condition.count("\n", 0, key.start) + 1
            yield RuleError(
                place=f"{rule.place}.{field}",
                rule=rule.name,
                why=f"unknown {kind} {name!r}",
                line=line,
                column=key.start - condition.rfind("\n", 0, key.start),
                near=_near(name, known[kind]),
            )


def _inside_a_name(tokens: Sequence[Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].text == "."


def _near(name: str, known: Collection[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(name, list(known), n=3, cutoff=0.6))
