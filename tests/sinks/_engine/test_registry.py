"""A sink is found because its folder is there; one that is broken breaks only itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibus.config.describe import settings_table
from omnibus.errors import Misconfigured
from sinks._engine.declaration import Sink
from sinks._engine.registry import discover, discover_in, load_destination

ROOT = Path(__file__).parents[3]


def declared() -> list[Sink]:
    return list(discover().plugins.values())


def test_a_broken_folder_breaks_only_itself() -> None:
    found = discover_in({"jsonl": "sinks.jsonl", "broken": "sinks.no_such_folder"})
    assert list(found.plugins) == ["jsonl"]
    with pytest.raises(Misconfigured, match="cannot be imported: ModuleNotFoundError"):
        found.get("broken")


def test_a_folder_whose_sink_is_something_else_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "a_sink_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sink.py").write_text("SINK = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "is no Sink" in discover_in({"seven": "a_sink_for_tests"}).broken["seven"]


def test_an_unknown_sink_names_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match="no sink 'smoke'; known: jsonl"):
        discover_in({"jsonl": "sinks.jsonl"}).get("smoke")


@pytest.mark.parametrize("sink", declared(), ids=lambda sink: sink.name)
def test_a_sink_keeps_the_rules_of_its_folder(sink: Sink) -> None:
    folder = ROOT / "sinks" / sink.name
    assert sink.package == f"sinks.{sink.name}"
    assert sink.docs.startswith("https://")
    assert callable(load_destination(sink))
    assert [row.name for row in settings_table(sink.settings) if not row.description] == []
    readme = (folder / "README.md").read_text("utf-8")
    assert [part for part in ("# ", "## Set up", "## Guarantees", "## When it fails") if part not in readme] == []
