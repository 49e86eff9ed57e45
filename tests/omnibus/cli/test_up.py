"""Omnibus as processes: started, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections import Counter

import aiohttp
import pytest

from omnibus.testing.ports import free_port
from omnibus.testing.shell import Process, Shell, eventually

CONFIG = """
bus: embedded:./data
blobs: file:./data/blobs
partitions: 4
http: {port: PORT}
channels: {hook: {type: webhook}}
queues: {general: {}}
routes: [{name: all, to: "queue:general"}]
sinks: {files: {type: jsonl, from: ["queue:general"], folder: ./out}}
"""


def a_note(text: str, person: str = "ana") -> dict[str, str]:
    return {"from": f"{person}@example.com", "text": text}


async def conversations_of(shell: Shell) -> dict[str, set[str]]:
    """For every conversation in the log, what was said in it."""
    found: dict[str, set[str]] = {}
    for event in await shell.events("message.received"):
        found.setdefault(event["key"], set()).add(event["value"]["message"]["content"]["text"])
    return found


def delivered(shell: Shell) -> Counter[str]:
    """What the sink has written of conversations as they came to the queue, by the words that opened them."""
    lines = [line for path in (shell.folder / "out").glob("*.jsonl") for line in path.read_text().splitlines()]
    assigned = [event for event in map(json.loads, lines) if event["type"] == "omnibus.conversation.assigned.v1"]
    return Counter(message["content"]["text"] for event in assigned for message in event["data"]["recent"])


async def test_ctrl_c_stops_it_cleanly(shell: Shell) -> None:
    shell.configure(CONFIG)
    ended = await (await shell.up()).stop(signal.SIGINT)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert "Warning" not in ended.err
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", shell.port)) != 0


async def test_sigterm_stops_it_as_well(shell: Shell) -> None:
    """What container runtimes and systemd send."""
    shell.configure(CONFIG)
    assert (await (await shell.up()).stop(signal.SIGTERM)).code == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
async def test_starting_again_finds_every_conversation(shell: Shell, end: signal.Signals) -> None:
    """After a clean stop, and after a kill -9."""
    shell.configure(CONFIG)
    process = await shell.up()
    assert await shell.send("hook", a_note("the first")) == 200
    await shell.settled()
    await process.stop(end)

    again = await shell.up()
    assert await shell.send("hook", a_note("the second")) == 200
    await shell.settled()
    assert list((await conversations_of(shell)).values()) == [{"the first", "the second"}]
    await again.stop()


async def test_what_was_acknowledged_before_a_kill_is_not_lost(shell: Shell) -> None:
    """The kill comes right after the answers: whatever was on its way is finished by the next process, once."""
    shell.configure(CONFIG)
    process = await shell.up()
    texts = [f"note {number}" for number in range(20)]
    answers = await asyncio.gather(*(shell.send("hook", a_note(text, f"p{text[5:]}")) for text in texts))
    await process.stop(signal.SIGKILL)
    assert set(answers) == {200}

    again = await shell.up()
    await shell.settled()
    await again.stop()
    assert delivered(shell) == Counter(texts)
    assert len(await conversations_of(shell)) == len(texts)


async def test_processes_of_one_machine_share_the_work(shell: Shell) -> None:
    """Every stage a process of its own, the normalizer two: each message is in one conversation, once."""
    shell.configure(CONFIG)
    stages = ["sinks", "router", "normalizer", "normalizer", "connectors"]
    processes = [await started(shell, stage) for stage in stages]
    texts = [f"note {number}" for number in range(20)]
    assert set(await asyncio.gather(*(shell.send("hook", a_note(text, f"p{text[5:]}")) for text in texts))) == {200}
    await shell.settled()

    assert len(await conversations_of(shell)) == len(texts)
    endings = [await process.stop() for process in processes]
    assert [ended.code for ended in endings] == [0] * len(stages)
    assert [ended.err for ended in endings if "Traceback" in ended.err] == []
    assert delivered(shell) == Counter(texts)


async def started(shell: Shell, stage: str) -> Process:
    """A stage as a process of its own."""
    process = await shell.start("run", stage)
    await process.says(f"{stage} is up")
    return process


async def test_a_stage_of_its_own_tells_how_it_is(shell: Shell) -> None:
    shell.configure(CONFIG)
    port = free_port()
    process = await shell.start("run", "router", "--health", f"127.0.0.1:{port}")
    await process.says("router is up")

    async def is_ready() -> bool:
        async with session.get(f"http://127.0.0.1:{port}/health/ready") as answer:
            return answer.status == 200

    async with aiohttp.ClientSession() as session:
        await eventually(is_ready)
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert "omnibus_oldest_unrouted_seconds 0.0" in await answer.text()
    await process.stop()


async def test_a_port_in_use_is_a_sentence(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", shell.port))
        taken.listen()
        shell.configure(CONFIG)
        ended = await shell.run("up")
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == (
        f"omnibus: http: cannot listen on 127.0.0.1:{shell.port}: address already in use; "
        "another Omnibus may be running, http.port chooses another"
    )
    assert "Traceback" not in ended.err


async def test_a_folder_that_cannot_be_written_is_a_sentence(shell: Shell) -> None:
    shell.write("data", "a file where the folder should be")
    shell.configure(CONFIG)
    ended = await shell.run("up")
    assert (ended.code, ended.err) == (2, "omnibus: data: a file is in the way of a folder\n")


async def test_a_file_of_somebody_else_is_a_sentence(shell: Shell) -> None:
    shell.write("data/bus.sqlite", "this is no database, and long enough to be looked at " * 40)
    shell.configure(CONFIG)
    ended = await shell.run("up")
    assert ended.code == 2
    assert ended.err == "omnibus: bus: data/bus.sqlite cannot be opened: file is not a database\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("channels: {a: {type: webhook}\nqueues: [", "omnibus.yaml:2:1: not valid YAML"),
        ("channels: {a: {type: pigeonn}}\nqueues: {a: {}}", "omnibus.yaml:1:22: channels.a.type: unknown type"),
        ("channels: {a: {type: webhook}}\nqueues: {a: {}}\nbuss: x", "omnibus.yaml:3:7: buss: unknown setting"),
        ('channels: {a: {type: webhook, webhook_secret: "${NOT_SET}"}}\nqueues: {a: {}}', "NOT_SET is not set"),
    ],
)  # fmt: skip
async def test_a_wrong_configuration_is_told_with_its_line(shell: Shell, text: str, says: str) -> None:
    shell.configure(text)
    ended = await shell.run("up")
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.endswith("wrong in the configuration; nothing was started\n")
    assert "Traceback" not in ended.err
    assert not (shell.folder / "omnibus-data").exists()


async def test_tail_follows_until_ctrl_c(shell: Shell) -> None:
    shell.configure(CONFIG)
    process = await shell.up()
    tail = await shell.start("tail", "events")
    heard = asyncio.create_task(tail.says("message.received"))

    async def is_heard() -> bool:
        await shell.send("hook", a_note("are you there?"))
        return heard.done()

    await eventually(is_heard)  # it follows from when it is ready, and does not say when that is
    assert "are you there?" in await heard
    ended = await tail.stop(signal.SIGINT)
    assert (ended.code, ended.err) == (0, "")
    await process.stop()


async def test_tail_shows_what_there_is_in_the_order_it_came(shell: Shell) -> None:
    shell.configure(CONFIG)
    process = await shell.up()
    for number in range(6):
        await shell.send("hook", a_note(f"note {number}", f"p{number}"))
    await shell.settled()
    await process.stop()

    received = await shell.events("message.received")
    assert [event["value"]["message"]["content"]["text"] for event in received] == [f"note {n}" for n in range(6)]
    raw = (await shell.ok("tail", "raw.webhook", "--no-follow", "--json")).lines
    assert min(record["value"]["body"] for record in raw) == '{"from": "p0@example.com", "text": "note 0"}'
    ended = await shell.run("tail", "event")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean events?" in ended.err


async def test_a_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    """`omnibus tail events --all | head -1`."""
    shell.configure(CONFIG)
    process = await shell.up()
    for number in range(40):
        await shell.send("hook", a_note(f"note {number}", f"p{number}"))
    await shell.settled()
    tail = await shell.start("tail", "events", "--no-follow", "--json")
    assert tail.process.stdout is not None
    await tail.process.stdout.readline()
    tail.process.stdout._transport.close()  # type: ignore[attr-defined]  # as `head` does; asyncio has no other way
    async with asyncio.timeout(30):
        assert await tail.process.wait() in (0, 1)
    assert tail.log.read_text() == ""
    await process.stop()


async def test_topics_and_doctor_say_how_everybody_is(shell: Shell) -> None:
    shell.configure(CONFIG)
    process = await shell.up()
    await shell.send("hook", a_note("hello"))
    await shell.settled()
    topics = (await shell.ok("topics", "--json")).json
    records = {row["topic"]: row["records"] for row in topics["topics"]}
    assert (records["omnibus.raw.webhook"], records["omnibus.dead-letters"]) == (1, 0)
    assert {reader["reader"] for reader in topics["readers"]} >= {"normalizer", "router", "sink.files"}
    doctor = (await shell.run("doctor", "--json")).json
    assert {row["what"]: row["result"] for row in doctor}["behind"] == "ok"
    await process.stop()
