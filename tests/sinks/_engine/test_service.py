"""Every configured sink runs by itself: what is wrong with one is shown and stops no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omnibus.bus.port import Health, TaskHealth, TaskId
from omnibus.runtime import service
from sinks._engine.registry import discover
from sinks._engine.service import SinksService, with_trouble

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation


async def test_a_sink_that_cannot_be_set_up_is_shown_and_the_others_run(
    installation: Installation, tmp_path: Path
) -> None:
    yaml = f"""
        sinks:
          broken: {{type: jsonl, folder: {tmp_path}/a}}
          unsigned: {{type: webhook, from: [events], url: "https://hooks.example.com/", secrets: ["not base64"]}}
          archive: {{type: jsonl, from: [events, "queue:*"], folder: {tmp_path}/out}}
    """
    async with installation.sinks(yaml) as running:
        await installation.publish(installation.received(1))
        await installation.publish(installation.received(2), topic=installation.topics.queue("general"))
        await installation.caught_up("sink.archive")
        health = running.health()
        assert "expected at least one of events" in installation.reason_of(health, "sink.broken")
        assert "whsec_" in installation.reason_of(health, "sink.unsigned")
        assert installation.reason_of(health, "sink.archive") == ""
        assert {task.state for task in health["sink.broken"].tasks} == {"paused"}
    (file,) = (tmp_path / "out").glob("*.jsonl")
    assert file.read_text("utf-8").count("\n") == 2


def test_trouble_is_shown_without_hiding_the_runners_own() -> None:
    own = TaskHealth(task=TaskId("sink.x", 0), state="paused", lag=3, reason="its own")
    quiet = TaskHealth(task=TaskId("sink.x", 1), state="ready", lag=0)
    shown = with_trouble(Health(tasks=(own, quiet), processed_total=7), "account main: token")
    assert [task.reason for task in shown.tasks] == ["its own", "account main: token"]
    assert shown.processed_total == 7
    assert with_trouble(shown, None) is shown


def test_the_command_line_finds_the_service() -> None:
    assert service("sinks") is SinksService


def test_the_sinks_of_this_release_are_found() -> None:
    assert discover().broken == {}
    assert {"channel_reply", "jsonl", "mail", "webhook"} <= set(discover().plugins)
