"""A rule set: rules in order, a default, and the decision it takes on a message."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from omnibus.errors import OmnibusError
from omnibus.model.base import Attributes, Model, Scalar
from omnibus.model.entities import Tried
from router.rules.compiler import BadCondition, Condition, Conditions, Patterns, condition_of
from router.rules.facts import VARIABLES, Facts, as_input
from router.rules.tokens import variables_in
from router.rules.words import HumanWords, shipped_words

MAX_TRIED = 100
MAX_RULES = 5_000
PRIORITIES = ("low", "normal", "high", "urgent")


class Rule(Model, frozen=True, kw_only=True):
    """A rule as it is written: when `when` holds, what to set and where to go.

    Without `to`, and with `go_on`, the rules below are tried too; what several rules set adds up, and the later wins.
    With `stop` none is, target or not. `place` names the rule for error messages (`routes.3`).
    """

    name: str
    when: str = "true"
    to: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    language: str | None = None
    attributes: Attributes = {}
    go_on: bool = False
    stop: bool = False
    place: str = ""

    @property
    def ends(self) -> bool:
        return self.stop or (self.to is not None and not self.go_on)


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


class BadRules(OmnibusError):
    """A rule set that cannot be used; every error of it is in `errors`. The one in use stays in use."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a message. `to` is a target (`queue:billing`, `automation:faq`, `drop`, `hold`)."""

    to: str
    rule: str | None
    tried: tuple[Tried, ...]
    inputs: dict[str, Scalar]
    errors: tuple[str, ...] = ()
    priority: str | None = None
    tags: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    language: str | None = None
    attributes: Attributes = {}


class RuleSet:
    """Rules, compiled, and the word lists that go with them. `version` is a hash of all a decision depends on."""

    def __init__(
        self,
        rules: Sequence[Rule],
        default: str,
        words: HumanWords,
        conditions: Conditions,
        reads: Sequence[frozenset[str]],
    ) -> None:
        self.rules = tuple(rules)
        self.default = default
        self.words = words
        self.version = _version(rules, default, words)
        self._conditions = conditions
        self._reads = tuple(reads)
        self._read_until = _running_union(reads)
        self._missed = tuple(Tried(target=rule.name, result="not_matched") for rule in rules)

    def decide(self, facts: Facts, no_automation: str | None = None) -> Verdict:
        """The verdict on a message. With `no_automation` (the reason), rules that end at an automation are passed by.

        A rule that cannot be evaluated on this message is passed by too, and named in `errors`.
        """
        walk = _Walk(self, facts, no_automation)
        outcomes = self._conditions.outcomes(facts)
        for place in sorted(outcomes):
            if walk.passes(place, outcomes[place]):
                break
        return walk.verdict()

    def reads(self, place: int) -> frozenset[str]:
        """The variables that a rule's condition uses."""
        return self._reads[place]

    def read_until(self, places: int) -> Sequence[str]:
        """The variables that the first so many rules use, sorted."""
        return self._read_until[places]

    def missed(self, place: int) -> Tried:
        """That a rule did not match."""
        return self._missed[place]


class _Walk:
    """One way down the rules that may matter; all the others are false."""

    def __init__(self, rules: RuleSet, facts: Facts, no_automation: str | None) -> None:
        self._rules = rules
        self._facts = facts
        self._no_automation = no_automation
        self._tried: dict[int, Tried] = {}
        self._errors: list[str] = []
        self._matched: list[Rule] = []
        self._end: Rule | None = None
        self._seen = len(rules.rules)

    def passes(self, place: int, outcome: bool | str) -> bool:
        """Pass a rule that is not false; true when it ends the walk."""
        rule = self._rules.rules[place]
        if outcome is not True:
            self._errors.append(rule.name)
            self._tried[place] = Tried(target=rule.name, result="error", why=str(outcome))
            return False
        if self._no_automation is not None and (rule.to or "").startswith("automation:"):
            self._tried[place] = Tried(target=rule.name, result="skipped", why=self._no_automation)
            return False
        self._tried[place] = Tried(target=rule.name, result="matched", why=self._because(place))
        self._matched.append(rule)
        if rule.to is not None:
            self._end = rule
        if rule.ends:
            self._seen = place + 1
        return rule.ends

    def _because(self, place: int) -> str | None:
        values = [f"{name} = {as_input(self._facts.value(name))!r}" for name in sorted(self._rules.reads(place))]
        return ", ".join(values)[:500] or None

    def _listed(self) -> tuple[Tried, ...]:
        """The first rules in full, of the rest those that did something: a thousand would outweigh the message."""
        tried, rules = self._tried, self._rules
        first = [tried.get(place) or rules.missed(place) for place in range(min(self._seen, MAX_TRIED))]
        rest = [one for place, one in tried.items() if place >= MAX_TRIED]
        return (*first, *rest[-MAX_TRIED:])

    def verdict(self) -> Verdict:
        end = self._end
        return Verdict(
            to=end.to if end is not None and end.to is not None else self._rules.default,
            rule=end.name if end is not None else None,
            tried=self._listed(),
            inputs={name: as_input(self._facts.value(name)) for name in self._rules.read_until(self._seen)},
            errors=tuple(self._errors[:MAX_TRIED]),
            priority=_last([rule.priority for rule in self._matched]),
            tags=tuple(dict.fromkeys(tag for rule in self._matched for tag in rule.tags)),
            skills=tuple(dict.fromkeys(skill for rule in self._matched for skill in rule.skills)),
            language=_last([rule.language for rule in self._matched]),
            attributes={name: value for rule in self._matched for name, value in rule.attributes.items()},
        )


