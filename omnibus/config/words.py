"""Types in an operator's words: for error messages and for the reference pages."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from omnibus.config.fields import Reader, Secret


def bare(kind: inspect.Type) -> inspect.Type:
    """The type without its descriptions."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def extra_of(kind: inspect.Type) -> dict[str, Any]:
    """What our own annotations say of the type (its reader, its bounds)."""
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}


def reader_of(kind: inspect.Type) -> Reader | None:
    """The reader of an annotated or own type."""
    if isinstance(reader := extra_of(kind).get("reader"), Reader):
        return reader
    inner = bare(kind)
    reader = getattr(inner.cls, "READER", None) if isinstance(inner, inspect.CustomType) else None
    return reader if isinstance(reader, Reader) else None


def is_secret(kind: inspect.Type) -> bool:
    """True when the type holds a secret anywhere within."""
    match bare(kind):
        case inspect.CustomType(cls=cls):
            return issubclass(cls, Secret)
        case inspect.UnionType(types=types):
            return any(is_secret(each) for each in types)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) | inspect.SetType(item_type=item):
            return is_secret(item)
        case inspect.DictType(value_type=value):
            return is_secret(value)
    return False


def choices(kind: inspect.Type) -> tuple[str, ...]:
    """The closed set of values of a Literal or Enum, as they are written."""
    match bare(kind):
        case inspect.LiteralType(values=values):
            return tuple(str(value) for value in values)
        case inspect.EnumType(cls=cls):
            return tuple(str(member.value) for member in cls)
    return ()


def words(kind: inspect.Type) -> str:
    """The type with its article, as it reads after "expected"."""
    if reader := reader_of(kind):
        return reader.words
    match bare(kind):
        case inspect.IntType():
            return "int"
        case inspect.FloatType():
            return "number"
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "null"
        case inspect.LiteralType() | inspect.EnumType():
            return "one of " + ", ".join(choices(kind))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) | inspect.SetType(item_type=item):
            return f"a list, each {words(item)}" if not isinstance(bare(item), inspect.AnyType) else "a list"
        case inspect.DictType():
            return "a mapping of names"
        case inspect.StructType():
            return "a mapping of settings"
        case inspect.UnionType(types=types):
            return " or ".join(words(each) for each in types if not isinstance(each, inspect.NoneType))
        case inspect.AnyType():
            return "anything"
    return type(bare(kind)).__name__.removesuffix("Type").lower()


def accepted(kind: inspect.Type) -> str:
    """What values are accepted, in addition to what `words` says; empty when that says it all."""
    if between := extra_of(kind).get("between"):
        return f"{between[0]}..{between[1]}"
    if reader := reader_of(kind):
        return reader.accepted
    match bare(kind):
        case inspect.IntType() | inspect.FloatType() as number:
            return _range(number)
        case inspect.StrType(min_length=low, max_length=high) if (low, high) != (None, None):
            return f"{low or 0}..{'' if high is None else high} characters"
        case inspect.StrType(pattern=pattern) if pattern:
            return f"matching {pattern}"
        case inspect.UnionType(types=types):
            return "; ".join(filter(None, (accepted(each) for each in types)))
    return ""


def _range(number: inspect.IntType | inspect.FloatType) -> str:
    if number.ge is not None and number.le is not None:
        return f"{number.ge}..{number.le}"
    bounds = (("at least", number.ge), ("more than", number.gt), ("at most", number.le), ("less than", number.lt))
    return ", ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
