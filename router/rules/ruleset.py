"""A rule set: rules in order, a default, and the decision it takes on a message."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from omnibus.errors import OmnibusError
from omnibus.model import ids
from omnibus.model.base import Attributes, Scalar
from omnibus.model.entities import Tried
from router.board import LastPlace
from router.rules.compiler import BadCondition, Condition, Conditions, Patterns, condition_of
from router.rules.facts import VARIABLES, Facts, as_input
from router.rules.rule import Known, Rule, RuleError, RuleTarget, key_errors, repeated, rule_errors
from router.rules.tokens import variables_in
from router.rules.words import HumanWords, shipped_words

MAX_TRIED = 100
MAX_RULES = 5_000


class BadRules(OmnibusError):
    """A rule set that cannot be used; every error of it is in `errors`. The one in use stays in use."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a message. `to` is a target (`queue:billing`, `automation:faq`, `drop`, `hold`).

    `tried` has the rules that were looked at, `told` those of them that did something. With `targets` it is the first
    of those. `agent` is who had the contact's last conversation.
    """

    to: str
    rule: str | None
    targets: tuple[RuleTarget, ...] = ()
    agent: str | None = None
    tried: tuple[Tried, ...]
    told: tuple[Tried, ...] = ()
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
        guards: Mapping[str, Conditions],
        surroundings: bytes,
    ) -> None:
        self.rules = tuple(rules)
        self.default = default
        self.words = words
        self.version = _version(rules, default, words, surroundings)
        self.by_name = {rule.name: rule for rule in rules}
        self._conditions = conditions
        self._guards = guards
        self._reads = tuple(reads)
        self.asks_where_last = any("contact.last_queue" in one for one in reads)
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

    def holds(self, guard: str, facts: Facts) -> bool:
        """Whether the `unless` of a target holds; one that cannot be evaluated does not."""
        return self._guards[guard].outcomes(facts).get(0) is True

    def reads(self, place: int) -> frozenset[str]:
        """The variables that a rule's condition uses."""
        return self._reads[place]

    def read_until(self, places: int) -> Sequence[str]:
        """The variables that the first so many rules use, sorted."""
        return self._read_until[places]

    def missed(self, count: int) -> list[Tried]:
        """That the first so many rules did not match."""
        return list(self._missed[:count])


class _Walk:
    """One way down the rules that may matter; all the others are false."""

    def __init__(self, rules: RuleSet, facts: Facts, no_automation: str | None) -> None:
        self._rules = rules
        self._facts = facts
        self._no_automation = no_automation
        self._tried: dict[int, Tried] = {}
        self._errors: list[str] = []
        self._matched: list[Rule] = []
        self._end: _Way | None = None
        self._seen = len(rules.rules)

    def passes(self, place: int, outcome: bool | str) -> bool:
        """Pass a rule that is not false; true when it ends the walk."""
        rule = self._rules.rules[place]
        if outcome is not True:
            self._errors.append(rule.name)
            self._tried[place] = Tried(target=rule.name, result="error", why=str(outcome))
            return False
        way = self._way(rule) if rule.leads_somewhere else None
        if isinstance(way, str):
            self._tried[place] = Tried(target=rule.name, result="skipped", why=way)
            return False
        self._tried[place] = Tried(target=rule.name, result="matched", why=self._because(place))
        self._matched.append(rule)
        if way is not None:
            self._end = way
        if rule.ends:
            self._seen = place + 1
        return rule.ends

    def _way(self, rule: Rule) -> _Way | str:
        """Where the rule leads this conversation; the reason, when it leads nowhere now."""
        if rule.targets:
            return _Way(rule=rule, to=rule.targets[0].to)
        if rule.sticky is not None:
            place = self._facts.around.sticky_place(rule.sticky.within_ms, frozenset(rule.skills))
            return place if isinstance(place, str) else _back_to(place, rule)
        to = self._drawn(rule.split) if rule.split else rule.to
        if to is None or (self._no_automation is not None and to.startswith("automation:")):
            return self._no_automation or "no part of the split is left"
        return _Way(rule=rule, to=to)

    def _drawn(self, split: Mapping[str, int]) -> str | None:
        """The part of a split that a conversation falls to: always the same one while the weights are."""
        barred = self._no_automation is not None
        parts = {to: weight for to, weight in split.items() if not (barred and to.startswith("automation:"))}
        total = sum(parts.values())
        if not total:
            return None
        at = int(ids.derive("split", self._facts.conversation.id)[-12:], 16) % total
        for to, weight in parts.items():
            at -= weight
            if at < 0:
                return to
        return None

    def _because(self, place: int) -> str | None:
        values = [f"{name} = {as_input(self._facts.value(name))!r}" for name in sorted(self._rules.reads(place))]
        return ", ".join(values)[:500] or None

    def _listed(self) -> tuple[Tried, ...]:
        """The first rules in full, of the rest those that did something: a thousand would outweigh the message."""
        tried, rules = self._tried, self._rules
        first = rules.missed(min(self._seen, MAX_TRIED))
        for place, one in tried.items():
            if place < len(first):
                first[place] = one
        rest = [one for place, one in tried.items() if place >= MAX_TRIED]
        return (*first, *rest[-MAX_TRIED:])

    def verdict(self) -> Verdict:
        end = self._end
        return Verdict(
            to=self._rules.default if end is None else end.to,
            rule=None if end is None else end.rule.name,
            targets=() if end is None else end.rule.targets,
            agent=None if end is None else end.agent,
            tried=self._listed(),
            told=tuple(self._tried.values())[-2 * MAX_TRIED :],
            inputs={name: as_input(self._facts.value(name)) for name in self._rules.read_until(self._seen)},
            errors=tuple(self._errors[:MAX_TRIED]),
            priority=_last([rule.priority for rule in self._matched]),
            tags=tuple(dict.fromkeys(tag for rule in self._matched for tag in rule.tags)),
            skills=tuple(dict.fromkeys(skill for rule in self._matched for skill in rule.skills)),
            language=_last([rule.language for rule in self._matched]),
            attributes={name: value for rule in self._matched for name, value in rule.attributes.items()},
        )


