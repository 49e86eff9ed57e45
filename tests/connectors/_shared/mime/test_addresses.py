"""Address lists, by the grammar and as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.mime.addresses import MAX_LENGTH, parse_addresses

ANA = "ana@example.org"
CASES: dict[str, tuple[str, list[tuple[str | None, str]]]] = {
    "bare": ("ana@example.org", [(None, ANA)]),
    "named": ("Ana Souza <ana@example.org>", [("Ana Souza", ANA)]),
    "quoted": ('"Souza, Ana" <ana@example.org>', [("Souza, Ana", ANA)]),
    "an unquoted comma in the name": ("Souza, Ana <ana@example.org>", [("Souza, Ana", ANA)]),
    "a comment for a name": ("ana@example.org (Ana Souza)", [("Ana Souza", ANA)]),
    "encoded": ("=?utf-8?Q?Jos=C3=A9?= <jose@example.org>", [("José", "jose@example.org")]),
    "encoded inside quotes": ('"=?utf-8?B?w4lx?=" <ana@example.org>', [("Éq", ANA)]),
    "two": ("a@example.org, B <b@example.org>", [(None, "a@example.org"), ("B", "b@example.org")]),
    "semicolons": ("a@example.org; b@example.org", [(None, "a@example.org"), (None, "b@example.org")]),
    "a group": ("Team: Ana <ana@example.org>, b@example.org;", [("Ana", ANA), (None, "b@example.org")]),
    "an empty group": ("undisclosed-recipients:;", []),
    "escapes": (r'"Ana \"the kettle\"" <ana@example.org>', [('Ana "the kettle"', ANA)]),
    "all of it encoded": ("=?utf-8?Q?Ana_=3Cana=40example=2Eorg=3E?=", [("Ana", ANA)]),
    "a comment in the address": ("Ana <ana@(home)example.org>", [("Ana", ANA)]),
    "an obsolete route": ("<@relay.example.com:ana@example.org>", [(None, ANA)]),
    "mailto": ("Ana <mailto:ana@example.org>", [("Ana", ANA)]),
    "nothing": ("", []),
    "no address at all": ("nobody", []),
}


@pytest.mark.parametrize("name", CASES)
def test_people_are_found(name: str) -> None:
    written, people = CASES[name]
    assert [(each.name, each.email) for each in parse_addresses([written])] == people


@given(st.text(alphabet='<>@"(),;:\\ ab.=?Qé', max_size=200))
def test_any_field_is_read(text: str) -> None:
    for address in parse_addresses([text]):
        assert address.email
        assert len(address.email) <= MAX_LENGTH


def test_long_lists_are_cut() -> None:
    assert len(parse_addresses([", ".join(f"a{n}@example.org" for n in range(3_000))])) == 1_000
