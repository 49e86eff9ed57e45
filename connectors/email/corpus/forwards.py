"""Checks of forwards: is it one, what its sender wrote, and the enclosed mail's fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors._shared.mime.charset import decode
from connectors.email.corpus.case import Case, Check
from connectors.email.forward import Forward, read_forward

_BLANKS = re.compile(r"\s+")


def check_forward(case: Case) -> Iterator[Check]:
    """One check for each case: all that its source states must hold."""
    text = decode(case.data(), "utf-8").replace("\r\n", "\n")
    forward = read_forward(text, case.expect.get("subject_given", ""))
    wrong = list(_wrong(case.expect, forward))
    yield Check("forward", not wrong, {name: want for name, want, _ in wrong}, {name: got for name, _, got in wrong})


def _wrong(expect: dict[str, Any], forward: Forward | None) -> Iterator[tuple[str, Any, Any]]:
    if expect["forwarded"] != (forward is not None):
        yield "forwarded", expect["forwarded"], forward is not None
        return
    if forward is None:
        return
    if "message" in expect and _even(expect["message"]) != _even(forward.message):
        yield "message", expect["message"], forward.message
    for name, want in expect.get("email", {}).items():
        got = _stated(name, forward)
        if not _same(name, want, got):
            yield name, want, got


def _stated(name: str, forward: Forward) -> Any:
    match name:
        case "from":
            return [{"name": forward.sender.name, "email": forward.sender.email}] if forward.sender else []
        case "has_date":
            return bool(forward.date)
        case "body":
            return forward.text
        case "to_first":
            return forward.to[0].email if forward.to else None
        case "to_emails":
            return [address.email for address in forward.to]
        case "cc_emails":
            return [address.email for address in forward.cc]
        case _:
            return getattr(forward, name, None)


def _same(name: str, want: Any, got: Any) -> bool:
    if name == "from":
        return [(each["name"] or None, each["email"]) for each in want] == [
            (each["name"], each["email"]) for each in got
        ]
    if isinstance(want, str):
        return _even(want) == _even(got)
    return bool(want == got)


def _even(text: str | None) -> str:
    return _BLANKS.sub(" ", text or "").strip()
