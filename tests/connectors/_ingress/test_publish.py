"""Raw events as bus records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from connectors._ingress.publish import records_of, traceparent_of
from connectors.webhook.channel import CHANNEL
from omnibus.blobs import open_blobs
from omnibus.bus.port import Out, Record
from omnibus.bus.topics import CLAIM_CHECK_BYTES, Topics
from omnibus.model.raw import RawEvent, encode_raw, raw_of

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def raw(body: bytes) -> RawEvent:
    return RawEvent(id="raw_1", channel="webhook", account="site", received_at=AT, body=body)


def batch(count: int, filler: int = 0) -> bytes:
    return msgspec.json.encode([{"from": f"p{index}@example.com", "text": "x" * filler} for index in range(count)])


def header(out: Out, name: str) -> bytes | None:
    return dict(out.headers).get(name)


async def read_back(outs: Sequence[Out], folder: Path) -> list[RawEvent]:
    blobs = open_blobs(f"file:{folder}")
    events = []
    for out in outs:
        record = Record(out.topic, 0, 0, out.ts_ms or 0, out.key, out.value, out.headers)
        reference = header(out, "ce_dataref")
        body = (out.value or b"") if reference is None else await blobs.get(reference.decode())
        events.append(raw_of(record, body))
    return events


async def test_a_small_batch_is_copied_for_each_thread(tmp_path: Path) -> None:
    outs = await records_of(raw(batch(3)), CHANNEL, Topics("t"), open_blobs(f"file:{tmp_path}"))
    assert [out.topic for out in outs] == ["t.raw.webhook"] * 3
    assert [out.key for out in outs] == [f"site\0p{index}@example.com".encode() for index in range(3)]
    assert [event.thread for event in await read_back(outs, tmp_path)] == [
        f"p{index}@example.com" for index in range(3)
    ]
    assert {event.id for event in await read_back(outs, tmp_path)} == {"raw_1"}
    assert len({header(out, "ce_id") for out in outs}) == 3


async def test_threads_that_belong_together_are_one_partition_s_work(tmp_path: Path) -> None:
    """A reaction names a message of a forum: whoever looks for it must have all topics of the forum."""
    channel = replace(CHANNEL, together=lambda thread: thread.rpartition("@")[2])
    outs = await records_of(raw(batch(3)), channel, Topics(), open_blobs(f"file:{tmp_path}"))
    assert {out.key for out in outs} == {b"site\0example.com"}
    assert [event.thread for event in await read_back(outs, tmp_path)] == [
        f"p{index}@example.com" for index in range(3)
    ]


async def test_a_large_body_waits_in_the_blob_store(tmp_path: Path) -> None:
    body = b'{"from":"ana@example.com","text":"%s"}' % (b"x" * CLAIM_CHECK_BYTES)
    outs = await records_of(raw(body), CHANNEL, Topics(), open_blobs(f"file:{tmp_path}"))
    assert [out.value for out in outs] == [b""]
    (event,) = await read_back(outs, tmp_path)
    assert event.body == body
    assert event.thread == "ana@example.com"


async def test_a_large_batch_of_many_threads_is_stored_once(tmp_path: Path) -> None:
    """A request of 100 kB with 500 threads would be 50 MB in the log, for anybody to send."""
    body = batch(500, filler=150)
    outs = await records_of(raw(body), CHANNEL, Topics(), open_blobs(f"file:{tmp_path}"))
    assert len(outs) == 500
    assert sum(len(out.value or b"") for out in outs) == 0
    assert len({header(out, "ce_dataref") for out in outs}) == 1
    events = await read_back(outs, tmp_path)
    assert [event.thread for event in events] == [f"p{index}@example.com" for index in range(500)]
    assert {event.body for event in events} == {body}


async def test_a_request_without_threads_is_of_the_whole_account(tmp_path: Path) -> None:
    for body in (b"[]", b"{not json", b""):
        (out,) = await records_of(raw(body), CHANNEL, Topics(), open_blobs(f"file:{tmp_path}"))
        assert out.key == b"site\0"
        assert out.value == encode_raw(raw(body))


async def test_a_thread_that_cannot_be_written_does_not_lose_the_request(tmp_path: Path) -> None:
    channel = replace(CHANNEL, threads=lambda _: ["caf\ud800"])
    outs = await records_of(raw(b"{}"), channel, Topics(), open_blobs(f"file:{tmp_path}"))
    assert [event.thread for event in await read_back(outs, tmp_path)] == [None]


GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "given", ["", "00-", GOOD[:-1], GOOD.upper(), "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 5_000, "00-é"]
)
def test_a_trace_that_is_not_well_formed_begins_anew(given: str) -> None:
    made = traceparent_of([("traceparent", given)])
    assert made.decode() != given
    assert traceparent_of([("traceparent", made.decode())]) == made


def test_a_trace_goes_on() -> None:
    assert traceparent_of([("host", "x"), ("traceparent", GOOD)]) == GOOD.encode()
