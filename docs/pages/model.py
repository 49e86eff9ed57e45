"""The unified model: JSON Schemas, AsyncAPI, events and errors."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

import omnibus
from docs.pages.markdown import NOTICE, REFERENCE, first_paragraph, table
from omnibus import errors
from omnibus.model import content, entities, schema
from omnibus.model.base import Model
from omnibus.model.events import COMMANDS, DATA


def pages() -> Iterator[tuple[Path, str]]:
    """What a consumer of the topics needs."""
    yield from _schema_files()
    yield REFERENCE / "asyncapi.json", _json(schema.asyncapi(omnibus.__version__))
    yield REFERENCE / "events.md", _events_page()
    yield REFERENCE / "errors.md", _errors_page()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _schema_files() -> Iterator[tuple[Path, str]]:
    for name, document in schema.schemas().items():
        yield REFERENCE / "schemas" / f"{name}.json", _json(document)


def _events_page() -> str:
    parts = [NOTICE, "# Events\n\n", _ENVELOPE, "\n", table(("header", "meaning"), list(_headers())), "\n"]
    parts += ["## Kinds\n\n", table(("type", "data", "says"), [_kind(k, d) for k, d in DATA.items()]), "\n"]
    parts += [_COMMANDS, table(("type", "data", "does"), [_kind(k, d) for k, d in COMMANDS.items()]), "\n"]
    parts += ["## Content\n\n", _CONTENT, table(("type", "fields", "is"), list(_contents())), "\n"]
    parts += ["## Data and entities\n\n", *_structs()]
    return "".join(parts).rstrip() + "\n"


_ENVELOPE = """Records on `omnibus.events`, `omnibus.queue.*`, `omnibus.automation.*` and `omnibus.outcomes` are
CloudEvents 1.0 in Kafka binary mode: attributes are record headers, the value is the data as JSON. The key is the
conversation id, so the events of a conversation are in order. Consumers ignore fields and skip types they do not know;
enums are open.
"""
_COMMANDS = """## Commands

Written by downstream to `omnibus.commands` (or through the HTTP API), with the same headers; `ce_id` makes a command
idempotent.

"""
_CONTENT = "Told apart by `type`. A consumer that does not know a type shows `summary` or says so.\n\n"


def _headers() -> Iterator[tuple[str, ...]]:
    for name, meaning in schema.ATTRIBUTES.items():
        yield f"`{name}`", meaning


def _kind(kind: str, data: type[Model]) -> tuple[str, ...]:
    return f"`{kind}`", f"[{data.__name__}](schemas/{kind}.json)", first_paragraph(data)


def _contents() -> Iterator[tuple[str, ...]]:
    for kind in get_args(content.Content):
        yield f"`{kind.__struct_config__.tag}`", _fields(kind), first_paragraph(kind)


def _fields(kind: type[msgspec.Struct]) -> str:
    return ", ".join(
        f"`{field.encode_name}`" + ("" if field.required else "?") for field in msgspec.structs.fields(kind)
    )


def _structs() -> Iterator[str]:
    own = list(dict.fromkeys([*DATA.values(), *COMMANDS.values()]))
    shared = [
        thing
        for module in (entities, content)
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Model) and thing.__module__ == module.__name__
        if not thing.__struct_config__.tag and thing.__struct_fields__
    ]
    rows = [(f"`{thing.__name__}`", _fields(thing), first_paragraph(thing)) for thing in [*own, *shared]]
    yield "`?` marks optional fields.\n\n"
    yield table(("name", "fields", "is"), rows)


def _errors_page() -> str:
    kinds = [
        thing
        for thing in vars(errors).values()
        if inspect.isclass(thing) and issubclass(thing, errors.OmnibusError) and thing is not errors.OmnibusError
    ]
    rows = [(f"`{kind.__name__}`", first_paragraph(kind)) for kind in kinds]
    intro = "# Errors\n\nErrors are named after what happens next.\n\n"
    bug = ("anything else", "A bug: the record is dead-lettered with the traceback, counted, and the stage carries on.")
    return NOTICE + intro + table(("raised", "what happens"), [*rows, bug])
