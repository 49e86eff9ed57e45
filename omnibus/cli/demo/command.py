"""``omnibus demo``: plays the conversations and prints what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
from aiohttp import ClientError, ClientSession, ClientTimeout
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from omnibus.cli.console import err, json_option, out, print_json, print_table
from omnibus.cli.demo.doors import Entrance, MailDoor, Refusal, TelegramDoor, WebchatDoor, WebhookDoor
from omnibus.cli.demo.instance import Place, answers, own_instance
from omnibus.cli.demo.ledger import Ledger
from omnibus.cli.demo.script import Door, Expected, Step, Talk, expected, write
from omnibus.cli.reading import opened
from omnibus.cli.settings import config_options
from omnibus.errors import Misconfigured
from omnibus.telemetry import logs

if TYPE_CHECKING:
    from omnibus.config.model import Config

QUIET_S = 30
"""The demo gives up when nothing at all has come for so long."""
TRIES = 10
"""Of a reply, while the API asks for a moment."""


@click.command()
@click.option("--count", default=300, show_default=True, type=click.IntRange(1, 9_000), help="Conversations to play.")
@click.option("--at-once", default=12, show_default=True, type=click.IntRange(1, 200), help="People writing at once.")
@click.option("--seed", default=1, show_default=True, help="Another seed plays other conversations.")
@click.option("--running", is_flag=True, help="Use the running instance of the configuration, whatever it feeds.")
@click.option("--bus", default="", metavar="kafka://HOST:PORT", help="Let the instance it starts run on this cluster.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 16), help="With --bus: of each stage.")
@click.option("--keep", is_flag=True, help="Keep the data of an instance that the demo starts, and say where.")
@json_option
@config_options
def demo(
    configure: Callable[[], Config],
    count: int,
    at_once: int,
    seed: int,
    running: bool,
    bus: str,
    workers: int,
    keep: bool,
    as_json: bool,
) -> int:
    """Send some 300 invented conversations through the front doors, with pictures, edits, copies and broken requests,
    and count them out again at every stage. Exit code 1 when anything is missing or too much.

    Uses the instance that `omnibus up` runs without a configuration, or starts one of its own: with --bus on a Kafka
    cluster, every stage a command of its own, with topics of its own that are removed afterwards.
    """
    if bus and running:
        raise click.UsageError("--bus is for the instance that the demo starts; --running uses another")
    if workers > 1 and not bus:
        raise click.UsageError("--workers needs --bus kafka://...: the embedded bus serves one process best")
    logs.configure("auto", "error")  # the table is what this command says; what else happens is the instance's to log
    play = _Play(count=count, at_once=at_once, seed=seed, quiet=as_json)
    return asyncio.run(_demo(configure(), play, running, Place(bus, workers, keep), as_json))


async def _demo(config: Config, play: _Play, running: bool, place: Place, as_json: bool) -> int:
    built_in = config.where("channels").file == "built-in configuration"
    async with AsyncExitStack() as stack:
        if (running or (built_in and not place.bus)) and await answers(config):
            started = False
        elif running:
            raise Misconfigured("--running", f"nothing answers at http://{config.http.host}:{config.http.port}")
        else:
            started = True
            config = await stack.enter_async_context(own_instance(place, play.heard))
        result = await play.run(config, started)
    if as_json:
        print_json(result.as_json())
    else:
        result.show()
    return 0 if result.ok else 1


@dataclass
class _Play:
    """One play: the scripts, and what was sent and heard."""

    count: int
    at_once: int
    seed: int
    quiet: bool
    run_id: str = field(default_factory=lambda: secrets.token_hex(3))
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    surprises: list[str] = field(default_factory=list)
    replies_asked: dict[str, str] = field(default_factory=dict)
    replies_heard: set[str] = field(default_factory=set)
    _hearing: dict[str, asyncio.Event] = field(default_factory=dict)

    def heard(self, words: str) -> None:
        """Somebody outside got a reply."""
        for mark in (word for word in words.split() if word.startswith("re-")):
            self.replies_heard.add(mark)
            self.hearing(mark).set()

    def hearing(self, mark: str) -> asyncio.Event:
        """Set when the reply with that mark has arrived outside."""
        return self._hearing.setdefault(mark, asyncio.Event())

    async def run(self, config: Config, started: bool) -> Result:
        began = time.monotonic()
        async with (
            opened(config) as (bus, topics),
            ClientSession(timeout=ClientTimeout(total=30)) as session,
        ):
            doors = _doors(config, session, self.heard, int(self.run_id, 16))
            answerable = set(doors) if started else set(doors) & {"webchat"}
            talks = write(self.run_id, self.count, sorted(doors), self.seed, _forgeable(config, doors))
            ledger = Ledger(bus, topics, self.run_id)
            wanted = expected(talks)
            async with ledger.following():
                answers = _Answers(self, config, session, ledger, talks, answerable)
                answering = asyncio.create_task(answers.give())
                try:
                    await self._play_all(talks, doors, ledger, answers)
                    await self._settle(ledger, wanted, answers)
                finally:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                behind = await _behind(bus, config)
        return Result(self, ledger, wanted, behind, time.monotonic() - began, answers.count, answers.missing())

    async def _play_all(
        self, talks: Sequence[Talk], doors: Mapping[Door, Entrance], ledger: Ledger, answers: _Answers
    ) -> None:
        turn = asyncio.Semaphore(self.at_once)
        progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, disable=self.quiet
        )
        with progress:
            task = progress.add_task("conversations", total=len(talks))

            async def one(talk: Talk) -> None:
                async with turn:
                    await self._play(talk, doors[talk.door], ledger, answers)
                progress.advance(task)

            async with asyncio.TaskGroup() as group:
                for talk in talks:
                    group.create_task(one(talk))

    async def _play(self, talk: Talk, door: Entrance, ledger: Ledger, answers: _Answers) -> None:
        async with door.talk(talk) as held:
            for step in talk.steps:
                await self._step(talk, step, door, held, ledger)
            if talk.door == "webchat":  # the socket stays open until its answer is there, as a person would wait
                await answers.heard_by(talk)

    async def _step(self, talk: Talk, step: Step, door: Entrance, held: Any, ledger: Ledger) -> None:
        self.sent += step.requests
        for mark in step.tags:
            ledger.accepted_at.setdefault(mark, time.perf_counter())
        refusable = step.kind == "forged" or (step.kind == "broken" and talk.door == "webchat")
        try:
            await door.play(held, talk, step)
        except Refusal as refusal:
            self.refused += 1
            if not refusable:
                self.surprises.append(f"{talk.door} refused #{step.tags[0]} ({step.kind}): {refusal}")
        except (ClientError, OSError, TimeoutError) as error:
            self.surprises.append(
                f"{talk.door} broke on #{step.tags[0]} ({step.kind}): {type(error).__name__}: {error}"
            )
        else:
            self.accepted += step.requests
            if refusable:
                self.surprises.append(f"{talk.door} took #{step.tags[0]}, which was {step.kind}")

    async def _settle(self, ledger: Ledger, wanted: Expected, answers: _Answers) -> None:
        """Wait until everything is there, or nothing has come for a while."""
        while ledger.missing(wanted) or answers.missing():
            ledger.changed.clear()
            try:
                await asyncio.wait_for(ledger.changed.wait(), QUIET_S)
            except TimeoutError:
                return


def _doors(config: Config, session: ClientSession, heard: Callable[[str], None], number: int) -> dict[Door, Entrance]:
    """A door for each kind of channel the configuration has that the demo knows how to use."""
    base = f"http://{config.http.host}:{config.http.port}"
    doors: dict[Door, Entrance] = {}
    for name, channel in config.channels.items():
        settings: Any = channel.settings
        if channel.type == "webhook" and settings.verify in ("hmac", "loopback", "none"):
            secret = settings.webhook_secret.reveal() if settings.verify == "hmac" else None
            doors["webhook"] = WebhookDoor(session, f"{base}/in/{name}", secret)
        elif channel.type == "webchat":
            doors["webchat"] = WebchatDoor(session, f"{base}/ch/{name}", heard)
        elif channel.type == "email" and settings.smtp is not None:
            doors["email"] = MailDoor(settings.smtp.host, settings.smtp.port, settings.addresses[0])
        elif channel.type == "telegram" and settings.receive == "webhook":
            secret = settings.webhook_secret.reveal()
            doors["telegram"] = TelegramDoor(session, f"{base}/in/{name}", secret, 10_000 * (number + 1))
    if not doors:
        raise Misconfigured("channels", "none that the demo can write to (webhook, webchat, email, telegram)")
    return doors


def _forgeable(config: Config, doors: Mapping[Door, Entrance]) -> list[Door]:
    proven: list[Door] = ["telegram"] if "telegram" in doors else []
    if any(channel.type == "webhook" and getattr(channel.settings, "verify", "") == "hmac"
           for channel in config.channels.values()):  # fmt: skip
        proven.append("webhook")
    return proven


async def _behind(bus: Any, config: Config) -> int:
    """Records of the queues that sinks have not taken yet, once that is none or has not become less for a while."""
    least, deadline = sys.maxsize, 0.0
    while True:
        behind = 0
        for name in config.sinks:
            behind += sum((await bus.lag(f"sink.{name}")).values())
        if behind < least:
            least, deadline = behind, time.monotonic() + QUIET_S
        if behind == 0 or time.monotonic() > deadline:
            return behind
        await asyncio.sleep(0.1)


class _Answers:
    """Our side: takes conversations from the queues and replies through the API, to those that the script names."""

    def __init__(
        self,
        play: _Play,
        config: Config,
        session: ClientSession,
        ledger: Ledger,
        talks: Sequence[Talk],
        answerable: set[Door],
    ) -> None:
        self._play = play
        self._session = session
        self._ledger = ledger
        tokens = config.api.tokens
        self._headers = {"Authorization": f"Bearer {tokens[0].reveal()}"} if tokens else {}
        self._base = f"http://{config.http.host}:{config.http.port}/api/conversations"
        answered = [talk for talk in talks if tokens and talk.answered and talk.door in answerable]
        self._talks = {mark: talk for talk in answered for step in talk.steps for mark in step.tags}
        self._numbers = {talk.number for talk in answered}

    @property
    def count(self) -> int:
        """Replies there should be."""
        return len(self._numbers)

    async def give(self) -> None:
        async with asyncio.TaskGroup() as replies:
            while True:
                conversation, mark = await self._ledger.waiting.get()
                talk = self._talks.get(mark)
                if talk is not None and self._mark_of(talk) not in self._play.replies_asked:
                    self._play.replies_asked[self._mark_of(talk)] = conversation
                    replies.create_task(self._reply(conversation, talk))

    async def _reply(self, conversation: str, talk: Talk) -> None:
        mark = self._mark_of(talk)
        body = {"type": "reply", "text": f"Hello {talk.person.name}, we are looking into it. {mark}"}
        headers = {**self._headers, "Idempotency-Key": mark}
        try:
            status, text = await self._post(conversation, body, headers)
        except (ClientError, TimeoutError) as error:
            status, text = 0, f"{type(error).__name__}: {error}"
        if status != 202:
            self._play.surprises.append(f"reply to #{mark}: HTTP {status} {text[:200]}")

    async def _post(self, conversation: str, body: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
        url = f"{self._base}/{conversation}/commands"
        for _ in range(TRIES):
            async with self._session.post(url, json=body, headers=headers) as answer:
                if answer.status != 503:
                    return answer.status, await answer.text()
            await asyncio.sleep(1.0)  # what its Retry-After says
        return 503, "unavailable"

    def _mark_of(self, talk: Talk) -> str:
        return f"re-{self._play.run_id}-{talk.number}"

    def missing(self) -> Counter[str]:
        """Replies that nobody outside has got yet, by channel."""
        talks = {talk.number: talk for talk in self._talks.values()}
        return Counter(talk.door for talk in talks.values() if self._mark_of(talk) not in self._play.replies_heard)

    async def heard_by(self, talk: Talk) -> None:
        if talk.number not in self._numbers:
            return
        heard = self._play.hearing(self._mark_of(talk))
        while not heard.is_set() and time.monotonic() < self._ledger.last_at + QUIET_S:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), 1.0)


@dataclass
class Result:
    """What came of a play."""

    play: _Play
    ledger: Ledger
    wanted: Expected
    behind: int
    seconds: float
    replies_wanted: int
    replies_missing: Counter[str]

    @property
    def problems(self) -> list[str]:
        """Everything missing or too much, in sentences."""
        found = [*self.play.surprises, *self.ledger.missing(self.wanted), *self.ledger.surplus(self.wanted)]
        if self.behind:
            found.append(f"{self.behind} records of the queues are not delivered to the sinks")
        if lacking := self.replies_missing:
            where = ", ".join(f"{door} {count}" for door, count in sorted(lacking.items()))
            found.append(f"{lacking.total()} of {self.replies_wanted} replies did not arrive: {where}")
        return found

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        ledger, wanted = self.ledger, self.wanted
        delivered = ledger.queued_records.total() - self.behind
        return {
            "ok": self.ok,
            "conversations": {"expected": wanted.conversations, "got": len(ledger.conversations)},
            "sent": {"expected": wanted.sent, "got": self.play.sent},
            "accepted": {"expected": wanted.accepted, "got": self.play.accepted},
            "refused": {"expected": wanted.refused, "got": self.play.refused},
            "raw": {"expected": wanted.raw, "got": ledger.raw},
            "unified": {
                "expected": len(wanted.received) + len(wanted.edited),
                "got": ledger.received.total() + ledger.edited.total(),
            },
            "duplicates_dropped": {"expected": wanted.copies, "got": wanted.copies - self._leaked()},
            "dead_lettered": {"expected": wanted.dead, "got": ledger.dead.total()},
            "delivered": {"expected": len(wanted.received), "got": delivered},
            "replies_sent": {"expected": self.replies_wanted, "got": len(self.play.replies_heard)},
            "routed": {name.partition(".")[2]: count for name, count in sorted(ledger.routed.items())},
            "media": dict(ledger.media),
            "door_to_queue_ms": self._latency(),
            "seconds": round(self.seconds, 1),
            "problems": self.problems,
        }

    def _leaked(self) -> int:
        counts = [*self.ledger.received.values(), *self.ledger.edited.values()]
        return sum(count - 1 for count in counts if count > 1)

    def _latency(self) -> dict[str, float | None]:
        times = sorted(self.ledger.queued_after.values())
        if len(times) < 2:
            return {"p50": None, "p95": None}
        cuts = statistics.quantiles(times, n=20)
        return {"p50": round(cuts[9] * 1000, 1), "p95": round(cuts[18] * 1000, 1)}

    def show(self) -> None:
        """The table, and what is wrong."""
        summary = self.as_json()
        rows = [
            (name.replace("_", " "), part["expected"], part["got"], "" if part["expected"] == part["got"] else "!")
            for name, part in summary.items()
            if isinstance(part, dict) and "got" in part
        ]
        print_table("", ("", "expected", "got", ""), rows, right=(1, 2))
        routed = ", ".join(f"{name} {count}" for name, count in summary["routed"].items())
        out.print(f"\nrouted           {routed}", markup=False)
        latency = summary["door_to_queue_ms"]
        out.print(f"door to queue    p50 {latency['p50']} ms, p95 {latency['p95']} ms", markup=False)
        out.print(f"time             {summary['seconds']} s", markup=False)
        for problem in summary["problems"]:
            out.print(f"  {problem}", style="red", markup=False)
        if self.ok:
            out.print("nothing lost, nothing twice", style="green")
        else:
            out.print("something is missing", style="bold red")
