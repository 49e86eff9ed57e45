"""A page for each channel, from its declaration and its fixtures, and the matrix of what all of them can do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from docs.pages.markdown import NOTICE, REFERENCE, ROOT, code, details, link, settings_of, table, words
from omnibus.channel.declaration import Channel
from omnibus.channel.events import Event
from omnibus.channel.level import FILES, level_of
from omnibus.channel.registry import discover
from omnibus.config.fields import duration_words, size_words
from omnibus.testing.contract import folder_of
from omnibus.testing.fixtures import RAW, UNIFIED

FOLDER = REFERENCE / "channels"
MAX_LINES = 30
MAX_TEXT = 120

_INTRO = """# Channels

| level | what it says of a channel |
| --- | --- |
| receives | what people write becomes conversations |
| converses | and answers leave through it |
| complete | and so do files, and what happens to messages later (edits, reactions, delivery reports) is followed |

Every channel of every level keeps the same [contract](../../guide/channel.md#the-contract). What a channel cannot
do is refused before it is sent, with a reason from the [failure vocabulary](../events.md).

"""


def pages() -> Iterator[tuple[Path, str]]:
    """The matrix, and a page for each channel."""
    found = discover().plugins
    yield FOLDER / "README.md", NOTICE + _INTRO + _matrix(found)
    for name, channel in found.items():
        yield FOLDER / f"{name}.md", _page(channel)


def _matrix(found: Mapping[str, Channel]) -> str:
    head = ("channel", "level", "comes in by", "emits", "sends", "text", "files", "supports", "reply window")
    return table(head, [_matrix_row(channel) for channel in found.values()])


def _matrix_row(channel: Channel) -> tuple[str, ...]:
    can = channel.capabilities
    return (
        f"[{channel.title}]({channel.name}.md)",
        level_of(channel),
        words(channel.receive),
        words(_kind(kind) for kind in channel.emits),
        words(can.sends),
        _text_limit(channel),
        _file_limit(channel),
        words(can.supports),
        _window(channel),
    )


def _kind(event: type[Event]) -> str:
    return str(event.__struct_config__.tag)


def _text_limit(channel: Channel) -> str:
    can = channel.capabilities
    if not can.sends:
        return "-"
    if can.max_text_chars is None:
        return "any length"
    return f"{can.max_text_chars:,} characters" + (", longer ones are split" if can.splits_text else "")


def _file_limit(channel: Channel) -> str:
    can = channel.capabilities
    if not can.sends & FILES:
        return "-"
    return ", ".join(f"`{rule.mime}` {size_words(rule.max_bytes)}" for rule in can.attachments) or "any"


def _window(channel: Channel) -> str:
    window = channel.capabilities.reply_window
    if window is None:
        return "-"
    return duration_words(window.duration) + (", then templates" if window.template_after else "")


def _page(channel: Channel) -> str:
    path = FOLDER / f"{channel.name}.md"
    home = ROOT / channel.package.replace(".", "/")
    parts = [NOTICE, f"# {channel.title}\n\n"]
    parts.append(f"Type `{channel.name}`. Provider's documentation: <{channel.docs}>. ")
    parts.append(f"Set-up and limits, for operators: {link('README', home / 'README.md', path)}.\n\n")
    parts += ["## What it can do\n\n", table(("", ""), list(_abilities(channel))), "\n"]
    parts += ["## Settings of an account\n\n", settings_of(channel.settings), "\n"]
    parts += ["## Examples\n\nRequests of the provider, and the events they become, from the channel's fixtures.\n\n"]
    parts += [_example(home / "fixtures", name) for name in folder_of(channel.package).mapped]
    return "".join(parts).rstrip() + "\n"


def _abilities(channel: Channel) -> Iterator[tuple[str, str]]:
    can = channel.capabilities
    yield "level", level_of(channel)
    yield "comes in by", words(channel.receive)
    yield "emits", words(_kind(kind) for kind in channel.emits)
    yield "sends", words(can.sends)
    yield "text", _text_limit(channel)
    yield "files", _file_limit(channel)
    yield "supports", words(can.supports)
    yield "reply window", _window(channel)
    yield "may write first", "yes" if can.outbound_first else "no"
    yield "identities are", f"of {_SCOPES[can.identity_scope]}"
    yield "native ids", can.ids
    yield "media may be kept", "yes" if can.media_cache_allowed else "no"
    yield "a new conversation begins after", duration_words(channel.inactivity) + " of silence"
    if can.provider_retry is not None:
        retry = can.provider_retry
        yield (
            "the provider repeats",
            (f"for {duration_words(retry.max_age)} what is not answered within {retry.ack_deadline_ms:,} ms"),
        )


_SCOPES = {"global": "the whole channel", "business": "the business", "account": "the account"}


def _example(fixtures: Path, name: str) -> str:
    raw = json.loads((fixtures / f"{name}{RAW}").read_text("utf-8"))
    unified = json.loads((fixtures / f"{name}{UNIFIED}").read_text("utf-8"))
    comment = f"{raw['comment']}\n\n" if raw.get("comment") else ""
    events = [_without_defaults(event) for event in unified]
    body = raw.get("body", "")
    came = code(_trimmed(body), "json") if isinstance(body, dict | list) else code(_clipped(str(body)))
    return details(name.replace("_", " "), f"{comment}{came}\n{code(_trimmed(events), 'json')}")


def _without_defaults(event: Any) -> Any:
    return (
        {key: value for key, value in event.items() if value not in (None, [], {})}
        if isinstance(event, dict)
        else event
    )


def _trimmed(value: Any) -> str:
    return _clipped(msgspec.json.format(msgspec.json.encode(_short(value))).decode())


def _short(value: Any) -> Any:
    match value:
        case str() if len(value) > MAX_TEXT:
            return f"{value[:MAX_TEXT]}..."
        case dict():
            return {key: _short(inner) for key, inner in value.items()}
        case list():
            return [_short(inner) for inner in value]
    return value


def _clipped(text: str) -> str:
    lines = [line if len(line) <= 2 * MAX_TEXT else f"{line[: 2 * MAX_TEXT]}..." for line in text.splitlines()]
    return "\n".join([*lines[:MAX_LINES], "..."] if len(lines) > MAX_LINES else lines)
