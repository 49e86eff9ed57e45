"""Compiles the conditions of a rule set, and says exactly what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

import msgspec
import re2
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from router.rules.facts import TYPES, VARIABLES, Facts
from router.rules.narrowing import HITS, Need, needs_of
from router.rules.tokens import match_calls, replaced, variables_in

MAX_CONDITION_CHARS = 4_000
MAX_GROUP_CHARS = 50_000
"""The evaluator takes expressions of at most 100,000 characters; conditions are joined up to half of that."""
_NO_BOOL = "neither true nor false"
_PROBLEM = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_FUNCTIONS = (
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "size",
    "exists",
    "all",
    "exists_one",
    "orValue",
    "lowerAscii",
    "getHours",
    "getDayOfWeek",
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a condition: where in it (both from 1), why, and what was probably meant."""

    line: int
    column: int
    why: str
    near: tuple[str, ...] = ()


class BadCondition(Exception):
    """A condition that cannot be compiled."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.why for problem in problems))
        self.problems = tuple(problems)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A checked condition: the text it runs as, and what must be known before it runs."""

    text: str
    variables: frozenset[str]
    need: Need | None = None
    is_bool: bool = True
    """Whether it is true or false whatever the values are; otherwise that shows when it is evaluated."""


@cache
def _checking() -> cel.Env:
    return cel.NewEnv(variables=TYPES, extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()])


@cache
def _running() -> cel.Env:
    variables = {**TYPES, HITS: cel.Type.List(cel.Type.BOOL)}
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()])


class Patterns:
    """The regular expressions of a rule set, matched in one pass over each text they look at.

    The evaluator would compile a pattern afresh for every call; here each is compiled once, and a bad one is found
    when the rules are loaded.
    """

    def __init__(self) -> None:
        self._options = re2.Options()
        self._options.log_errors = False
        self._options.max_mem = 64 << 20
        self._places: dict[tuple[str, str], int] = {}
        self._sets: dict[str, tuple[re2.Set, list[int]]] = {}

    def place(self, subject: str, pattern: str) -> int:
        """The index among the hits of this pattern over this variable. Raises re2.error for a bad pattern."""
        re2.compile(pattern, self._options)
        return self._places.setdefault((subject, pattern), len(self._places))

    def freeze(self) -> None:
        """Compile; no pattern can be added afterwards."""
        for (subject, pattern), place in self._places.items():
            patterns, places = self._sets.setdefault(subject, (re2.Set.SearchSet(self._options), []))
            patterns.Add(pattern)
            places.append(place)
        for patterns, _ in self._sets.values():
            patterns.Compile()

    def hits(self, facts: Facts) -> list[int]:
        """The places of the patterns that are in the texts of `facts`."""
        return [
            places[index]
            for subject, (patterns, places) in self._sets.items()
            for index in patterns.Match(str(facts.value(subject))) or ()
        ]

    def marks(self, hits: Sequence[int]) -> list[bool]:
        """For every pattern, whether it is among these."""
        found = [False] * len(self._places)
        for place in hits:
            found[place] = True
        return found


def condition_of(text: str, patterns: Patterns) -> Condition:
    """A checked condition. Raises BadCondition."""
    if len(text) > MAX_CONDITION_CHARS:
        raise BadCondition([Problem(line=1, column=1, why=f"longer than {MAX_CONDITION_CHARS} characters")])
    try:
        checked = _checking().compile(text)
    except RuntimeError as error:
        raise BadCondition(_problems(str(error))) from None
    kind = checked.return_type().name()
    if kind not in ("BOOL", "DYN"):
        why = f"a condition is true or false, this is {kind.lower()}"
        raise BadCondition([Problem(line=1, column=1, why=why)])
    rewritten = _with_hits(text, patterns)
    return Condition(
        text=rewritten,
        variables=frozenset(variables_in(rewritten, TYPES.__contains__)),
        need=_rarest(needs_of(rewritten, _type_in_words, _literal)),
        is_bool=kind == "BOOL",
    )


def _rarest(needs: Sequence[Need]) -> Need | None:
    """The need that is probably met least often: what a text holds says more than which channel it came by."""
    order = ("hit", "has", "equals")
    return min(needs, key=lambda need: (order.index(need.kind), isinstance(need.value, bool)), default=None)


def _type_in_words(name: str) -> str | None:
    return VARIABLES[name].type if name in VARIABLES else None


def _literal(text: str) -> str:
    value: str = _checking().compile(text).eval().plain_value()
    return value


def _with_hits(text: str, patterns: Patterns) -> str:
    spans = []
    for call in match_calls(text):
        pattern = _literal(call.literal)
        try:
            if call.subject in VARIABLES and VARIABLES[call.subject].type == "string":
                spans.append((call.start, call.end, f"{HITS}[{patterns.place(call.subject, pattern)}]"))
            else:
                Patterns().place("", pattern)
        except re2.error as error:
            raise BadCondition([_bad_pattern(text, call.start, pattern, error)]) from None
    return replaced(text, spans)


def _bad_pattern(text: str, start: int, pattern: str, error: re2.error) -> Problem:
    reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return Problem(line=line, column=column, why=f"bad regular expression {pattern!r}: {reason}")


