"""From the tree of a document to typed settings, collecting every error on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import inspect

from omnibus.config.document import Node, parse, plain_scalar
from omnibus.config.errors import ConfigError, ConfigErrors, Mark, near
from omnibus.config.words import accepted, bare, choices, extra_of, is_secret, reader_of, words

FAILED: Final = object()
"""Stands for a value that could not be read; its error is already noted."""

_BY_TEXT: dict[type[inspect.Type], Any] = {
    inspect.DateTimeType: datetime,
    inspect.DateType: date,
    inspect.TimeType: time,
    inspect.UUIDType: UUID,
    inspect.DecimalType: Decimal,
}


class Converter:
    """Reads nodes into types. After the last `read`, `errors` holds what was wrong and `marks` where each value is."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.marks: dict[str, Mark] = {}

    def read(self, node: Node, kind: Any, path: str) -> Any:
        """The value of `node` as the type `kind`, or FAILED."""
        return self._read(node, type_info(kind), path)

    def wrong(self, node: Node, path: str, message: str, hint: str = "") -> Any:
        """Note an error at a node; returns FAILED, so that a reader can end with it."""
        self.errors.append(ConfigError(node.mark, path, message, hint))
        return FAILED

    def mapping(self, node: Node, path: str, what: str = "a mapping of settings") -> dict[str, Node] | None:
        """The node's entries; an empty value is an empty mapping. None when it is something else."""
        self.marks[path] = node.mark
        if node.untyped and isinstance(node.data, str):
            node = self._fragment(node, path) or Node({}, node.mark)
        if node.data is None:
            return {}
        if isinstance(node.data, dict):
            return node.data
        self.wrong(node, path, f"expected {what}, got {shown(node)}")
        return None

    def struct(
        self, entries: Mapping[str, Node], cls: type[msgspec.Struct], node: Node, path: str, *, also: frozenset[str]
    ) -> Any:
        """Settings of class `cls` from entries; keys in `also` belong to somebody else."""
        kind = type_info(cls)
        assert isinstance(kind, inspect.StructType)
        return self._struct(entries, kind, node, path, also)

    def _read(self, node: Node, kind: inspect.Type, path: str) -> Any:
        self.marks[path] = node.mark
        if node.faulty:
            return FAILED
        match bare(kind):
            case inspect.AnyType():
                return plain(node)
            case inspect.UnionType(types=types):
                return self._union(node, types, path)
            case inspect.StructType() as struct:
                entries = self.mapping(node, path)
                return FAILED if entries is None else self._struct(entries, struct, node, path, frozenset())
            case inspect.DictType(value_type=value):
                return self._dict(node, value, path)
            case inspect.ListType(item_type=item):
                return self._list(node, item, kind, path, list)
            case inspect.VarTupleType(item_type=item):
                return self._list(node, item, kind, path, tuple)
            case inspect.SetType(item_type=item):
                return self._list(node, item, kind, path, set)
            case inspect.FrozenSetType(item_type=item):
                return self._list(node, item, kind, path, frozenset)
        value = scalar(node, kind)
        return self._unfit(node, kind, path) if value is FAILED else value

    def _union(self, node: Node, types: tuple[inspect.Type, ...], path: str) -> Any:
        if node.data is None and any(isinstance(each, inspect.NoneType) for each in types):
            return None
        others = [each for each in types if not isinstance(each, inspect.NoneType)]
        structs = [each for each in others if isinstance(bare(each), inspect.StructType)]
        if len(structs) > 1:
            return self._tagged(node, [bare(each) for each in structs], path)
        if len(others) == 1 or not isinstance(node.data, (dict, list)):
            for each in others if len(others) > 1 else ():
                if (value := scalar(node, each)) is not FAILED:
                    return value
            return self._read(node, others[0], path) if len(others) == 1 else self._unfit_any(node, others, path)
        fitting = [each for each in others if isinstance(bare(each), _CONTAINERS[type(node.data)])]
        return self._read(node, fitting[0], path) if fitting else self._unfit_any(node, others, path)

    def _tagged(self, node: Node, structs: list[Any], path: str) -> Any:
        """One of several kinds of settings, told apart by a field such as ``type``."""
        entries = self.mapping(node, path)
        if entries is None:
            return FAILED
        field = structs[0].tag_field
        known = {str(struct.tag): struct for struct in structs}
        tag = entries.get(field)
        if tag is None:
            return self.wrong(node, path, f"{field} is missing", f"accepted: {', '.join(known)}")
        if (chosen := known.get(str(tag.data))) is None:
            return self.wrong(tag, f"{path}.{field}", f"unknown {field} {shown(tag)}", near(str(tag.data), known))
        return self._struct(entries, chosen, node, path, frozenset({field}))

    def _struct(
        self, entries: Mapping[str, Node], kind: inspect.StructType, node: Node, path: str, also: frozenset[str]
    ) -> Any:
        fields = {field.encode_name: field for field in kind.fields}
        for key in entries:
            if key not in fields and key not in also:
                self._unknown(entries[key], join(path, key), key, (*fields, *also))
        values: dict[str, Any] = {}
        for key, field in fields.items():
            if key in entries:
                values[field.name] = self._read(entries[key], field.type, join(path, key))
            elif field.required:
                values[field.name] = self._missing(node, key, field.type, path)
        if any(value is FAILED for value in values.values()):
            return FAILED
        return self._made(kind.cls, values, node, path)

    def _made(self, cls: Callable[..., Any], values: dict[str, Any], node: Node, path: str) -> Any:
        try:
            return cls(**values)
        except (ValueError, TypeError) as refusal:  # a class's own check in __post_init__
            return self.wrong(node, path, str(refusal))

    def _missing(self, node: Node, key: str, kind: inspect.Type, path: str) -> Any:
        return self.wrong(node, path, f"{key} is missing", f"expected {words(kind)}")

    def _unknown(self, node: Node, path: str, key: str, known: tuple[str, ...]) -> None:
        self.wrong(node, path, f"unknown setting {key[:60]}", near(key, known))

    def _dict(self, node: Node, value: inspect.Type, path: str) -> Any:
        entries = self.mapping(node, path, "a mapping of names")
        if entries is None:
            return FAILED
        values = {key: self._read(entry, value, join(path, key)) for key, entry in entries.items()}
        return FAILED if any(each is FAILED for each in values.values()) else values

    def _list(self, node: Node, item: inspect.Type, kind: inspect.Type, path: str, made: Callable[[Any], Any]) -> Any:
        if node.untyped and isinstance(node.data, str):
            node = self._fragment(node, path, listed=True) or Node([], node.mark)
        if node.data is None:
            return made(())
        if not isinstance(node.data, list):
            return self._unfit(node, kind, path)
        values = [self._read(entry, item, f"{path}.{index}") for index, entry in enumerate(node.data)]
        return FAILED if any(each is FAILED for each in values) else made(values)

    def _fragment(self, node: Node, path: str, *, listed: bool = False) -> Node | None:
        """A list or mapping that came as text (``[a, b]``, or ``a, b`` for a list) from the environment or a flag."""
        text = str(node.data).strip()
        if not text.startswith(("[", "{")):
            items = [each.strip() for each in text.split(",")] if listed else []
            return (
                Node([Node(each, node.mark, each, untyped=True) for each in items if each], node.mark)
                if listed
                else node
            )
        try:
            found, errors = parse(text, node.mark.file, {})
        except ConfigErrors as refusal:
            found, errors = node, list(refusal.errors)
        if errors:
            self.wrong(node, path, "expected a list or mapping as YAML has it, such as [a, b]")
            return None
        return _placed(found, node.mark)

    def _unfit(self, node: Node, kind: inspect.Type, path: str) -> Any:
        got = "another value" if is_secret(kind) and not isinstance(node.data, (dict, list)) else shown(node)
        hint = accepted(kind)
        return self.wrong(node, path, f"expected {words(kind)}, got {got}", f"accepted: {hint}" if hint else "")

    def _unfit_any(self, node: Node, kinds: list[inspect.Type], path: str) -> Any:
        return self._unfit(node, inspect.UnionType(tuple(kinds)), path)


