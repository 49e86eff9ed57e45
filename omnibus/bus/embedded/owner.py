"""Who owns a lease: a name from which other processes of this machine can tell whether the owner still lives."""

from __future__ import annotations

import os
import secrets
from functools import lru_cache
from pathlib import Path


def new_owner() -> str:
    """A name for one runner of this process: ``machine/pid/start time/random``."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_started(pid) or '-'}/{secrets.token_hex(4)}"


def process_of(owner: str) -> str:
    """The part of an owner's name that its process shares with no other."""
    return owner.rpartition("/")[0]


def is_dead(owner: str) -> bool:
    """True when the owner's process certainly runs no more; False when it runs, or nobody here can know."""
    machine, _, rest = owner.partition("/")
    pid, _, rest = rest.partition("/")
    started = rest.partition("/")[0]
    if machine != _machine() or not pid.isdigit():
        return False
    if started == "-":
        return not _exists(int(pid))
    return _started(int(pid)) != started


@lru_cache(maxsize=1)
def _machine() -> str:
    """This boot of this machine and its process namespace (a container has its own process numbers)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return os.uname().nodename.replace("/", "-")
    return f"{boot}-{namespace}"


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when it is gone, a zombie, or this is not Linux.

    proc_pid_stat(5): field 3 is the state, field 22 the start time; field 2 may hold spaces and parentheses.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