class _Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rule leads."""

    rule: Rule
    to: str
    agent: str | None = None


def _back_to(place: LastPlace, rule: Rule) -> _Way:
    agent = place.agent if rule.sticky is not None and rule.sticky.agent else None
    return _Way(rule=rule, to=f"queue:{place.queue}", agent=agent)


def _running_union(reads: Sequence[frozenset[str]]) -> list[tuple[str, ...]]:
    """For 0, 1, 2 ... rules: what they read together. Equal neighbours share one tuple."""
    unions: list[tuple[str, ...]] = [()]
    for one in reads:
        unions.append(unions[-1] if one <= set(unions[-1]) else tuple(sorted({*unions[-1], *one})))
    return unions


def _last(values: Sequence[str | None]) -> str | None:
    return next((value for value in reversed(values) if value is not None), None)


def _version(rules: Sequence[Rule], default: str, words: HumanWords, surroundings: bytes) -> str:
    plain = [msgspec.structs.replace(rule, place="") for rule in rules]
    content = msgspec.json.encode([plain, default, words.phrases], order="deterministic")
    return "rules_" + hashlib.sha256(content + surroundings).hexdigest()[:12]


def load_rules(
    rules: Sequence[Rule],
    *,
    default: str,
    queues: Collection[str],
    automations: Collection[str],
    words: HumanWords | None = None,
    calendars: Collection[str] | None = None,
    surroundings: bytes = b"",
) -> RuleSet:
    """Check and compile. Raises BadRules with every error found. Without `words`, the shipped lists.

    `surroundings` is what decisions depend on besides the rules (queues, calendars), for the version.
    """
    known = {"queue": queues, "automation": automations, **({} if calendars is None else {"calendar": calendars})}
    errors = [error for rule in rules for error in rule_errors(rule, known)] + list(repeated(rules))
    if len(rules) > MAX_RULES:
        errors.append(RuleError(place="routes", rule="", why=f"more than {MAX_RULES} rules"))
    loading = _Loading(known)
    for rule in rules:
        loading.rule(rule)
    errors += loading.errors
    if errors:
        raise BadRules(errors)
    reads = [_read_by(rule) for rule in rules]
    conditions = Conditions(loading.conditions, loading.patterns)
    return RuleSet(rules, default, words or shipped_words(), conditions, reads, loading.guards, surroundings)


def _read_by(rule: Rule) -> frozenset[str]:
    looked_up = {"contact.last_queue"} if rule.sticky is not None else set()
    return frozenset(variables_in(rule.when, VARIABLES.__contains__) | looked_up)


class _Loading:
    """Compiles the conditions of rules one by one, and collects what is wrong with them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.patterns = Patterns()
        self.conditions: list[Condition] = []
        self.guards: dict[str, Conditions] = {}
        self.errors: list[RuleError] = []

    def rule(self, rule: Rule) -> None:
        """Compile a rule's condition, and those of its targets."""
        condition = self._compiled(rule, "when", rule.when, self.patterns)
        if condition is not None:
            self.conditions.append(condition)
        for index, target in enumerate(rule.targets):
            if target.unless is not None and target.unless not in self.guards:
                patterns = Patterns()
                guard = self._compiled(rule, f"targets.{index}.unless", target.unless, patterns)
                if guard is not None:
                    self.guards[target.unless] = Conditions([guard], patterns)

    def _compiled(self, rule: Rule, field: str, text: str, patterns: Patterns) -> Condition | None:
        self.errors += key_errors(rule, field, text, self._known)
        try:
            return condition_of(text, patterns)
        except BadCondition as bad:
            self.errors += [
                RuleError(
                    place=f"{rule.place}.{field}",
                    rule=rule.name,
                    why=problem.why,
                    line=problem.line,
                    column=problem.column,
                    near=problem.near,
                )
                for problem in bad.problems
            ]
            return None