_CONTAINERS: dict[type, tuple[type[inspect.Type], ...]] = {
    dict: (inspect.DictType, inspect.StructType),
    list: (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType),
}


@cache
def type_info(kind: Any) -> inspect.Type:
    """What msgspec knows of a type, looked up once."""
    return inspect.type_info(kind)


def join(path: str, key: str) -> str:
    """The path of `key` inside `path`."""
    return f"{path}.{key}" if path else key


def plain(node: Node) -> Any:
    """The node as plain Python data."""
    if isinstance(node.data, dict):
        return {key: plain(value) for key, value in node.data.items()}
    if isinstance(node.data, list):
        return [plain(value) for value in node.data]
    return node.data


def shown(node: Node) -> str:
    """The node as a message may show it: never a value that came from the environment, nor credentials in a URL."""
    if isinstance(node.data, dict):
        return "a mapping"
    if isinstance(node.data, list):
        return "a list"
    if node.data is None:
        return "nothing"
    name = type(node.data).__name__
    if node.untyped or ("://" in node.text and "@" in node.text):
        return f"{name} of {len(node.text)} characters"
    text = node.text if len(node.text) <= 40 else node.text[:40] + "..."
    return f'{name} "{text}"' if name == "str" else f"{name} {text}"


def scalar(node: Node, kind: inspect.Type) -> Any:
    """The node as a scalar type, or FAILED."""
    if isinstance(node.data, (dict, list)):
        return FAILED
    if reader := reader_of(kind):
        return _by_reader(node, reader.parse, kind)
    value = plain_scalar(node.text.strip()) if node.untyped else node.data
    match bare(kind):
        case inspect.StrType() as text:
            return _text(node, text)
        case inspect.BoolType():
            return value if isinstance(value, bool) else FAILED
        case inspect.IntType() as number:
            return value if type(value) is int and _within(value, number) else FAILED
        case inspect.FloatType() as number:
            fits = type(value) in (int, float) and math.isfinite(float(value or 0)) and _within(value, number)
            return float(value) if fits and value is not None else FAILED
        case inspect.NoneType():
            return None if value is None else FAILED
        case inspect.LiteralType() | inspect.EnumType():
            return _choice(node, kind)
        case other if (python := _BY_TEXT.get(type(other))) is not None:
            return _by_msgspec(node.text, python)
    return FAILED


