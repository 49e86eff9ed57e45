"""The processes of the chaos run: the real normalizer and the real router on Kafka, to be killed and stopped at random.

This one only imports everything, and forks a process for each line of JSON on its stdin: that is fast enough to break
something every moment. It prints the new process's id; the process makes the file `ready` when it works. `rejects`
makes the broker refuse some batches (as it would refuse one too large for a topic's limit); `mutation` names a defect
of `mutations.py`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Hashable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from normalizer import service
from normalizer.policy import Policy
from normalizer.service import NormalizerService
from omnibus.blobs import open_blobs
from omnibus.bus.kafka import KafkaBus, Limits, produce
from omnibus.bus.kafka.codes import Unanswered
from omnibus.bus.kafka.stage_runner import StagePart, StageRunner
from omnibus.bus.kafka.wire import Tp, Wire
from omnibus.bus.topics import Topics
from omnibus.cli.assemble import accounts_of
from omnibus.cli.settings import configuration
from omnibus.http import Http
from omnibus.runtime import Runtime
from omnibus.stage.step import StepResult
from omnibus.stage.store import local
from router.service import RouterService

sys.path.insert(0, str(Path(__file__).parent))
import mutations  # type: ignore[import-not-found]  # beside this file, which is no package

MESSAGE_TOO_LARGE = 10


def make_bus(settings: dict[str, Any]) -> KafkaBus:
    return KafkaBus(
        settings["addresses"],
        topics=Topics(settings["prefix"]),
        blobs=open_blobs(f"file:{settings['folder']}/blobs"),
        limits=msgspec.convert(settings["limits"], Limits),
        state_dir=Path(settings["state"]),
    )


def reject_some(share: float) -> None:
    """The broker's answer for some batches is an error, and they are not stored."""
    send = produce.try_produce

    async def with_rejects(
        wire: Wire, lane: Hashable, transactional_id: str | None, data: dict[Tp, bytes], timeout_s: float
    ) -> dict[Tp, produce.Answer | Unanswered]:
        rejected = {tp for tp in data if transactional_id is not None and random.random() < share}
        answers = await send(
            wire, lane, transactional_id, {tp: batch for tp, batch in data.items() if tp not in rejected}, timeout_s
        )
        refused: dict[Tp, produce.Answer | Unanswered] = dict.fromkeys(rejected, (MESSAGE_TOO_LARGE, -1))
        return answers | refused

    produce.try_produce = with_rejects  # the broker cannot be asked to do it


def delay_some(share: float, most_s: float) -> None:
    """A network that is slow at times: a step is computed, and its commit begins later."""
    commit = StageRunner._commit

    async def later(self: StageRunner, part: StagePart, result: StepResult) -> None:
        if random.random() < share:
            await asyncio.sleep(random.uniform(0, most_s))
        await commit(self, part, result)

    StageRunner._commit = later  # type: ignore[method-assign]  # nothing else slows the way to the broker down


async def main(settings: dict[str, Any]) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    reject_some(settings["rejects"])
    delay_some(settings["delays"], 0.3)
    local._GATHER_ROWS = settings["gather"]
    if settings["seen_for_s"] is not None:
        policy = Policy(seen_for=timedelta(seconds=settings["seen_for_s"]))
        module: Any = service
        module.Policy = lambda: policy  # it is no setting
    if settings["mutation"]:
        mutations.apply(settings["mutation"])
    config = configuration(Path(settings["config"]))
    bus = make_bus(settings)
    inactivity = timedelta(seconds=settings["inactivity_s"])
    accounts = {name: replace(account, inactivity=inactivity) for name, account in accounts_of(config).items()}
    async with Http() as http:
        await bus.open()
        blobs = open_blobs(f"file:{settings['folder']}/blobs")
        runtime = Runtime(
            config=config, topics=Topics(settings["prefix"]), bus=bus, blobs=blobs, http=http, accounts=accounts
        )
        services = (RouterService(runtime), NormalizerService(runtime))
        for one in services:
            await one.start()
        os.close(os.open(settings["ready"], os.O_CREAT | os.O_WRONLY))
        while not all(h.tasks and h.ready for s in services for h in s.health().values()):  # noqa: ASYNC110  # a look
            await asyncio.sleep(0.05)
        os.close(os.open(f"{settings['log']}.restored", os.O_CREAT | os.O_WRONLY))
        await asyncio.Event().wait()


def fork(settings: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(0)
    try:
        random.seed()
        asyncio.run(main(settings))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the killed
    gc.freeze()
    for line in sys.stdin:
        print(fork(json.loads(line)), flush=True)
