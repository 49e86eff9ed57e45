"""Several processes of one stage: started together, kept alive, stopped together."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

_SHORTEST_LIFE_S = 5.0
_PAUSE_S = 1.0


def run_workers(count: int, work: Callable[[int], None]) -> int:
    """Run `work(number)` in `count` processes until SIGINT or SIGTERM, which each of them gets; returns the exit code.

    One that dies is started again; one that dies at once, again and again, ends them all (a wrong configuration).
    """
    workers: dict[int, tuple[int, float]] = {}
    stopping = False

    def stop(which: int, _: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in list(workers):
            _tell(pid, which)

    def pass_on(which: int, _: object) -> None:
        for pid in list(workers):
            _tell(pid, which)

    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, stop)
    signal.signal(signal.SIGHUP, pass_on)
    for number in range(count):
        workers[_start(number, work)] = (number, time.monotonic())
    failed = 0
    while workers:
        pid, status = os.wait()
        number, began = workers.pop(pid, (0, 0.0))
        code = os.waitstatus_to_exitcode(status)
        if stopping:
            failed = failed or code
        elif time.monotonic() - began < _SHORTEST_LIFE_S:
            failed = code or 1
            stop(signal.SIGTERM, None)
        else:
            time.sleep(_PAUSE_S)
            workers[_start(number, work)] = (number, time.monotonic())
    return failed


def _start(number: int, work: Callable[[int], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the stage that knows what to do with it has started
        work(number)
    except Exception:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _tell(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended just now, and is waited for
