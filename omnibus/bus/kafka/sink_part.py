"""One partition of one sink while this process owns it: its window, and what waits for the next commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from omnibus.bus.kafka.changelog import Place
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.group import Part
from omnibus.bus.kafka.strand import Strand
from omnibus.bus.port import Out, SinkSpec
from omnibus.stage.window import Call, Progress, Window


class SinkPart(Part):
    """The window is kept through a failed commit, as long as the fence taken afterwards shows that nobody was here."""

    def __init__(
        self, core: Core, name: str, partition: int, inputs: Sequence[str], partitions: int, strand: Strand
    ) -> None:
        super().__init__(core, name, partition, inputs, partitions, strand)
        self.settled = asyncio.Event()
        """Set by every commit."""

    window: Window | None = None
    dirty = False
    """True when there is something to commit: acknowledgements and what the handler returned."""
    sent: dict[str, Place]
    committed_places: dict[str, Place]
    _outs: list[Out]
    _outs_sent: list[Out]

    def begin(self, spec: SinkSpec, places: dict[str, Place], max_bytes: int) -> dict[str, Place]:
        """The places to read on from, after the fence. `places` is what the changelog says now."""
        if self.window is not None and places in (self.sent, self.committed_places):
            if places == self.sent:
                self._outs_sent = []  # the commit whose outcome was not known had succeeded
            self._outs = self._outs_sent + self._outs
            self._outs_sent = []
            self.committed_places = places
            self.dirty = True
            reading = {name: Place(self.window.next_fetch(name)) for name in places}
        else:
            self.window = Window(spec, {name: Progress(p.offset, p.acked) for name, p in places.items()}, max_bytes)
            self._outs, self._outs_sent = [], []
            self.sent = self.committed_places = places
            self.dirty = False
            reading = places
        self.state, self.reason = "ready", None
        return reading

    # --- input ----------------------------------------------------------------------------------

    def admit(self) -> bool:
        """Move what was read into the window while it has room. Raises what a source that was given up on says."""
        window = self._opened
        moved = False
        for source in self.sources:
            topic = source.tp[0]
            while source.ahead and window.room():
                if not window.admit(source.take()):
                    self.dirty = True  # its position has to be kept all the same
                moved = True
            if not source.ahead:
                if source.error is not None:
                    raise source.error
                window.skip_to(topic, source.position)
        return moved

    @property
    def _opened(self) -> Window:
        assert self.window is not None, "calls come from an open window"
        return self.window

    # --- ends of calls --------------------------------------------------------------------------

    def done(self, call: Call, outs: Sequence[Out]) -> None:
        self._opened.done(call)
        self._outs.extend(outs)
        self.dirty = True

    def retry(self, call: Call, at_s: float) -> None:
        self._opened.retry(call, at_s)

    def untried(self, call: Call, at_s: float) -> None:
        self._opened.untried(call, at_s)

    def one_by_one(self, call: Call, at_s: float) -> None:
        self._opened.one_by_one(call, at_s)

    # --- commit ---------------------------------------------------------------------------------

    def progress(self) -> dict[str, Place]:
        return {name: Place(at.position, at.acked) for name, at in self._opened.progress().items()}

    def to_commit(self) -> tuple[list[Out], dict[str, Place]]:
        """What the next commit holds; ends in `committed`, or in a failure and `begin`."""
        self._outs_sent, self._outs = self._outs, []
        self.dirty = False
        self.sent = self.progress()
        return self._outs_sent, self.sent

    def committed(self) -> None:
        self._outs_sent = []
        self.committed_places = self.saved = self.sent
