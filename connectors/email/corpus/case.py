"""The folder's layout: `<source>/<name>.eml|.txt|.html`, and beside each `<source>/<name>.expected.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

_SUFFIXES = (".eml", ".txt", ".html")


@dataclass(frozen=True)
class Case:
    """A file and what its source says about it. `expect` is foreign data and stays what it is."""

    id: str
    source: str
    kind: str
    path: Path
    expect: dict[str, Any]

    def data(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True)
class Check:
    """One statement of the source, and what we say."""

    field: str
    ok: bool
    expected: Any
    got: Any


def cases_in(folder: Path) -> Iterator[Case]:
    """Every case with an answer. Raises msgspec.DecodeError for an answer that is no JSON."""
    for answer in sorted(folder.glob("*/*.expected.json")):
        stated = msgspec.json.decode(answer.read_bytes())
        name = answer.name.removesuffix(".expected.json")
        path = next((found for suffix in _SUFFIXES if (found := answer.with_name(name + suffix)).exists()), None)
        if path is not None and stated.get("expect"):
            yield Case(f"{answer.parent.name}/{name}", answer.parent.name, stated["kind"], path, stated["expect"])
