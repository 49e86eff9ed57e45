"""A mapping that failed is mended, and what it could not read becomes events: each once, whatever is replayed."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omnibus.testing.shell import Shell

CONFIG = """
bus: embedded:./data
blobs: file:./data/blobs
partitions: 8
http: {port: PORT}
channels: {loft: {type: pigeon, webhook_secret: invented-secret-for-tests}}
queues: {general: {}}
routes: [{name: all, to: "queue:general"}]
"""
TOKEN = {"x-pigeon-token": "invented-secret-for-tests"}


def a_note(note_id: str, text: str, *, thread: str | None = "t-17") -> dict[str, Any]:
    note = {
        "id": note_id,
        "sent_at": "2026-01-05T09:00:00Z",
        "person": {"id": "p-4", "name": "Ana Moreira"},
        "text": text,
    }
    return note if thread is None else {**note, "thread": thread}


def mend(folder: Path) -> None:
    """The provider leaves the thread out where there is one for each person: the mapping learns of it."""
    path = folder / "plugins/pigeon/mapping.py"
    text = path.read_text("utf-8").replace("    thread: Word\n", '    thread: str = "t-17"\n')
    path.write_text(text, "utf-8")


def said(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["value"]["message"]["content"]["text"] for event in events)


async def prepare(shell: Shell) -> None:
    """An installation with a channel of its own, found by its entry point as one in another repository is. Of three
    notes of a thread its mapping could not read the second; then it was mended."""
    await shell.ok("channel", "new", "pigeon", "--dir", "plugins")
    shell.write("plugins/pigeon-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    shell.write("plugins/pigeon-1.0.dist-info/entry_points.txt", "[omnibus.channels]\npigeon = pigeon\n")
    shell.configure(CONFIG)
    process = await shell.up()
    assert await shell.send("loft", a_note("n-1", "first"), **TOKEN) == 200
    assert await shell.send("loft", a_note("n-2", "not understood", thread=None), **TOKEN) == 200
    assert await shell.send("loft", a_note("n-3", "third"), **TOKEN) == 200
    await shell.settled()
    await process.stop()
    assert said(await shell.events("message.received")) == ["first", "third"]
    mend(shell.folder)


def shell_in(folder: Path) -> Shell:
    shell = Shell(folder)
    shell.env["PYTHONPATH"] = os.pathsep.join([str(folder / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return shell


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation as it is before each test: made once, because it takes a few processes."""
    folder = tmp_path_factory.mktemp("loft")

    async def make() -> None:
        shell = shell_in(folder)
        try:
            await prepare(shell)
        finally:
            await shell.close()

    asyncio.run(make())
    return folder


@pytest.fixture
async def loft(prepared: Path, tmp_path: Path) -> AsyncIterator[Shell]:
    """A copy of it."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    shell = shell_in(tmp_path)
    shell.configure(CONFIG)
    yield shell
    await shell.close()


async def test_a_dead_letter_says_what_was_wrong_with_it(loft: Shell) -> None:
    (letter,) = (await loft.ok("dead", "list", "--json")).json
    assert (letter["stage"], letter["error"], letter["topic"]) == ("normalizer", "InvalidPayload", "omnibus.raw.pigeon")
    assert "thread" in letter["reason"]
    shown = (await loft.ok("dead", "show", letter["id"])).out
    assert "not understood" in shown
    assert letter["reason"] in shown
    listed = (await loft.ok("dead", "list")).out
    assert letter["id"] in listed
    assert "1  normalizer: InvalidPayload" in listed


async def test_replayed_dead_letters_become_events_once(loft: Shell) -> None:
    """The request had no thread that could be read, so it lay outside the thread's own partition: replayed, it is
    processed where its thread is, and joins its conversation."""
    process = await loft.up()
    for _ in range(2):
        replayed = (await loft.ok("dead", "replay", "--all", "--json")).json
        assert replayed == {"letters": 1, "records": 1, "not_possible": 0, "dry_run": False}
        await loft.settled()
    await loft.send("loft", a_note("n-4", "fourth"), **TOKEN)
    await loft.settled()
    received = await loft.events("message.received")
    assert said(received) == ["first", "fourth", "not understood", "third"]
    assert len({event["key"] for event in received}) == 1
    assert len(await loft.events("conversation.opened")) == 1
    await process.stop()


async def test_replaying_a_channel_yields_only_what_is_new(loft: Shell) -> None:
    before = {event["headers"]["ce_id"] for event in await loft.events()}
    process = await loft.up()
    for _ in range(2):
        replayed = (await loft.ok("replay", "pigeon", "--json")).json
        assert replayed == {"requests": 3, "records": 3, "dry_run": False}
        await loft.settled()
    events = await loft.events("message")
    assert said(events) == ["first", "not understood", "third"]
    fresh = [event for event in events if event["headers"]["ce_id"] not in before]
    assert said(fresh) == ["not understood"]
    assert fresh[0]["headers"]["ce_origin"] == "replay"
    await process.stop()


async def test_a_dry_run_puts_nothing_back(loft: Shell) -> None:
    assert "1 dead letter would be put back" in (await loft.ok("dead", "replay", "--all", "--dry-run")).out
    assert "3 requests (3 records) would be put back" in (await loft.ok("replay", "pigeon", "--dry-run")).out
    records = {row["topic"]: row["records"] for row in (await loft.ok("topics", "--json")).json["topics"]}
    assert records["omnibus.raw.pigeon"] == 3


async def test_only_what_is_asked_for_is_replayed(loft: Shell) -> None:
    for arguments, requests in (
        (("--account", "loft"), 3),
        (("--account", "other"), 0),
        (("--from", "2026-01-01"), 3),
        (("--to", "2026-01-01"), 0),
    ):
        replayed = (await loft.ok("replay", "pigeon", "--dry-run", "--json", *arguments)).json
        assert replayed["requests"] == requests, arguments
    assert (await loft.ok("dead", "replay", "--stage", "router", "--dry-run", "--json")).json["letters"] == 0
    assert (await loft.ok("dead", "replay", "--stage", "normalizer", "--since", "1h", "--dry-run", "--json")).json[
        "letters"
    ] == 1


async def test_what_is_not_there_is_a_sentence(loft: Shell) -> None:
    for arguments, says in (
        (("dead", "show", "0:99"), "no dead letter '0:99'; `omnibus dead list` shows them"),
        (("dead", "replay", "99:0"), "no dead letter '99:0'"),
        (("dead", "replay"), "name the letters"),
        (("dead", "list", "--since", "soon"), "--since"),
        (("replay", "loft"), "no channel 'loft'"),
        (("replay", "email"), "no topic 'omnibus.raw.email'"),
        (("route", "explain", "conv_none"), "no decision about 'conv_none'"),
    ):
        ended = await loft.run(*arguments)
        assert ended.code == 2, arguments
        assert says in ended.err
        assert "Traceback" not in ended.err


async def test_a_decision_is_explained(loft: Shell) -> None:
    (conversation,) = {event["key"] for event in await loft.events("message.received")}
    explained = (await loft.ok("route", "explain", conversation)).out
    assert "queue general" in explained
    assert "by rule all" in explained
    (decision,) = (await loft.ok("route", "explain", conversation, "--json")).json
    assert (decision["outcome"], decision["target"], decision["rule"]) == ("queue", "general", "all")
