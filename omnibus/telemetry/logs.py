"""Log lines: structured, with context, without secrets and without the text of messages.

On a terminal lines are for people (``NO_COLOR`` is respected, https://no-color.org), otherwise JSON, one object a
line. Lines of the standard library's logging (aiohttp, aiokafka, ...) take the same way from WARNING up.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from omnibus import clock
from omnibus.telemetry.redact import MASK, masked

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]

NOT_LOGGED = "(not logged)"
_MASKED_KEYS = "token|secret|password|passwd|authorization|api[_-]?key|cookie|credential|private[_-]?key"
_SENSITIVE = re.compile(rf"(?:{_MASKED_KEYS})s?(?:$|_|-)", re.IGNORECASE)
_CONTENT = frozenset({"text", "body", "html", "subject", "payload", "content"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MAX_TEXT = 2_000
_MAX_TRACEBACK = 20_000
_MAX_DEPTH = 4
_NUMBERS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_least = 0


def configure(lines: Format = "auto", level: Level = "info", *, stream: TextIO | None = None) -> None:
    """Set the process's logging up; may be called again. Lines go to standard error unless `stream` says otherwise."""
    global _least
    _least = _number(level)
    out = stream or sys.stderr
    console = lines == "console" or (lines == "auto" and out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_time,
            structlog.processors.format_exc_info,
            redact,
            *_renderers(console, colors=console and out.isatty() and not os.environ.get("NO_COLOR")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_least),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,  # or module-level loggers keep writing where the first call said
    )
    _take_over_standard_logging()


def writes(level: Level) -> bool:
    """True when lines of this level are written: cheaper to ask than to make a line and throw it away."""
    return _number(level) >= _least


@contextmanager
def context(**fields: Any) -> Iterator[None]:
    """Add fields to every line written inside, in this task and those it starts."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def redact(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask secrets by key and by value, leave message content out, and make control characters visible."""
    return {key: _shown(key, value, 0) for key, value in event.items()}


def _shown(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if key.lower() in _CONTENT:
        return NOT_LOGGED
    if _SENSITIVE.search(key):
        return MASK
    return _plain(key, value, depth)


def _plain(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"({len(value)} bytes)"
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {str(name): _shown(str(name), inner, depth + 1) for name, inner in value.items()}
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(key, inner, depth + 1) if inner is not None else None for inner in value]
    if isinstance(value, (bool, int, float)):
        return value
    text = _CONTROL.sub(_visible, masked(str(value)))
    limit = _MAX_TRACEBACK if key == "exception" else _MAX_TEXT
    return text if len(text) <= limit else text[:limit] + "..."


def _visible(control: re.Match[str]) -> str:
    return f"\\x{ord(control[0]):02x}"


def _add_time(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    at = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, **event}


def _renderers(console: bool, *, colors: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at", pad_event_to=0)]
    return [_as_json]


def _as_json(_: WrappedLogger, method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        # Libraries put what they like into messages, so the message is masked by value like every other field.
        log.log(record.levelno, "library", logger=record.name, says=record.getMessage(), exc_info=record.exc_info)


def release() -> None:
    """Give the standard library's logging back as it was, and write lines of every level."""
    global _least
    _least = 0
    _let_go()


def _number(level: str) -> int:
    return _NUMBERS[level]


def _let_go() -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _ToStructlog)]:
        root.removeHandler(handler)


def _take_over_standard_logging() -> None:
    _let_go()
    logging.getLogger().addHandler(_ToStructlog(logging.WARNING))
