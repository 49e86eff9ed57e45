"""Log lines tell what happened, to people or machines, and never a secret or the text of a message."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from omnibus import clock
from omnibus.config.fields import Secret
from omnibus.telemetry import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with clock.use(clock.ManualClock()):
        logs.configure("json", "debug", stream=stream)
        yield stream
    structlog.reset_defaults()
    logs.release()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_and_level(out: io.StringIO) -> None:
    structlog.get_logger().info("channel connected", channel="telegram", tries=3, late=None)

    assert lines(out) == [
        {
            "at": "2026-01-05T09:00:00.000Z",
            "level": "info",
            "event": "channel connected",
            "channel": "telegram",
            "tries": 3,
            "late": None,
        }
    ]


def test_known_secrets_are_masked_wherever_they_stand(out: io.StringIO) -> None:
    secret = Secret("hunter2-invented")
    structlog.get_logger().info(
        "called https://api.example.com/bothunter2-invented/x", why=["hunter2-invented"], of={"a": secret}, it=secret
    )

    assert "hunter2" not in out.getvalue()
    assert lines(out)[0]["event"] == "called https://api.example.com/bot***/x"


@pytest.mark.parametrize(
    "key", ["token", "bot_token", "Authorization", "X-Api-Key", "password", "client_secret", "accessToken", "cookies"]
)
def test_keys_that_speak_of_secrets_are_masked(out: io.StringIO, key: str) -> None:
    structlog.get_logger().info("x", headers={key: "never seen before"}, **{key: "never seen before"})

    assert "never seen" not in out.getvalue()


@pytest.mark.parametrize("key", ["text", "body", "html", "subject", "payload"])
def test_the_text_of_messages_is_left_out(out: io.StringIO, key: str) -> None:
    structlog.get_logger().info("x", inner={key: "my card number"}, **{key: "my card number"})

    assert "card" not in out.getvalue()
    assert lines(out)[0][key] == "(not logged)"


def test_a_traceback_is_masked_and_on_the_same_line(out: io.StringIO) -> None:
    Secret("hunter3-invented")
    try:
        raise ValueError("bad hunter3-invented")
    except ValueError:
        structlog.get_logger().exception("a bug")

    (line,) = lines(out)
    assert "ValueError: bad ***" in line["exception"]


def test_bytes_control_characters_and_long_values_are_tamed(out: io.StringIO) -> None:
    structlog.get_logger().info("x\x1b[31m", raw=b"12345", long="y" * 5_000, deep={"a": {"b": {"c": {"d": {"e": 1}}}}})

    (line,) = lines(out)
    assert line["event"] == "x\\x1b[31m"
    assert line["raw"] == "(5 bytes)"
    assert len(line["long"]) == 2_003


def test_lines_below_the_level_are_not_written(out: io.StringIO) -> None:
    logs.configure("json", "warning", stream=out)
    structlog.get_logger().info("quiet")

    assert out.getvalue() == ""


def test_context_is_on_every_line_inside(out: io.StringIO) -> None:
    with logs.context(stage="router", partition=3):
        structlog.get_logger().info("a")
    structlog.get_logger().info("b")

    assert [line.get("stage") for line in lines(out)] == ["router", None]


def test_libraries_log_through_us_from_warning_up(out: io.StringIO) -> None:
    Secret("hunter4-invented")
    logging.getLogger("aiohttp.client").warning("failed with %s", "hunter4-invented")
    logging.getLogger("aiohttp.client").info("chatter")
    logs.configure("json", "debug", stream=out)
    logging.getLogger("aiohttp.client").error("once")

    assert [(line["logger"], line["says"]) for line in lines(out)] == [
        ("aiohttp.client", "failed with ***"),
        ("aiohttp.client", "once"),
    ]


@pytest.mark.usefixtures("out")
def test_a_terminal_gets_colours_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    logs.configure("auto", stream=coloured)
    structlog.get_logger().info("hello", channel="email")
    monkeypatch.setenv("NO_COLOR", "1")
    logs.configure("auto", stream=plain)
    structlog.get_logger().info("hello", channel="email")

    assert "\x1b[" in coloured.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "hello" in plain.getvalue()
    assert "channel=email" in plain.getvalue()


@pytest.mark.usefixtures("out")
def test_anything_but_a_terminal_gets_json() -> None:
    stream = io.StringIO()
    logs.configure("auto", stream=stream)
    structlog.get_logger().info("hello")

    assert lines(stream)[0]["event"] == "hello"
