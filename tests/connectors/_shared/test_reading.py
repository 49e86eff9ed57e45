"""Reading what providers send."""

from __future__ import annotations

import pytest

from connectors._shared.reading import Foreign, facts, read, threads_of
from omnibus.errors import InvalidPayload


class Thing(Foreign, frozen=True, kw_only=True):
    name: str
    parts: tuple[int, ...] = ()


def test_a_complaint_names_the_place() -> None:
    with pytest.raises(InvalidPayload, match=r"^\$\.thing\.parts\[1\]: Expected `int`, got `str`"):
        read(b'{"name": "a", "parts": [1, "x"]}', Thing, "$.thing")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"name": "\\ud800"}'])
def test_garbage_is_an_invalid_payload(data: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read(data, Thing)


def test_fields_nobody_knows_do_no_harm() -> None:
    assert read(b'{"name": "a", "new": {}}', Thing) == Thing(name="a")


def test_facts_are_what_is_there() -> None:
    assert facts(a="x", b=None, c="", d=0, e=False, f="y" * 500) == {"a": "x", "d": 0, "e": False, "f": "y" * 400}


def test_nothing_readable_has_no_threads() -> None:
    assert threads_of([]) == ()
