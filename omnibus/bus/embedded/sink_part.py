"""One partition of one sink while this process owns it: its window, and what waits for the next commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.embedded.txn import Txn
from omnibus.bus.lost import where_to_go_on
from omnibus.bus.port import Out, TaskId, TaskState
from omnibus.stage.window import Call, Progress, Window

_PASSED_S = 0.5


class SinkPart:
    """The window is kept through a failed commit; it is thrown away only with the lease."""

    def __init__(self, core: Core, task: TaskId, epoch: int) -> None:
        self._core = core
        self.id = task
        self.epoch = epoch
        self.window: Window | None = None
        self.state: TaskState = "starting"
        self.reason: str | None = None
        self.retry_at = 0.0
        self.last_commit_ms: int | None = None
        self.handing_over = False
        self.dirty = False
        """True when there is something to commit: acknowledgements, or records admitted and not yet known durable."""
        self._passed_at: float | None = None
        """Since when records have been passed without anything to commit but that."""
        self._unsynced = False
        """True while records were admitted of which it is not sure that they are on the disk: none is delivered."""
        self._failures = 0
        self._outs: list[Out] = []
        self._sent: list[Out] = []
        self._saved: dict[str, Progress] = {}
        self._sent_progress: dict[str, Progress] = {}

    def open(self, window: Window, progress: dict[str, Progress]) -> None:
        self.window, self._saved = window, progress
        self.state, self.reason = "ready", None

    @property
    def busy(self) -> bool:
        """True while a call runs or something waits for a commit."""
        return self.dirty or (self.window is not None and self.window.running > 0)

    # --- input ----------------------------------------------------------------------------------

    def admit(self, topic: Topic, bounds: tuple[int, int]) -> None:
        """Read on into the window; raises OutOfRange when retention took records that were not read yet."""
        if self.window is None or self.handing_over:
            return
        name, (first, after) = topic.spec.name, bounds
        at = self.window.next_fetch(name)
        if at >= after or (room := self.window.room()) == 0:
            return
        if first > at:
            at, _ = where_to_go_on(
                self.id.stage, name, self.id.partition, at, (), (first, after), skip=self._core.limits.skip_lost
            )
            self.window.skip_to(name, at)
        tp = tp_of(topic.id, self.id.partition)
        records = self._core.reader.records(name, tp, at, room, self._core.limits.fetch_bytes)
        admitted = [self.window.admit(record) for record in records]
        if not records:
            self.window.skip_to(name, after)
        if any(admitted):
            self.dirty = self._unsynced = True
        elif self._passed_at is None:
            self._passed_at = time.monotonic()

    def has_to_commit(self, now_s: float, *, last: bool = False) -> bool:
        """True when it has, and when records were passed a while ago: a position alone is in no hurry but the last."""
        passed = self._passed_at is not None and (last or now_s - self._passed_at >= _PASSED_S)
        return self.dirty or passed

    @property
    def rows(self) -> int:
        """What the next commit writes: the position, and what the handler returned."""
        return 1 + len(self._outs)

    def take(self, now_s: float) -> Call | None:
        if self.window is None or self.handing_over or self._unsynced or self.state != "ready":
            return None
        return self.window.take(now_s)

    def next_due(self) -> float | None:
        return None if self.window is None or self.handing_over else self.window.next_due()

    # --- ends of calls --------------------------------------------------------------------------

    def done(self, call: Call, outs: Sequence[Out]) -> None:
        self._of_call().done(call)
        self._outs.extend(outs)
        self.dirty = True

    def retry(self, call: Call, at_s: float) -> None:
        self._of_call().retry(call, at_s)

    def untried(self, call: Call, at_s: float) -> None:
        self._of_call().untried(call, at_s)

    def one_by_one(self, call: Call, at_s: float) -> None:
        self._of_call().one_by_one(call, at_s)

    def _of_call(self) -> Window:
        assert self.window is not None, "a call comes from an open window"
        return self.window

    # --- commit ---------------------------------------------------------------------------------

    def job(self, core: Core, claim: Claim) -> Callable[[Txn], None]:
        """What to commit now; ends in `committed` or `put_back`. Raises PublishRejected (no such topic)."""
        self._sent, self._outs = self._outs, []
        self.dirty, self._passed_at = False, None
        self._sent_progress = self._of_call().progress()
        moves = [
            (tp_of(core.catalog.topic(name).id, self.id.partition), now.position, _encoded(now.acked))
            for name, now in self._sent_progress.items()
            if now != self._saved.get(name)
        ]
        batch = core.catalog.prepare(self._sent)
        fence, part, epoch = core.fence, self.id.partition, self.epoch

        def commit(txn: Txn) -> None:
            fence(txn, claim, {part: epoch})
            txn.append(batch)
            txn.move(claim.group, moves)

        return commit

    def committed(self, now_ms: int) -> None:
        self._saved, self._sent, self._unsynced = self._sent_progress, [], False
        self._failures, self.last_commit_ms = 0, now_ms
        self.state, self.reason, self.retry_at = "ready", None, 0.0

    def put_back(self) -> None:
        """The commit failed: what it held waits for the next one."""
        self._outs, self._sent = self._sent + self._outs, []
        self.dirty = True

    def fail(self, reason: str, bounds: tuple[float, float]) -> None:
        self._failures += 1
        self.state, self.reason = "failed", reason
        self.retry_at = time.monotonic() + min(bounds[1], bounds[0] * 2 ** min(self._failures, 16))


def _encoded(acked: tuple[int, ...]) -> bytes | None:
    return msgspec.msgpack.encode(acked) if acked else None
