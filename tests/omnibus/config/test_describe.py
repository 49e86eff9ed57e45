"""Settings describe themselves: the reference page and the editor's schema come from the classes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import jsonschema
import msgspec

from omnibus.config.describe import json_schema, settings_table
from omnibus.config.fields import BotToken, Duration, PollEvery, Port, Settings, Size, between, described
from omnibus.config.model import Core, QueueSettings


class Server(Settings, frozen=True, kw_only=True):
    host: Annotated[str, described("Server.", example="imap.example.com")]
    port: Annotated[Port, described("Its port.")] = 993


class Example(Settings, frozen=True, kw_only=True):
    bot_token: BotToken
    server: Server
    mirrors: Annotated[tuple[Server, ...], described("Other servers.")] = ()
    by_name: Annotated[dict[str, Server], described("More servers.")] = msgspec.field(default_factory=dict)
    poll_every: Annotated[PollEvery, between("1s", "1h")] | None = None
    max_size: Annotated[Size, described("Largest message.")] = 25_000_000
    wait: Annotated[Duration, described("Patience.")] = timedelta(minutes=90)


def test_the_table_has_a_row_for_every_setting_and_nested_ones_by_path() -> None:
    rows = {row.name: row for row in settings_table(Example)}

    assert list(rows) == [
        "bot_token", "server.host", "server.port", "mirrors", "mirrors[].host", "mirrors[].port",
        "by_name", "by_name.NAME.host", "by_name.NAME.port", "poll_every", "max_size", "wait",
    ]  # fmt: skip
    assert rows["bot_token"].required
    assert rows["bot_token"].secret
    assert rows["bot_token"].description == "Token of the bot."
    assert (rows["server.host"].example, rows["server.port"].type) == ("imap.example.com", "int (1..65535)")
    assert (rows["poll_every"].type, rows["poll_every"].default) == ("a duration (1s..1h)", "none")
    assert (rows["max_size"].default, rows["wait"].default) == ("25MB", "1h30m")


def test_every_setting_of_the_core_is_described() -> None:
    rows = [*settings_table(Core), *settings_table(QueueSettings)]

    assert [row.name for row in rows if not row.description] == []


def test_the_schema_accepts_what_people_write() -> None:
    schema = json_schema(Example)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)

    assert check.is_valid({"bot_token": "x", "server": {"host": "a"}, "wait": "15m", "max_size": "3MB"})
    assert check.is_valid({"bot_token": "x", "server": {"host": "a"}, "wait": 15, "max_size": 3})
    assert not check.is_valid({"bot_token": "x", "server": {"host": "a"}, "wayt": "15m"})
    assert not check.is_valid({"server": {"host": "a", "port": 0}})
