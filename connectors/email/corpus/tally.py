"""Runs the cases, counts what is right, and measures the time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.email.corpus.case import Case, Check

Checker = Callable[[Case], Iterable[Check]]


@dataclass
class Tally:
    """The outcome of a run. Times are seconds for each file, reading from disk left out by the page cache."""

    right: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    stated: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[tuple[str, Check]] = field(default_factory=list)
    exceptions: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, case: Case, checks: Iterable[Check]) -> None:
        for check in checks:
            key = (case.source, case.kind, check.field)
            self.stated[key] += 1
            if check.ok:
                self.right[key] += 1
            else:
                self.failures.append((case.id, check))

    def rows(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Source, kind, field, right, stated: a sum for each kind comes after its fields."""
        sums: dict[str, list[int]] = {}
        for key in sorted(self.stated):
            right, stated = self.right[key], self.stated[key]
            total = sums.setdefault(key[1], [0, 0])
            total[0] += right
            total[1] += stated
            yield (*key, right, stated)
        for kind, (right, stated) in sums.items():
            yield ("all", kind, "all", right, stated)

    def times(self) -> dict[str, float]:
        """Milliseconds: mean, 95th percentile and maximum."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "mean_ms": round(1000 * sum(ordered) / len(ordered), 3),
            "p95_ms": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 3),
            "max_ms": round(1000 * ordered[-1], 3),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "rates": [
                {"source": source, "kind": kind, "field": name, "right": right, "stated": stated}
                for source, kind, name, right, stated in self.rows()
            ],
            "failures": [
                {"id": name, "field": check.field, "expected": check.expected, "got": check.got}
                for name, check in self.failures
            ],
            "exceptions": [{"id": name, "error": error} for name, error in self.exceptions],
            **self.times(),
        }


def run(cases: Iterable[Case], checkers: dict[str, Checker]) -> Tally:
    """Checks each case by its kind; kinds nobody checks are left out."""
    tally = Tally()
    for case in cases:
        checker = checkers.get(case.kind)
        if checker is None:
            continue
        began = time.thread_time()
        try:
            checks = list(checker(case))
        except Exception as error:  # a mail that breaks the reader is the very thing a run looks for: it is listed
            tally.exceptions.append((case.id, f"{type(error).__name__}: {error}"))
            continue
        tally.seconds.append(time.thread_time() - began)
        tally.add(case, checks)
    return tally
