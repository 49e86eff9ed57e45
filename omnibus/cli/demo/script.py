"""What the demo plays: conversations as scripts, and what must come of every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from omnibus.cli.demo.people import Person, more, opening, person

Door = Literal["webhook", "webchat", "email", "telegram"]
Kind = Literal["say", "picture", "batch", "again", "edit", "early_edit", "html", "broken", "forged"]
"""`again` repeats the step before, byte for byte; `early_edit` is an edit that overtakes its message; `broken` cannot
be understood, `forged` cannot be proven."""


@dataclass(frozen=True)
class Step:
    """One thing somebody does. `tags` are unique marks in its words, one for each message it holds."""

    kind: Kind
    tags: tuple[str, ...]
    words: str
    repeats: Kind | None = None

    @property
    def shape(self) -> Kind:
        """What the request looks like: for a copy, what it copies."""
        return self.repeats or self.kind

    @property
    def requests(self) -> int:
        """How many requests it takes: an edit that overtakes its message is two."""
        return 2 if self.shape == "early_edit" else 1

    def text(self, index: int = 0) -> str:
        """The words with their mark in front, as a customer puts an order number."""
        return f"#{self.tags[index]} {self.words}"


@dataclass(frozen=True)
class Talk:
    """One person's conversation through one door. `answered`: our side replies to it."""

    number: int
    door: Door
    person: Person
    steps: tuple[Step, ...]
    answered: bool


SHARE: Mapping[Door, int] = {"webhook": 40, "webchat": 25, "email": 20, "telegram": 15}
_EXTRAS: Mapping[Door, tuple[Kind, ...]] = {
    "webhook": ("batch", "again", "say", "say"),
    "webchat": ("picture", "again", "say", "say"),
    "email": ("html", "picture", "again", "say"),
    "telegram": ("edit", "picture", "again", "early_edit", "say"),
}
_BAD: Mapping[Door, tuple[Kind, ...]] = {
    "webhook": ("broken", "forged"),
    "webchat": ("broken",),
    "email": ("broken",),
    "telegram": ("broken", "forged"),
}
BAD_ONE_IN = 8
ANSWERED_ONE_IN = 3


def write(run: str, count: int, doors: Sequence[Door], seed: int, forgeable: Sequence[Door]) -> list[Talk]:
    """`count` scripts over these doors; the same seed writes the same. Forgeries only where senders are proven."""
    return _Writer(run, Random(seed), forgeable).talks(count, doors)  # noqa: S311 - a play, not a secret


class _Writer:
    def __init__(self, run: str, random: Random, forgeable: Sequence[Door]) -> None:
        self._run = run
        self._random = random
        self._forgeable = forgeable
        self._tags = 0

    def talks(self, count: int, doors: Sequence[Door]) -> list[Talk]:
        weights = [SHARE[door] for door in doors]
        chosen = self._random.choices(list(doors), weights=weights, k=count)
        return [self._talk(number, door) for number, door in enumerate(chosen)]

    def _talk(self, number: int, door: Door) -> Talk:
        who = person(self._random, self._run, number)
        steps = [self._step("say", opening(self._random, who))]
        for _ in range(self._random.randrange(4)):
            steps += self._further(door, who, steps[-1])
        if self._random.randrange(BAD_ONE_IN) == 0:
            kind = self._random.choice(_BAD[door])
            if kind != "forged" or door in self._forgeable:
                steps.append(self._step(kind, "?"))
        return Talk(number, door, who, tuple(steps), self._random.randrange(ANSWERED_ONE_IN) == 0)

    def _further(self, door: Door, who: Person, before: Step) -> list[Step]:
        kind = self._random.choice(_EXTRAS[door])
        if kind == "again":
            return [Step("again", before.tags, before.words, before.shape)]
        if kind == "edit":
            said = self._step("say", more(self._random, who))
            return [said, Step("edit", said.tags, f"{said.words} (!)")]
        return [self._step(kind, more(self._random, who), messages=3 if kind == "batch" else 1)]

    def _step(self, kind: Kind, words: str, messages: int = 1) -> Step:
        tags = tuple(f"{self._run}-{self._tags + n:04d}" for n in range(messages))
        self._tags += messages
        return Step(kind, tags, words)


@dataclass(frozen=True)
class Expected:
    """What must come of a play, by mark and in numbers."""

    received: frozenset[str]
    edited: frozenset[str]
    sent: int
    accepted: int
    refused: int
    raw: int
    copies: int
    dead: int
    conversations: int


def expected(talks: Sequence[Talk]) -> Expected:
    """Counted from the scripts alone."""
    received: set[str] = set()
    edited: set[str] = set()
    sent = accepted = refused = copies = dead = at_the_door = split = 0
    for talk in talks:
        for step in talk.steps:
            sent += step.requests
            if step.kind == "forged" or (step.kind == "broken" and talk.door == "webchat"):
                refused += 1
                continue
            accepted += step.requests
            split += step.kind == "broken" and talk.door == "email"  # it names no earlier mail: a thread of its own
            if step.kind == "broken" and talk.door in ("webhook", "telegram"):
                dead += 1
            elif step.kind == "edit":
                edited |= set(step.tags)
            elif step.kind == "again":
                copies += step.requests * len(step.tags)
                at_the_door += talk.door == "webchat"  # the chat knows its own frames: a copy is not stored again
            else:
                received |= set(step.tags)
                edited |= set(step.tags) if step.kind == "early_edit" else set()
    return Expected(
        received=frozenset(received),
        edited=frozenset(edited),
        sent=sent,
        accepted=accepted,
        refused=refused,
        raw=accepted - at_the_door,
        copies=copies,
        dead=dead,
        conversations=len(talks) + split,
    )
