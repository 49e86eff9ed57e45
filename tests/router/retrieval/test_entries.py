"""Questions and answers as people write them down."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.errors import Misconfigured
from router.retrieval.entries import Entry, from_csv, from_markdown, load_entries


def plain(entries: list[Entry]) -> list[tuple[tuple[str, ...], str, str]]:
    return [(entry.questions, entry.answer, entry.language) for entry in entries]


def test_headings_are_questions_and_what_is_below_answers_them() -> None:
    text = "# Help\nhello\n## One?\n## Another way?\nYes.\n\nReally.\n"
    text += "# pt-BR\n### Um? ###\n```\n# no heading\n```\n## empty\n"

    assert plain(list(from_markdown(text))) == [
        (("One?", "Another way?"), "Yes.\n\nReally.", ""),
        (("Um?",), "```\n# no heading\n```", "pt-BR"),
    ]


def test_a_table_has_questions_answers_and_languages() -> None:
    text = 'Question,Answer,Language\nOne?|Uno?,Yes,es\nTwo?,"No, never",\n'

    assert plain(list(from_csv(text))) == [(("One?", "Uno?"), "Yes", "es"), (("Two?",), "No, never", "")]


def test_a_folder_is_all_its_files_with_the_languages_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.pt.md").write_text("## Um?\nSim.\n")
    (tmp_path / "b.csv").write_text("\ufeffquestion,answer\nTwo?,Yes\n", "utf-8")
    (tmp_path / "notes.txt").write_text("nothing")

    assert plain(load_entries(tmp_path)) == [(("Um?",), "Sim.", "pt"), (("Two?",), "Yes", "")]


def test_an_entry_keeps_its_id_while_its_question_stays() -> None:
    [one] = from_markdown("## One?\nYes.")
    [other] = from_markdown("## One?\n## More?\nNo.")

    assert one.id == other.id


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", b"q,a\n1,2\n", "expected columns question and answer, got q, a"),
        ("a.csv", b"question,answer\nOne?,\n", "line 2: a question and an answer are needed"),
        ("a.csv", b'question,answer\n"One?,x\n', "not valid CSV"),
        ("a.md", b"no headings", "no questions with answers"),
        ("a.md", b"\xff\xfe", "is not UTF-8"),
        ("a.md", b"#" * 5_000_001, "larger than"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_file(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    file = tmp_path / name
    file.write_bytes(data)

    with pytest.raises(Misconfigured, match=why) as raised:
        load_entries(file)
    assert str(file) in str(raised.value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_or_refused(text: str) -> None:
    for entry in from_markdown(text):
        assert entry.questions
        assert entry.answer