def _problems(report: str) -> list[Problem]:
    found = [_problem(int(line), int(column), why) for line, column, why in _PROBLEM.findall(report)]
    return found or [Problem(line=1, column=1, why=report.splitlines()[0][:300])]


def _problem(line: int, column: int, why: str) -> Problem:
    why = why.removesuffix(" (in container '')").removesuffix(" [INVALID_ARGUMENT]")
    undeclared = _UNDECLARED.search(why)
    if undeclared is None:
        return Problem(line=line, column=column, why=why[:300])
    name = undeclared[1]
    # The checker points at the last dot of a dotted name; people look for its beginning.
    at = max(1, column - (len(name.rpartition(".")[0]) if "." in name else 0))
    return Problem(line=line, column=at, why=f"unknown name {name!r}", near=near_names(name))


def near_names(name: str) -> tuple[str, ...]:
    """The declared names most like `name`."""
    beginning = tuple(known for known in TYPES if known.startswith(f"{name}."))
    return beginning or tuple(get_close_matches(name, [*TYPES, *_FUNCTIONS], n=3, cutoff=0.6))


class Group(msgspec.Struct, frozen=True):
    """Conditions evaluated as one list: which ones, and what they read."""

    places: tuple[int, ...]
    together: cel.Expression
    singly: tuple[cel.Expression, ...]
    variables: frozenset[str]
    uses_hits: bool
    all_bool: bool


class Conditions:
    """All conditions of a rule set, ready to run.

    Conditions with a need in common are in groups of their own, evaluated only when the need is met: of a thousand
    rules for a thousand campaigns, those of the campaigns in hand.
    """

    def __init__(self, conditions: Sequence[Condition], patterns: Patterns) -> None:
        patterns.freeze()
        self._patterns = patterns
        by_need: dict[Need | None, list[tuple[int, Condition]]] = {}
        for place, condition in enumerate(conditions):
            by_need.setdefault(condition.need, []).append((place, condition))
        self._always = _groups(by_need.pop(None, []))
        self._by_hit: dict[int, list[Group]] = {}
        self._by_value: dict[str, dict[str | bool | int, list[Group]]] = {}
        for need, members in by_need.items():
            assert need is not None
            if need.kind == "hit":
                self._by_hit[int(need.value)] = _groups(members)
            else:
                self._by_value.setdefault(need.variable, {})[need.value] = _groups(members)

    def outcomes(self, facts: Facts) -> dict[int, bool | str]:
        """By place: true, or the reason it could not be evaluated, of every condition that is not false."""
        hits = self._patterns.hits(facts)
        groups = self._worth_a_look(facts, hits)
        if not groups:
            return {}
        names = frozenset().union(*(group.variables for group in groups))
        values: dict[str, Any] = {name: facts.value(name) for name in names}
        values[HITS] = self._patterns.marks(hits) if any(group.uses_hits for group in groups) else []
        activation = _running().Activation(values)
        found: dict[int, bool | str] = {}
        for group in groups:
            outcomes = results(group, activation)
            if outcomes.count(False) < len(outcomes):
                pairs = zip(group.places, outcomes, strict=True)
                found.update({place: outcome for place, outcome in pairs if outcome is not False})
        return found

    def _worth_a_look(self, facts: Facts, hits: Sequence[int]) -> list[Group]:
        groups = list(self._always)
        for place in hits:
            groups += self._by_hit.get(place, ())
        for variable, by_value in self._by_value.items():
            value = facts.value(variable)
            for one in set(value) if isinstance(value, list) else (value,):
                groups += by_value.get(one, ())  # type: ignore[arg-type]  # times and maps have no needs
        return groups


def results(group: Group, activation: cel.Activation) -> list[bool | str]:
    """For every condition of a group: true, false, or the reason it could not be evaluated."""
    together = group.together.eval(activation)
    if together.type() != cel.Type.ERROR:
        values: list[bool | str] = together.plain_value()
        return values if group.all_bool else [value if isinstance(value, bool) else _NO_BOOL for value in values]
    return [_result(single.eval(activation)) for single in group.singly]


def _result(value: cel.Value) -> bool | str:
    if value.type() == cel.Type.BOOL:
        return bool(value.value())
    return str(value.value())[:200] if value.type() == cel.Type.ERROR else _NO_BOOL


def _groups(members: Sequence[tuple[int, Condition]]) -> list[Group]:
    parts: list[list[tuple[int, Condition]]] = []
    size = MAX_GROUP_CHARS + 1
    for place, condition in members:
        if size + len(condition.text) + 4 > MAX_GROUP_CHARS:
            parts.append([])
            size = 0
        parts[-1].append((place, condition))
        size += len(condition.text) + 4
    return [_group(part) for part in parts]


def _group(members: Sequence[tuple[int, Condition]]) -> Group:
    # On lines of their own, so that a comment at the end of one does not swallow the next.
    joined = ",\n".join(f"({condition.text}\n)" for _, condition in members)
    env = _running()
    return Group(
        places=tuple(place for place, _ in members),
        together=env.compile(f"[{joined}]"),
        singly=tuple(env.compile(condition.text) for _, condition in members),
        variables=frozenset().union(*(condition.variables for _, condition in members)),
        uses_hits=any(HITS in condition.text for _, condition in members),
        all_bool=all(condition.is_bool for _, condition in members),
    )