def _text(node: Node, kind: inspect.StrType) -> Any:
    """Numbers are taken as they were written: ``phone_number_id: 0055`` is the text 0055."""
    if not node.untyped and (node.data is None or isinstance(node.data, bool)):
        return FAILED
    text = node.text
    fits = (kind.min_length or 0) <= len(text) and (kind.max_length is None or len(text) <= kind.max_length)
    return text if fits and (kind.pattern is None or re.search(kind.pattern, text)) else FAILED


def _within(value: Any, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _by_reader(node: Node, parse_value: Callable[[Any], Any], kind: inspect.Type) -> Any:
    if not node.untyped and (node.data is None or isinstance(node.data, bool)):
        return FAILED
    try:
        value = parse_value(node.text)
    except (ValueError, OverflowError):
        return FAILED
    bounds = extra_of(kind).get("between")
    if bounds and not parse_value(bounds[0]) <= value <= parse_value(bounds[1]):
        return FAILED
    return value


def _choice(node: Node, kind: inspect.Type) -> Any:
    inner = bare(kind)
    if node.text not in choices(kind):
        return FAILED
    if isinstance(inner, inspect.EnumType):
        return next(member for member in inner.cls if str(member.value) == node.text)
    assert isinstance(inner, inspect.LiteralType)
    return next(value for value in inner.values if str(value) == node.text)


def _by_msgspec(text: str, python: Any) -> Any:
    try:
        return msgspec.convert(text, python, strict=False)
    except msgspec.ValidationError:
        return FAILED


def _placed(node: Node, mark: Mark) -> Node:
    """The node with every value at one place and untyped: it came from a source that has no lines."""
    if isinstance(node.data, dict):
        return Node({key: _placed(value, mark) for key, value in node.data.items()}, mark)
    if isinstance(node.data, list):
        return Node([_placed(value, mark) for value in node.data], mark)
    return Node(node.data, mark, node.text, untyped=True)