def _running_union(reads: Sequence[frozenset[str]]) -> list[tuple[str, ...]]:
    """For 0, 1, 2 ... rules: what they read together. Equal neighbours share one tuple."""
    unions: list[tuple[str, ...]] = [()]
    for one in reads:
        unions.append(unions[-1] if one <= set(unions[-1]) else tuple(sorted({*unions[-1], *one})))
    return unions


def _last(values: Sequence[str | None]) -> str | None:
    return next((value for value in reversed(values) if value is not None), None)


def _version(rules: Sequence[Rule], default: str, words: HumanWords) -> str:
    plain = [msgspec.structs.replace(rule, place="") for rule in rules]
    content = msgspec.json.encode([plain, default, words.phrases], order="deterministic")
    return "rules_" + hashlib.sha256(content).hexdigest()[:12]


def load_rules(
    rules: Sequence[Rule],
    *,
    default: str,
    queues: Collection[str],
    automations: Collection[str],
    words: HumanWords | None = None,
) -> RuleSet:
    """Check and compile. Raises BadRules with every error found. Without `words`, the shipped lists."""
    known = {"queue": queues, "automation": automations}
    errors = [error for rule in rules for error in _target_errors(rule, known)] + _repeated(rules)
    if len(rules) > MAX_RULES:
        errors.append(RuleError(place="routes", rule="", why=f"more than {MAX_RULES} rules"))
    patterns = Patterns()
    conditions: list[Condition] = []
    for rule in rules:
        try:
            conditions.append(condition_of(rule.when, patterns))
        except BadCondition as bad:
            errors += [
                RuleError(
                    place=f"{rule.place}.when",
                    rule=rule.name,
                    why=problem.why,
                    line=problem.line,
                    column=problem.column,
                    near=problem.near,
                )
                for problem in bad.problems
            ]
    if errors:
        raise BadRules(errors)
    reads = [frozenset(variables_in(rule.when, VARIABLES.__contains__)) for rule in rules]
    return RuleSet(rules, default, words or shipped_words(), Conditions(conditions, patterns), reads)


def _repeated(rules: Sequence[Rule]) -> list[RuleError]:
    seen: set[str] = set()
    errors = []
    for rule in rules:
        if rule.name in seen:
            errors.append(RuleError(place=f"{rule.place}.name", rule=rule.name, why="another rule has this name"))
        seen.add(rule.name)
    return errors


def _target_errors(rule: Rule, known: Mapping[str, Collection[str]]) -> list[RuleError]:
    errors = []
    if rule.to is not None and (why := target_error(rule.to, known)) is not None:
        near = tuple(get_close_matches(rule.to, targets(known), n=3, cutoff=0.6))
        errors.append(RuleError(place=f"{rule.place}.to", rule=rule.name, why=why, near=near))
    if rule.priority is not None and rule.priority not in PRIORITIES:
        why = f"unknown priority {rule.priority!r}; accepted: {', '.join(PRIORITIES)}"
        errors.append(RuleError(place=f"{rule.place}.priority", rule=rule.name, why=why))
    return errors


def targets(known: Mapping[str, Collection[str]]) -> list[str]:
    """Every target there is."""
    return [f"{kind}:{name}" for kind, names in known.items() for name in sorted(names)] + ["drop", "hold"]


def target_error(target: str, known: Mapping[str, Collection[str]]) -> str | None:
    """What is wrong with a target, None when nothing is."""
    if target in ("drop", "hold"):
        return None
    kind, _, name = target.partition(":")
    if kind not in known:
        return f"unknown target {target!r}; accepted: queue:NAME, automation:NAME, drop, hold"
    return None if name in known[kind] else f"unknown {kind} {name!r}"
