"""The corpus run: a folder of mails with answers in, rates and failures out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.email.corpus.__main__ import main


def case(folder: Path, name: str, kind: str, suffix: str, body: str, **expect: Any) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.with_name(path.name + suffix).write_text(body)
    path.with_name(path.name + ".expected.json").write_text(json.dumps({"kind": kind, "expect": expect}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mail = "From: Ana <ana@example.org>\nSubject: Hi\n\ntext\n"
    case(tmp_path, "one/right", "mail", ".eml", mail, subject="Hi", text="text", to=[], attachment_count=0)
    case(tmp_path, "one/wrong", "mail", ".eml", mail, subject="Ho", date=None, disputed={"date": "no date at all"})
    case(tmp_path, "two/reply", "reply", ".txt", "Yes\n\nOn 4 May 2026, Ana wrote:\n> No", visible_reply="Yes")
    case(tmp_path, "two/html", "reply-html", ".html", "<p>Yes</p>", visible_text_no_space="Yes")
    case(tmp_path, "two/signed", "signature", ".txt", "Yes\n\n-- \nAna", text_without_signature="Yes")
    forward = "FYI\n\n---------- Forwarded message ---------\nFrom: a@b.example\nDate: x\n\nNo"
    case(tmp_path, "two/forward", "forward", ".txt", forward, forwarded=True, message="FYI")
    bounce = "From: MAILER-DAEMON@example.org\nSubject: failure notice\n\n<a@example.org>:\n550 5.1.1 no such user\n"
    rows = [{"status": "5.1.1", "hard_bounce": True}]
    case(tmp_path, "two/bounce", "bounce", ".eml", bounce, kind_of_mail="bounce", bounces=rows)
    case(tmp_path, "two/odd", "no-such-kind", ".txt", "x", anything=1)
    return tmp_path


def test_rates_and_failures_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [failure["id"] for failure in told["failures"]] == ["one/wrong"]
    assert told["failures"][0] == {"id": "one/wrong", "field": "subject", "expected": "Ho", "got": "Hi"}
    assert {row["kind"]: (row["right"], row["stated"]) for row in told["rates"] if row["source"] == "all"} == {
        "mail": (4, 5),
        "reply": (1, 1),
        "reply-html": (1, 1),
        "signature": (1, 1),
        "forward": (1, 1),
        "bounce": (3, 3),
    }
    assert told["exceptions"] == []
    assert told["mean_ms"] > 0


def test_a_table_is_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--failures", "--only", "mail"]) == 0

    told = capsys.readouterr().out
    assert "one/wrong subject\n  expected 'Ho'\n  got      'Hi'" in told
    assert "2 files" in told


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
