"""Settings described for people and machines: tables for the reference pages, JSON Schema, values without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from omnibus.config.fields import WRITTEN_AS, duration_words, size_words
from omnibus.config.words import accepted, bare, is_secret, reader_of, words


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, as a reference page lists it. `default` is as it would be written, empty when required."""

    name: str
    type: str
    default: str
    required: bool
    secret: bool
    description: str
    example: str = ""


def settings_table(cls: type[msgspec.Struct]) -> list[Row]:
    """Every setting of a class, nested ones by their path (``imap.host``, ``routes[].when``, ``queues.NAME.sla``)."""
    return list(_rows(inspect.type_info(cls), ""))


def json_schema(kind: Any) -> dict[str, Any]:
    """JSON Schema 2020-12 of a settings type, for editors; durations and sizes as people write them."""
    schema: dict[str, Any] = msgspec.json.schema(kind, schema_hook=_own_type)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_as_written(schema)}


def public(value: Any) -> Any:
    """The value as plain data for printing or JSON, with ``***`` for every secret."""
    return msgspec.to_builtins(value, enc_hook=str)


def _rows(kind: inspect.Type, prefix: str) -> Iterator[Row]:
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        name = prefix + field.encode_name
        inner, path = _nested(field.type, name)
        if inner is None or not field.required or _text(field.type, "description"):
            yield _row(field, name)
        if inner is not None:
            yield from _rows(inner, path)


def _row(field: inspect.Field, name: str) -> Row:
    limits = accepted(field.type)
    return Row(
        name=name,
        type=words(field.type) + (f" ({limits})" if limits else ""),
        default="" if field.required else _default(field),
        required=field.required,
        secret=is_secret(field.type),
        description=_text(field.type, "description"),
        example=_text(field.type, "examples"),
    )


def _nested(kind: inspect.Type, name: str) -> tuple[inspect.StructType | None, str]:
    """The settings class inside a field's type, and the path its own fields have."""
    match bare(kind):
        case inspect.StructType() as struct:
            return struct, f"{name}."
        case inspect.UnionType(types=types):
            found = [_nested(each, name) for each in types]
            return next(((struct, path) for struct, path in found if struct is not None), (None, ""))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _nested(item, f"{name}[]")
        case inspect.DictType(value_type=value):
            return _nested(value, f"{name}.NAME")
    return None, ""


def _text(kind: inspect.Type, key: str) -> str:
    """A description or example, wherever in the annotation it stands."""
    if isinstance(kind, inspect.Metadata):
        found = (kind.extra_json_schema or {}).get(key)
        if found is not None:
            return str(found[0] if isinstance(found, list) else found)
    inner = bare(kind)
    types = inner.types if isinstance(inner, inspect.UnionType) else ()
    return next(filter(None, (_text(each, key) for each in types)), "")


def _default(field: inspect.Field) -> str:
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return _written(value, field.type)


def _written(value: Any, kind: inspect.Type) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case timedelta():
            return duration_words(value)
        case int() if (reader := reader_of(kind)) and reader.words == "a size":
            return size_words(value)
        case tuple() | list() | dict() | set() | frozenset() if not value:
            return "none"
        case tuple() | list():
            return ", ".join(str(each) for each in value)
        case Path():
            return str(value)
    return str(value) if not isinstance(value, msgspec.Struct) else ""


def _own_type(cls: type) -> dict[str, Any]:
    return {"type": "string"}


def _as_written(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_as_written(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    written = {key: _as_written(value) for key, value in schema.items() if key != WRITTEN_AS}
    if schema.get(WRITTEN_AS) == "duration":
        written["type"] = ["string", "number"]
        del written["format"]
    elif schema.get(WRITTEN_AS) == "size":
        written["type"] = ["string", "integer"]
    return written
