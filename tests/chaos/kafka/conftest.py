"""The chaos run on Kafka: real stages in several processes, somebody who breaks things at random, and an oracle."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors._ingress.publish import records_of
from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.bus.kafka import KafkaBus, Limits
from omnibus.bus.kafka.changelog import POSITION
from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.channel.registry import discover
from omnibus.cli.assemble import topic_specs
from omnibus.cli.settings import configuration
from omnibus.errors import OmnibusError
from omnibus.model import codec, events
from omnibus.model.raw import RawEvent
from omnibus.stage.store import local
from omnibus.testing.kafka import Cluster, cluster

WORKER = Path(__file__).with_name("worker.py")
THREADS = 18
PARTITIONS = 6
LIMITS = {
    "session_timeout_ms": 2_000, "heartbeat_ms": 400, "rebalance_timeout_ms": 5_000, "report_every_s": 0.05,
    "restart_backoff_s": (0.05, 1.0), "request_timeout_s": 5.0, "transaction_timeout_ms": 10_000, "settle_s": 1.0,
}  # fmt: skip
CONFIG = """
bus: kafka://{addresses}
prefix: {prefix}
partitions: {partitions}
channels:
  hook: {{type: webhook}}
queues:
  general: {{}}
routes:
  - {{name: all, to: "queue:general"}}
