"""Health pages: alive while we can answer, ready when every runner is."""

from __future__ import annotations

import orjson

from omnibus.bus.port import Health, TaskHealth, TaskId, TaskState
from omnibus.telemetry.health import live, ready
from omnibus.telemetry.redact import remember


def health(state: TaskState, reason: str | None = None) -> Health:
    return Health(tasks=(TaskHealth(task=TaskId("router", 4), state=state, lag=3, oldest_ms=20, reason=reason),))


def test_ready_is_all_runners_ready() -> None:
    answer = ready({"router": lambda: health("ready"), "sinks": lambda: Health(tasks=())})

    assert answer.status == 200
    assert orjson.loads(answer.body) == {
        "status": "ready",
        "stages": {
            "router": {"ready": True, "tasks": 1, "lag": 3, "oldest_ms": 20, "problems": []},
            "sinks": {"ready": True, "tasks": 0, "lag": 0, "oldest_ms": 0, "problems": []},
        },
    }


def test_one_that_is_not_ready_says_which_and_why_without_secrets() -> None:
    remember("hunter5-invented")
    answer = ready({"router": lambda: health("failed", "position 7 is gone; hunter5-invented")})

    assert answer.status == 503
    (problem,) = orjson.loads(answer.body)["stages"]["router"]["problems"]
    assert problem == {"partition": 4, "state": "failed", "reason": "position 7 is gone; ***"}


def test_a_paused_task_is_shown_and_does_not_make_the_stage_unready() -> None:
    answer = ready({"sinks": lambda: health("paused", "token expired")})

    assert answer.status == 200
    assert b"token expired" in answer.body


def test_a_task_that_works_in_part_says_what_does_not() -> None:
    """One channel account rests, the others go on."""
    answer = ready({"sinks": lambda: health("ready", "account main: token expired")})

    assert answer.status == 200
    assert b"account main: token expired" in answer.body


def test_a_failed_task_does_not_kill_the_process() -> None:
    assert live({"router": lambda: health("failed")}).status == 200
