"""What text-message channels share: fields, numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.sms.fields import fields_of, pairs_of
from connectors._shared.sms.numbers import ends_of, normalized, party_of, thread_of
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent


def raw(body: bytes, query: tuple[tuple[str, str], ...] = ()) -> RawEvent:
    at = datetime(2026, 1, 6, tzinfo=UTC)
    return RawEvent(id="raw_1", channel="x", account="a", received_at=at, body=body, query=query)


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=20))
def test_a_form_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    body = urlencode({name: value.encode("utf-8", "replace") for name, value in fields.items()}).encode()
    assert pairs_of(body) == parse_qsl(body.decode(), keep_blank_values=True)


def test_fields_come_from_query_and_body_and_the_body_wins() -> None:
    fields = fields_of(raw(b"a=1&b=%C3%A9+x", (("a", "0"), ("c", "2"))))
    assert [fields.get(name) for name in ("a", "b", "c", "d")] == ["1", "é x", "2", None]
    assert sorted(fields.names()) == ["a", "b", "c"]


def test_the_first_of_a_repeated_name_counts() -> None:
    assert fields_of(raw(b"a=1&a=2")).get("a") == "1"
    assert fields_of(raw(b"", (("a", "1"), ("a", "2")))).get("a") == "1"


def test_json_gives_its_plain_values() -> None:
    fields = fields_of(raw(b'{"a": 1, "b": true, "c": "x", "d": [1], "e": null}'))
    assert [fields.get(name) for name in "abcde"] == ["1", "true", "x", None, None]


@pytest.mark.parametrize(("charset", "body"), [("latin-1", b"a=%E9"), ("cp1252", b"a=%E9"), ("utf-16-be", b"a=%00%E9")])
def test_a_charset_is_kept_to(charset: str, body: bytes) -> None:
    assert fields_of(raw(body), charset).get("a") == "é"


def test_a_form_of_a_thousand_fields_is_refused() -> None:
    with pytest.raises(InvalidPayload):
        fields_of(raw(b"&".join([b"a=1"] * 1_000)))


@pytest.mark.parametrize(
    ("given_number", "expected"),
    [
        ("+12025550147", "+12025550147"),
        ("12025550147", "+12025550147"),
        ("0012025550147", "+12025550147"),
        ("+1 (202) 555-0147", "+12025550147"),
        ("72345", "72345"),
        ("EXAMPLE", "EXAMPLE"),
        ("02025550147", "02025550147"),
        ("+1234567890123456", "+1234567890123456"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"),
    ],
)
def test_numbers_are_the_same_however_they_are_written(given_number: str, expected: str) -> None:
    assert normalized(given_number) == expected


def test_a_thread_is_a_pair_and_leads_back_to_it() -> None:
    thread = thread_of("12025550123", "+1 202 555 0147")
    assert ends_of(thread) == ("+12025550123", "+12025550147")
    with pytest.raises(InvalidPayload):
        ends_of("somewhere else")


def test_the_network_vouches_for_numbers_only() -> None:
    assert party_of("12025550147").verified == "channel"
    assert party_of("EXAMPLE").verified == "none"
    with pytest.raises(InvalidPayload):
        party_of("  ")
