"""Channels from the command line: what there is, and one of your own from its first minute."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from omnibus.errors import Misconfigured

Omnibus = Callable[..., Result]
FIXTURES = Path(__file__).parents[3] / "connectors/webhook/fixtures"

PLACE = """class Place(msgspec.Struct, frozen=True):
    lat: float
    lon: float
    name: str


class Note("""
MAPPED = (
    ("import Content, Text, Unsupported", "import Content, Location, Text, Unsupported"),
    ('    text: str = ""\n', '    text: str = ""\n    place: Place | None = None\n'),
    ("class Note(", PLACE),
    (
        "    return Unsupported(",
        """    if note.place is not None:
        return Location(lat=note.place.lat, lon=note.place.lon, name=note.place.name)
    return Unsupported(""",
    ),
)
"""What somebody changes in the new mapping, so that it understands a place."""


@pytest.fixture
def pigeon(omnibus: Omnibus, here: Path) -> Iterator[Path]:
    """A channel as `omnibus channel new` leaves it; nothing of it stays importable."""
    path = list(sys.path)
    assert omnibus("channel", "new", "pigeon", "--dir", str(here)).exit_code == 0
    yield here / "pigeon"
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] == "pigeon"]:
        del sys.modules[name]


def test_every_channel_is_listed(omnibus: Omnibus) -> None:
    rows = json.loads(omnibus("channel", "list", "--json").output)
    levels = {row["channel"]: row["level"] for row in rows}
    assert levels.keys() >= {"email", "telegram", "webchat", "webhook"}
    assert (levels["telegram"], levels["webhook"]) == ("complete", "converses")
    assert "poll, webhook" in next(
        line for line in omnibus("channel", "list").output.splitlines() if line.startswith("telegram ")
    )


def test_a_channel_shows_what_it_can_do(omnibus: Omnibus) -> None:
    shown = omnibus("channel", "show", "telegram").output
    assert "up to 50 MB" in shown
    assert "bot_token" in shown
    told = json.loads(omnibus("channel", "show", "telegram", "--json").output)
    assert told["capabilities"]["max_text_chars"] == 4096
    assert [row["name"] for row in told["settings"] if row["required"]] == ["bot_token"]


def test_an_unknown_channel_is_answered_with_those_there_are(omnibus: Omnibus) -> None:
    error = omnibus("channel", "show", "pidgeon").exception
    assert isinstance(error, Misconfigured)
    assert "telegram" in str(error)


def test_a_new_channel_has_one_thing_to_do(omnibus: Omnibus, pigeon: Path) -> None:
    """Everything of the contract holds, but for the fixture that waits for its mapping."""
    result = omnibus("channel", "test", str(pigeon), "--json")
    assert result.return_value == 1
    findings = json.loads(result.output)["findings"]
    failed = [(finding["statement"], finding["fixture"]) for finding in findings if finding["problem"]]
    assert failed == [("a request becomes exactly its events", "place")]


def test_the_new_channel_is_done_when_it_is_mapped(omnibus: Omnibus, pigeon: Path) -> None:
    mapping = pigeon / "mapping.py"
    text = mapping.read_text()
    for old, new in MAPPED:
        assert old in text
        text = text.replace(old, new)
    mapping.write_text(text)
    result = omnibus("channel", "test", str(pigeon))
    assert result.return_value == 0, result.output
    assert result.output.endswith("pigeon: 21 checks, none failed\n")


def test_fixtures_can_be_rewritten(omnibus: Omnibus, pigeon: Path) -> None:
    assert omnibus("channel", "test", str(pigeon), "--update-fixtures").return_value == 0
    assert "unsupported" in (pigeon / "fixtures/place.unified.json").read_text()


def test_a_new_channel_writes_over_nothing(omnibus: Omnibus, here: Path) -> None:
    (here / "pigeon").mkdir()
    assert "nothing was written" in str(omnibus("channel", "new", "pigeon", "--dir", str(here)).exception)
    assert list((here / "pigeon").iterdir()) == []


@pytest.mark.parametrize("name", ["Pigeon", "pigeon-post", "../pigeon", "_pigeon", "telegram", ""])
def test_a_name_that_would_not_work_is_refused(omnibus: Omnibus, here: Path, name: str) -> None:
    assert isinstance(omnibus("channel", "new", name, "--dir", str(here / "new")).exception, Misconfigured)
    assert not (here / "new").exists()


def test_a_channel_of_this_installation_is_tested_by_its_name(omnibus: Omnibus) -> None:
    result = omnibus("channel", "test", "webhook")
    assert result.return_value == 0
    assert "none failed" in result.output


def test_something_that_is_no_channel_is_a_sentence(omnibus: Omnibus, here: Path) -> None:
    error = omnibus("channel", "test", str(here)).exception
    assert isinstance(error, Misconfigured)
    assert "no folder with a channel.py" in str(error)


def test_captured_requests_show_their_events(omnibus: Omnibus) -> None:
    result = omnibus("channel", "replay", "webhook", str(FIXTURES / "text.raw.json"), "--json")
    told = json.loads(result.output)
    assert result.return_value == 0
    assert told["threads"] == ["order-77"]
    assert told["events"] == json.loads((FIXTURES / "text.unified.json").read_text())


def test_a_request_that_cannot_be_read_is_what_the_dead_letters_would_say(omnibus: Omnibus, pigeon: Path) -> None:
    broken = pigeon / "fixtures/broken.raw.json"
    broken.write_text((pigeon / "fixtures/text.raw.json").read_text().replace('"thread": "t-17",', ""))
    result = omnibus("channel", "replay", str(pigeon), str(broken))
    assert result.return_value == 1
    assert "dead letter: body: " in result.output
    assert "thread" in result.output
