"""Imports point inward; every violation gets a sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("omnibus", "connectors", "normalizer", "router", "sinks")
OWNERS = {  # a library that only one place may import
    "aiokafka": ("omnibus/bus/kafka",),
    "sqlite3": ("omnibus/bus/embedded", "omnibus/stage/store"),
    "aioimaplib": ("connectors/email",),
}


def files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def violation(path: Path, line: int, name: str) -> str | None:
    """The sentence for a forbidden import, None when it is fine."""
    here = path.relative_to(ROOT).as_posix()
    mine, target = here.partition("/")[0], name.partition(".")[0]
    owners = OWNERS.get(target)
    if owners and not here.startswith(owners):
        return f"{here}:{line} imports {target}, which only {' and '.join(owners)} may: use what they offer"
    if target not in PACKAGES or target == mine == "omnibus":
        return None
    if mine == "omnibus":
        return f"{here}:{line} imports {name}: the kernel imports none of the packages it serves; load it by name"
    if mine != target and target != "omnibus":
        return f"{here}:{line} imports {name}: stages meet on topics, never by import"
    if mine in ("connectors", "sinks") and target == mine:
        return _sibling(here, line, name)
    return None


def _sibling(here: str, line: int, name: str) -> str | None:
    folder, other = here.split("/")[1], name.split(".")[1]
    if folder == other or folder.startswith("_") or other.startswith("_"):
        return None
    return f"{here}:{line} imports {name}: a folder shares with its siblings through `_shared`, not by import"


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_inward(path: Path) -> None:
    found = [sentence for line, name in imports_of(path) if (sentence := violation(path, line, name))]
    assert found == []


def test_the_rule_sees_a_violation() -> None:
    """The check can fail: each rule, on an import that breaks it."""
    assert violation(ROOT / "omnibus/cli/up.py", 1, "router.stage") is not None
    assert violation(ROOT / "router/stage.py", 1, "normalizer.stage") is not None
    assert violation(ROOT / "connectors/telegram/send.py", 1, "connectors.email.send") is not None
    assert violation(ROOT / "router/stage.py", 1, "sqlite3") is not None
    assert violation(ROOT / "connectors/telegram/send.py", 1, "connectors._shared.meta") is None


def test_tests_have_no_init_files() -> None:
    """An `__init__.py` under tests would shadow our packages and let discovery find nothing."""
    assert sorted((ROOT / "tests").rglob("__init__.py")) == []
