"""What commands print fits the terminal, cannot redraw it, and can be piped."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from omnibus.cli import console

HEAD = ("id", "stage", "why")
ROWS = [
    ("9:0", "normalizer", "body: expected JSON: unexpected character, expected a string key"),
    ("10:0", "sink.a", "no"),
]


@pytest.fixture
def printed() -> io.StringIO:
    """What a terminal shows."""
    return io.StringIO()


def on_terminal(monkeypatch: pytest.MonkeyPatch, file: io.StringIO, width: int) -> None:
    terminal = Console(file=file, width=width, force_terminal=True, color_system=None, highlight=False, soft_wrap=True)
    monkeypatch.setattr(console, "out", terminal)


def lines(file: io.StringIO) -> list[str]:
    return file.getvalue().splitlines()


def test_a_table_that_fits_is_one_line_a_row(monkeypatch: pytest.MonkeyPatch, printed: io.StringIO) -> None:
    on_terminal(monkeypatch, printed, 100)
    console.print_table("", HEAD, ROWS)
    assert lines(printed) == [
        "id    stage       why",
        "9:0   normalizer  body: expected JSON: unexpected character, expected a string key",
        "10:0  sink.a      no",
    ]


def test_sentences_are_wrapped_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, printed: io.StringIO
) -> None:
    on_terminal(monkeypatch, printed, 60)
    console.print_table("", HEAD, ROWS)
    assert lines(printed) == [
        "id    stage       why",
        "9:0   normalizer  body: expected JSON: unexpected character,",
        "                  expected a string key",
        "10:0  sink.a      no",
    ]


def test_a_row_becomes_a_block_where_columns_would_be_slivers(
    monkeypatch: pytest.MonkeyPatch, printed: io.StringIO
) -> None:
    on_terminal(monkeypatch, printed, 36)
    console.print_table("", HEAD, ROWS)
    assert lines(printed) == [
        "9:0",
        "  stage  normalizer",
        "  why    body: expected JSON:",
        "         unexpected character,",
        "         expected a string key",
        "10:0",
        "  stage  sink.a",
        "  why    no",
    ]


def test_what_is_piped_is_never_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    console.print_table("", HEAD, ROWS)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_numbers_stand_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table("", ("topic", "records"), [("a", 5), ("b", 12_000)], right=(1,))
    assert capsys.readouterr().out.splitlines()[1:] == ["a            5", "b        12000"]


def test_a_customers_words_cannot_redraw_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table("", ("says",), [("\x1b[2J\x1b]0;owned\x07 [bold]hi[/] \u202eevil\nnext",)])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "[bold]hi[/]" in shown
    assert "evil next" in shown


def test_wide_characters_keep_the_columns_straight(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table("", ("name", "n"), [("日本", 1), ("ana", 2)])
    assert capsys.readouterr().out.splitlines()[1:] == ["日本  1", "ana   2"]


def test_columns_that_say_nothing_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.show([{"a": 1, "b": ""}, {"a": 2, "b": None}], as_json=False)
    assert capsys.readouterr().out.splitlines() == ["a", "1", "2"]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    console.show([], as_json=False, title="channels")
    assert capsys.readouterr().out == "channels: none\n"


@pytest.mark.parametrize(("number", "words"), [(0, "0 things"), (1, "1 thing"), (1_200, "1,200 things")])
def test_counts_read_as_words(number: int, words: str) -> None:
    assert console.counted(number, "thing") == words
