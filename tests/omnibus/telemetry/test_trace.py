"""Trace context goes from the webhook to the sink in headers, and is the same when a record is processed again."""

from __future__ import annotations

import pytest

from omnibus.telemetry import trace

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "value", [GOOD, GOOD[:-1] + "0", GOOD[:-2] + "03", "cc" + GOOD[2:] + "-what-the-future-brings"]
)
def test_valid_context_is_read(value: str) -> None:
    found = trace.parse(value.encode())

    assert found is not None
    assert (found.trace_id, found.span_id) == (GOOD[3:35], GOOD[36:52])
    assert found.sampled == (value[53:55] in ("01", "03"))


@pytest.mark.parametrize(
    "value",
    [
        None, "", "00", "ff" + GOOD[2:], GOOD + "-more", GOOD.upper(), GOOD.replace("4bf9", "xxxx"), " " + GOOD,
        "00-" + "0" * 32 + GOOD[35:], GOOD[:36] + "0" * 16 + "-01", "cc" + GOOD[2:] + "-" + "x" * 300, "\xff" * 55,
    ],
)  # fmt: skip
def test_anything_else_is_no_context(value: str | None) -> None:
    assert trace.parse(value) is None


def test_what_is_written_reads_the_same() -> None:
    for made in (trace.start(), trace.start(sampled=False), trace.start_from("event-1")):
        assert trace.parse(str(made)) == made


def test_derived_context_is_the_same_every_time() -> None:
    first, again, other = trace.start_from("event-1"), trace.start_from("event-1"), trace.start_from("event-2")

    assert first == again != other
    assert first.child("normalizer") == again.child("normalizer") != first.child("router")
    assert first.child("router").trace_id == first.trace_id
    assert not trace.start_from("event-1", sampled=False).child("x").sampled


def test_headers_carry_one_context() -> None:
    first = trace.start()
    headers = trace.put(trace.put((("ce_id", b"1"),), trace.start()), first)

    assert trace.of(headers) == first
    assert [name for name, _ in headers] == ["ce_id", "traceparent"]
    assert trace.of(()) is None