"""


@dataclass
class Verdict:
    """What the oracle found, and what was done."""

    acknowledged: int = 0
    repeated: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    conversations: int = 0
    timers: int = 0
    copies: int = 0
    """Local copies that were compared with the changelog."""
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)


class Chaos:
    """One run."""

    def __init__(
        self,
        running: Cluster,
        folder: Path,
        seed: int,
        *,
        mutation: str = "",
        rejects: float = 0.01,
        seen_for_s: float | None = None,
    ) -> None:
        """With `seen_for_s` the normalizer remembers message ids for so long only, and nothing is sent twice: what is
        worked on again then shows."""
        self._cluster = running
        self._folder = folder
        self._random = random.Random(seed)
        self._prefix = f"chaos{seed}{mutation.replace('_', '')}"[:40]
        self._settings = {
            "addresses": running.addresses, "prefix": self._prefix, "limits": LIMITS, "folder": str(folder),
            "config": str(folder / "omnibus.yaml"), "rejects": rejects, "mutation": mutation,
            "inactivity_s": 3.0 if mutation else 8.0,
            "delays": 0.6 if mutation else 0.05,
            "seen_for_s": seen_for_s,
        }  # fmt: skip
        if mutation == "position_of_the_group_read_before_the_fence":
            # The group's offsets may be behind for as long as they like; the further, the sooner it is seen.
            self._settings["limits"] = LIMITS | {"report_every_s": 1.5}
        self._workers: dict[str, int] = {}
        self._lives = itertools.count()
        self._asking = asyncio.Lock()
        self._nursery: asyncio.subprocess.Process
        self._sent: dict[str, int] = defaultdict(int)
        self._feeding = True
        self.verdict = Verdict()
        folder.mkdir(parents=True)
        config = CONFIG.format(addresses=",".join(running.addresses), prefix=self._prefix, partitions=PARTITIONS)
        (folder / "omnibus.yaml").write_text(config, "utf-8")

    async def run(
        self, seconds: float, *, faults: int = 0, workers: int = 3, brokers: bool = False, patience_s: float = 90.0
    ) -> Verdict:
        """Feed and break for so long (up to ten times as long while `faults` are not reached), let them finish,
        judge."""
        self._patience_s = patience_s
        self._brokers = brokers
        self._wanted = faults
        began = time.monotonic()
        async with self._bus() as bus:
            config = configuration(self._folder / "omnibus.yaml")
            await bus.ensure_topics(topic_specs(config))
            self._nursery = await asyncio.create_subprocess_exec(
                sys.executable, str(WORKER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            feeding = asyncio.create_task(self._feed(bus))
            try:
                for n in range(workers):
                    await self._start(f"w{n}")
                ends = time.monotonic() + seconds
                async with asyncio.TaskGroup() as breaking:
                    for name in list(self._workers):
                        breaking.create_task(self._break_things(name, ends, ends + 9 * seconds))
                self._feeding = False
                async with asyncio.timeout(60):
                    await feeding
                await self._until_finished(bus)
                for name in list(self._workers):
                    await self._kill(name)
                await self._judge(bus)
                await self._lose_every_store(bus)
            finally:
                feeding.cancel()
                for name in list(self._workers):
                    await self._kill(name)
                self._nursery.kill()
                await self._nursery.wait()
        self.verdict.seconds = round(time.monotonic() - began, 1)
        return self.verdict

    @asynccontextmanager
    async def _bus(self) -> AsyncIterator[KafkaBus]:
        bus = KafkaBus(
            self._cluster.addresses, topics=Topics(self._prefix), limits=msgspec.convert(LIMITS, Limits),
            state_dir=self._folder / "state" / "test",
        )  # fmt: skip
        await bus.open()
        try:
            yield bus
        finally:
            await bus.close(5.0)

    # --- workers --------------------------------------------------------------------------------

    async def _start(self, name: str) -> None:
        ready = self._folder / f"{name}.{next(self._lives)}.ready"
        log = self._folder / f"{name}.log"
        # A copy that is written with every commit can be compared with the newest commits, too.
        gather = 1 if self._settings["mutation"] else self._random.choice([1, local._GATHER_ROWS])
        here = {"state": str(self._folder / "state" / name), "ready": str(ready), "log": str(log), "gather": gather}
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        async with self._asking:
            self._nursery.stdin.write(json.dumps(self._settings | here).encode() + b"\n")
            self._workers[name] = int(await self._nursery.stdout.readline())
        ends = time.monotonic() + 60
        while not ready.exists():
            if not _alive(self._workers[name]) or time.monotonic() > ends:
                raise AssertionError(f"worker {name} did not start: {log.read_text('utf-8')[-2_000:]}")
            await asyncio.sleep(0.02)

    async def _kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        pid = self._workers.pop(name)
        for number in (how, signal.SIGCONT):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
        while _alive(pid):  # noqa: ASYNC110  # the process belongs to the nursery, which tells nobody
            await asyncio.sleep(0.005)

    def _signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self._workers[name], number)

    # --- feeding --------------------------------------------------------------------------------

    async def _feed(self, bus: KafkaBus) -> None:
        """Every thread's messages are numbered densely; some requests come twice, as providers repeat them."""
        publisher, blobs = bus.publisher("chaos"), open_blobs(f"file:{self._folder}/blobs")
        channel = discover().get("webhook")
        while self._feeding:
            threads = self._random.sample(range(THREADS), 6)
            raws = [self._raw(f"t{thread}", self._sent[f"t{thread}"]) for thread in threads]
            if self._settings["seen_for_s"] is None and self._random.random() < 0.1:
                raws.append(raws[0])
                self.verdict.repeated += 1
            outs = [out for raw in raws for out in await records_of(raw, channel, Topics(self._prefix), blobs)]
            while True:
                try:
                    await publisher.publish(outs)
                    break
                except OmnibusError:
                    self.verdict.repeated += len(outs)
                    await asyncio.sleep(0.05)
            for thread in threads:
                self._sent[f"t{thread}"] += 1
                self.verdict.acknowledged += 1
            await asyncio.sleep(self._random.uniform(0.01, 0.1))

    def _raw(self, thread: str, n: int) -> RawEvent:
        body = {"id": f"{thread}-{n}", "thread": thread, "from": f"{thread}@example.com", "text": str(n)}
        return RawEvent(
            id=f"raw-{thread}-{n}", channel="webhook", account="hook", received_at=clock.now(), thread=thread,
            body=json.dumps(body).encode(), headers=(("content-type", "application/json"),), verified="token",
        )  # fmt: skip

    # --- faults ---------------------------------------------------------------------------------

    async def _break_things(self, name: str, ends: float, at_most: float) -> None:
        """One fault after the other to one worker; the others have their own. Broker faults are the first one's."""
        faults: list[tuple[int, str, Callable[[str], Awaitable[None]]]] = [
            (6, "kill -9", self._crash),
            (4, "SIGSTOP beyond the session", self._zombie),
            (2, "local store deleted", self._lose_store),
            (2, "old local store restored", self._old_store),
        ]
        if self._settings["mutation"] == "no_fence":
            faults = faults[1:2]  # it is the zombies that do damage then
        elif name == "w0":
            faults.append((3, "storm: a member comes and goes", self._storm))
            if self._brokers:
                faults += [(4, "broker killed", self._kill_broker), (3, "broker stopped", self._freeze_broker)]
        while (now := time.monotonic()) < ends or (now < at_most and self.verdict.faults.total() < self._wanted):
            await asyncio.sleep(self._random.uniform(0.1, 0.5 if self._settings["mutation"] else 1.5))
            what, fault = self._random.choices(
                [(what, fault) for _, what, fault in faults], [weight for weight, _, _ in faults]
            )[0]
            await fault(name)
            self.verdict.faults[what] += 1

    async def _crash(self, name: str) -> None:
        await self._kill(name)
        await self._start(name)

    async def _zombie(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.8, 1.8) * LIMITS["session_timeout_ms"] / 1000)  # type: ignore[operator]
        self._signal(name, signal.SIGCONT)

    async def _storm(self, _: str) -> None:
        await self._start("guest")
        await asyncio.sleep(self._random.uniform(0.0, 0.5))
        await self._kill("guest", self._random.choice([signal.SIGTERM, signal.SIGKILL]))

    async def _lose_store(self, name: str) -> None:
        await self._kill(name)
        shutil.rmtree(self._folder / "state" / name, ignore_errors=True)
        await self._start(name)

    async def _old_store(self, name: str) -> None:
        """The store goes back to how it was some faults ago; the next time this happens, to how it is now."""
        await self._kill(name)
        now, old = self._folder / "state" / name, self._folder / "old" / name
        if old.exists():
            shutil.rmtree(now, ignore_errors=True)
            old.rename(now)
        if now.exists():
            old.parent.mkdir(exist_ok=True)
            shutil.copytree(now, old)
        await self._start(name)

    async def _kill_broker(self, _: str) -> None:
        """Any of them: with three nodes each leads a part of the transaction log and of the changelogs."""
        node = self._random.choice(self._cluster.nodes)
        node.kill()
        await asyncio.sleep(self._random.uniform(1.0, 4.0))
        node.start()
        await asyncio.to_thread(node.wait)

    async def _freeze_broker(self, _: str) -> None:
        node = self._random.choice(self._cluster.nodes)
        node.freeze()
        await asyncio.sleep(self._random.uniform(2.0, 6.0))
        node.thaw()

    # --- the oracle -----------------------------------------------------------------------------

    async def _until_finished(self, bus: KafkaBus) -> None:
        """Until every message has arrived at the queue, every conversation is closed, and nobody lags."""
        ends = time.monotonic() + self._patience_s
        while time.monotonic() < ends:
            if not await self._unfinished(bus):
                return
            await asyncio.sleep(0.5)
        self.verdict.complaints.append(f"it never finished: {await self._unfinished(bus)}")

    async def _unfinished(self, bus: KafkaBus) -> str:
        for name in ("normalizer", "router"):
            behind = sum((await bus.lag(name)).values())
            if behind:
                return f"{name} is {behind} behind"
        found = await self._found(bus, Topics(self._prefix).events)
        opened = {event.subject for _, event in found if event.type == "omnibus.conversation.opened.v1"}
        closed = {event.subject for _, event in found if event.type == "omnibus.conversation.closed.v1"}
        return "" if opened <= closed else f"{len(opened - closed)} conversations are open"

    async def _lose_every_store(self, bus: KafkaBus) -> None:
        """The disk is gone, everybody restores from nothing, and the state is the same, deletions included."""
        shutil.rmtree(self._folder / "state", ignore_errors=True)
        names = [f"w{n}" for n in range(2)]
        for name in names:
            (self._folder / f"{name}.log.restored").unlink(missing_ok=True)
            await self._start(name)
        ends = time.monotonic() + 60
        restored = [self._folder / f"{name}.log.restored" for name in names]
        while not all(file.exists() for file in restored):  # made by other processes
            assert time.monotonic() < ends, "the state was never restored"
            await asyncio.sleep(0.1)
        for name in names:
            await self._kill(name)
        for stage in ("normalizer", "router"):
            await self._judge_stores(bus, stage)

    def _copies(self, stage: str, partition: int) -> list[tuple[int, dict[bytes, bytes]]]:
        """Every worker's copy of a partition, with the offset it goes up to; those without one are left out."""
        found = []
        for folder in (self._folder / "state").iterdir():
            path = folder / self._prefix / f"{stage}-{partition}.sqlite"
            if path.exists():
                connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.1)
                try:
                    row = connection.execute("SELECT value FROM meta WHERE name='position_at'").fetchone()
                    if row is not None:
                        found.append((int(row[0]), dict(connection.execute("SELECT k, v FROM kv"))))
                except sqlite3.OperationalError as error:
                    if "no such table" not in str(error):  # a worker was killed while it made the file: no copy yet
                        raise
                finally:
                    connection.close()
        return found

    async def _found(self, bus: KafkaBus, topic: str) -> list[tuple[Record, codec.Event]]:
        found: list[tuple[Record, codec.Event]] = []
        for partition, (first, after) in sorted((await bus.bounds(topic)).items()):
            at = first
            while at < after and (records := await bus.read(topic, partition, at, 5_000)):
                found.extend((record, codec.decode(record)) for record in records)
                at = records[-1].offset + 1
        return found

    async def _judge(self, bus: KafkaBus) -> None:
        topics = Topics(self._prefix)
        told = await self._found(bus, topics.events)
        self._judge_messages("events", [e for _, e in told if e.source == events.NORMALIZER])
        self._judge_messages("queue", [e for _, e in await self._found(bus, topics.queue("general"))])
        self._judge_counters([e for _, e in told if e.source == events.NORMALIZER])
        self._judge_timers([e for _, e in told])
        dead = sum(after - first for first, after in (await bus.bounds(topics.dead_letters)).values())
        if dead and await self._found_any(bus, topics.dead_letters):
            self.verdict.complaints.append("there are dead letters")
        for stage in ("normalizer", "router"):
            await self._judge_stores(bus, stage)

    async def _found_any(self, bus: KafkaBus, topic: str) -> bool:
        return any([await bus.read(topic, part, first) for part, (first, _) in (await bus.bounds(topic)).items()])

    def _judge_messages(self, where: str, found: list[codec.Event]) -> None:
        """Every acknowledged message once, and in order within its conversation."""
        seen: Counter[str] = Counter()
        order: dict[str, list[int]] = defaultdict(list)
        for event in found:
            for message in _messages(event):
                seen[message.native.message_id] += 1
                order[str(event.subject)].append(int(message.content.text))
        expected = {f"{thread}-{n}" for thread, count in self._sent.items() for n in range(count)}
        if lost := expected - set(seen):
            self.verdict.complaints.append(f"{where}: {len(lost)} lost")
        if twice := [one for one, times in seen.items() if times > 1]:
            self.verdict.complaints.append(f"{where}: {len(twice)} twice")
        if strange := set(seen) - expected:
            self.verdict.complaints.append(f"{where}: {len(strange)} from nowhere")
        if mixed := [one for one, numbers in order.items() if numbers != sorted(numbers)]:
            self.verdict.complaints.append(f"{where}: {len(mixed)} conversations out of order")

    def _judge_counters(self, found: list[codec.Event]) -> None:
        """`convseq` is kept in the normalizer's state: dense, when no step was lost or done twice."""
        counts: dict[str, list[int]] = defaultdict(list)
        for event in found:
            if event.convseq is not None:
                counts[str(event.subject)].append(event.convseq)
        self.verdict.conversations = len(counts)
        if uneven := [one for one, numbers in counts.items() if numbers != list(range(1, len(numbers) + 1))]:
            self.verdict.complaints.append(f"{len(uneven)} conversations whose counter is not dense")

    def _judge_timers(self, found: list[codec.Event]) -> None:
        """The router's inactivity timer ends every conversation once, by way of the normalizer."""
        closed = Counter(event.subject for event in found if event.type == "omnibus.conversation.closed.v1")
        self.verdict.timers = sum(closed.values())
        if twice := [one for one, times in closed.items() if times > 1]:
            self.verdict.complaints.append(f"{len(twice)} conversations closed twice")

    async def _judge_stores(self, bus: KafkaBus, stage: str) -> None:
        """Every local copy is what the changelog, replayed into nothing, said at the copy's position."""
        for partition in range(PARTITIONS):
            copies = self._copies(stage, partition)
            replayed = await self._replayed(
                bus, f"{self._prefix}.state.{stage}.v1", partition, {at for at, _ in copies}
            )
            for at, copy in copies:
                if wrong := copy.items() ^ replayed.get(at, {}).items():
                    told = f"{stage}[{partition}]: {len(wrong)} entries differ from the changelog at {at}"
                    self.verdict.complaints.append(told)
            self.verdict.copies += len(copies)

    async def _replayed(
        self, bus: KafkaBus, topic: str, partition: int, wanted: set[int]
    ) -> dict[int, dict[bytes, bytes]]:
        """What the state was after each of these commits."""
        state: dict[bytes, bytes] = {}
        found: dict[int, dict[bytes, bytes]] = {}
        at, after = (await bus.bounds(topic))[partition]
        while at < after and (records := await bus.read(topic, partition, at, 5_000)):
            for record in records:
                if record.key == POSITION:
                    if record.offset in wanted:
                        found[record.offset] = dict(state)
                elif record.value is None:
                    state.pop(record.key or b"", None)
                else:
                    state[record.key or b""] = record.value
            at = records[-1].offset + 1
        return found


def _messages(event: codec.Event) -> list[Any]:
    """The messages an event tells of; the queue learns of those before the assignment with it."""
    if event.type == "omnibus.message.received.v1":
        return [event.data.message]
    if event.type == "omnibus.conversation.assigned.v1":
        return list(event.data.recent)
    return []


def _alive(pid: int) -> bool:
    """Whether it runs still; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="session")
def one_broker() -> Any:
    with cluster() as running:
        yield running


@pytest.fixture
def three_brokers() -> Any:
    with cluster(3) as running:
        yield running


MakeChaos = Callable[..., Chaos]


@pytest.fixture
def make_chaos(tmp_path: Path) -> MakeChaos:
    """A run in a folder of its own."""

    def make(running: Cluster, seed: int, **options: Any) -> Chaos:
        return Chaos(running, tmp_path / f"chaos-{seed}", seed, **options)

    return make
