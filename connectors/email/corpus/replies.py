"""Checks of what remains of a mail without its quotations, of signatures and of forwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors._shared.mime.charset import decode
from connectors.email.corpus.case import Case, Check
from connectors.email.html import html_to_text
from connectors.email.mail import read_mail
from connectors.email.reply import Reply, split_reply
from connectors.email.reply_html import split_html_reply

_BLANK_RUNS = re.compile(r"\n\s*\n+")


def check_reply(case: Case) -> Iterator[Check]:
    """One check for each case: everything its source says of the visible reply."""
    reply = split_reply(decode(case.data(), "utf-8").replace("\r\n", "\n"))
    yield _check(case, reply)


def check_reply_mail(case: Case) -> Iterator[Check]:
    """The same for a whole mail."""
    yield _check(case, split_reply(read_mail(case.data()).text))


def check_html_reply(case: Case) -> Iterator[Check]:
    """The visible text of an HTML reply; where the source states HTML, its text."""
    got = split_html_reply(decode(case.data(), "utf-8")).visible
    stated = case.expect.get("visible_text_no_space")
    expected = stated if stated is not None else html_to_text(case.expect["visible_html_no_space"])
    yield Check("visible_text", _no_space(got) == _no_space(expected), expected, got)


def check_signature(case: Case) -> Iterator[Check]:
    """Text without its signature."""
    reply = split_reply(decode(case.data(), "utf-8").replace("\r\n", "\n"))
    expected = case.expect["text_without_signature"]
    yield Check("text_without_signature", _even(reply.body) == _even(expected), expected, reply.body)


def _check(case: Case, reply: Reply) -> Check:
    expect = {key: value for key, value in case.expect.items() if key != "max_seconds"}
    got = reply.visible if expect.pop("keeps_signature", True) else reply.body
    return Check("visible_reply", all(_holds(key, value, got) for key, value in expect.items()), expect, got)


def _holds(key: str, value: Any, got: str) -> bool:
    match key:
        case "visible_reply":
            return _even(value) == _even(got)
        case "starts":
            return got.startswith(value)
        case "contains":
            return all(part in got for part in value)
        case "not_contains":
            return all(part not in got for part in value)
        case "fragment_2_starts":
            return not any(line.startswith(value) for line in got.splitlines())
        case _:
            return True


def _no_space(text: str) -> str:
    return "".join(text.split())


def _even(text: str | None) -> str:
    lines = "\n".join(line.rstrip() for line in (text or "").splitlines())
    return _BLANK_RUNS.sub("\n\n", lines).strip()
