"""What can be wrong with a request: every field taken away or of another type, and the classics of hostile input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec.structs import replace

from omnibus.model.raw import RawEvent

MAX_PLACES = 300
"""Places of one body that are damaged in turn; a larger body is damaged at every n-th."""

_RETYPED: tuple[Any, ...] = (None, True, -1, 1.5, 2**63, "", "x", "\x00", [], [None], {}, {"x": 1})
_NESTED = 50_000
_LONG = 200_000
_MIXED = "\u202eabc\u0301\U0001f469\u200d\U0001f4bb\ufffe\u0000 \u00df\u0130"

Damaged = tuple[str, RawEvent]
"""What was done, in words, and the raw event after it."""


def damaged(raw: RawEvent) -> Iterator[Damaged]:
    """Every damage of a raw event, always the same ones."""
    yield from _headers(raw)
    yield from _bytes(raw)
    document = _json(raw.body)
    if document is not None:
        yield from _fields(raw, document)
        yield from _orders(raw, document)
        yield from _json_text(raw, document)
    elif "x-www-form-urlencoded" in (raw.header("content-type") or ""):
        yield from _form(raw)
    else:
        yield from _lines(raw)


def hostile(raw: RawEvent) -> Iterator[Damaged]:
    """Large and deep bodies in the raw event's place: work must grow with their size and not faster."""
    for what, opening, closing in (("lists", "[", "]"), ("objects", '{"a":', "}")):
        yield f"{_NESTED} nested {what}", replace(raw, body=(opening * _NESTED + "1" + closing * _NESTED).encode())
        yield f"{_NESTED} {what} left open", replace(raw, body=(opening * _NESTED).encode())
    document = _json(raw.body)
    if document is not None:
        for place in _some(list(_places(document)), 20):
            yield f"{_shown(place)} very long", _with(raw, _put(document, place, "a" * _LONG))
            yield f"{_shown(place)} a long list", _with(raw, _put(document, place, [1] * 20_000))
            yield f"{_shown(place)} deeply nested", _with(raw, _put(document, place, _nest(500)))


def _headers(raw: RawEvent) -> Iterator[Damaged]:
    for index, (name, _) in enumerate(raw.headers):
        rest = raw.headers[:index], raw.headers[index + 1 :]
        yield f"header {name} gone", replace(raw, headers=(*rest[0], *rest[1]))
        for value in ("", "\x00", "x" * 5_000, _MIXED):
            yield f"header {name} odd", replace(raw, headers=(*rest[0], (name, value), *rest[1]))


def _bytes(raw: RawEvent) -> Iterator[Damaged]:
    body = raw.body
    yield "no body", replace(raw, body=b"")
    for part in range(1, 16):
        yield f"cut at {part}/16", replace(raw, body=body[: len(body) * part // 16])
    yield "not UTF-8", replace(raw, body=body[: len(body) // 2] + b"\xff\xfe\xed\xa0\x80" + body[len(body) // 2 :])
    yield "a byte order mark", replace(raw, body=b"\xef\xbb\xbf" + body)
    yield "twice", replace(raw, body=body + body)
    yield "UTF-16", replace(raw, body=body.decode("utf-8", "replace").encode("utf-16"))
    for other in (b"null", b"true", b"0", b'"x"', b"[]", b"{}", b"[[]]", b"[{}]", b"\x00" * 64, b"<xml/>", b"a=b&a=c"):
        yield f"{other[:8]!r} instead", replace(raw, body=other)


def _fields(raw: RawEvent, document: Any) -> Iterator[Damaged]:
    for place in _some(list(_places(document)), MAX_PLACES):
        if place:
            yield f"{_shown(place)} gone", _with(raw, _without(document, place))
        for value in _RETYPED:
            yield f"{_shown(place)} = {value!r}", _with(raw, _put(document, place, value))
        old = _get(document, place)
        if isinstance(old, str):
            yield f"{_shown(place)} mixed", _with(raw, _put(document, place, old + _MIXED))
        if isinstance(old, (str, int)) and not isinstance(old, bool):
            yield f"{_shown(place)} the other of text and number", _with(raw, _put(document, place, _swapped(old)))


def _orders(raw: RawEvent, document: Any) -> Iterator[Damaged]:
    """What a provider may mix, repeat and batch: fields and entries in another order, entries twice, very many."""
    yield "fields in another order", _with(raw, _turned(document))
    yield "a list of two such bodies", _with(raw, [document, document])
    for place in _some(list(_places(document)), MAX_PLACES):
        entries = _get(document, place)
        if isinstance(entries, list) and entries:
            yield f"{_shown(place)} in another order", _with(raw, _put(document, place, entries[::-1]))
            yield f"{_shown(place)} twice each", _with(raw, _put(document, place, [e for e in entries for _ in "12"]))
            yield f"{_shown(place)} a hundred times", _with(raw, _put(document, place, entries * 100))


def _json_text(raw: RawEvent, document: Any) -> Iterator[Damaged]:
    """What a JSON library would not write: lone surrogates, huge numbers, repeated keys."""
    text = json.dumps(document, ensure_ascii=False)
    for place in _some(list(_places(document)), MAX_PLACES):
        marked = json.dumps(_put(document, place, "@@here@@"), ensure_ascii=False)
        for what, literal in (
            ("a lone surrogate", '"\\ud800"'),
            ("a huge number", "1" + "0" * 400),
            ("a huge exponent", "1e999"),
            ("not a number", "NaN"),
        ):
            yield f"{_shown(place)} {what}", replace(raw, body=marked.replace('"@@here@@"', literal).encode())
    if isinstance(document, dict) and document:
        for key in _some(list(document), 50):
            again = f"{text[:-1]},{json.dumps(key)}:1}}"
            yield f"{key} repeated", replace(raw, body=again.encode())


def _form(raw: RawEvent) -> Iterator[Damaged]:
    pairs = parse_qsl(raw.body.decode("utf-8", "replace"), keep_blank_values=True)
    for index, (name, value) in enumerate(pairs):
        rest = pairs[:index] + pairs[index + 1 :]
        yield f"{name} gone", replace(raw, body=urlencode(rest).encode())
        for odd in ("", "\x00", "-1", "9" * 400, "x" * 5_000, _MIXED, "[]", "{}"):
            yield f"{name} odd", replace(raw, body=urlencode([*rest, (name, odd)]).encode())
        yield f"{name} repeated", replace(raw, body=urlencode([*pairs, (name, value)]).encode())


def _lines(raw: RawEvent) -> Iterator[Damaged]:
    lines = raw.body.split(b"\n")
    for index in _some(list(range(len(lines))), MAX_PLACES):
        yield f"line {index + 1} gone", replace(raw, body=b"\n".join(lines[:index] + lines[index + 1 :]))
        yield (
            f"line {index + 1} odd",
            replace(raw, body=b"\n".join([*lines[:index], lines[index][::-1] + b"\x00\xff", *lines[index + 1 :]])),
        )
        yield f"line {index + 1} twice", replace(raw, body=b"\n".join(lines[: index + 1] + lines[index:]))


# -- places in a document ----------------------------------------------------------------------------------------------

Place = tuple[str | int, ...]


def _json(body: bytes) -> Any | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None


def _places(value: Any, at: Place = ()) -> Iterator[Place]:
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*at, key))


def _get(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _put(value: Any, place: Place, new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = _put(value[place[0]], place[1:], new)
    return copy


def _without(value: Any, place: Place) -> Any:
    copy = value.copy()
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = _without(value[place[0]], place[1:])
    return copy


def _swapped(value: str | int) -> str | int:
    if isinstance(value, int):
        return str(value)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 7


def _turned(value: Any) -> Any:
    """The same document with the fields of every object in reverse order."""
    if isinstance(value, dict):
        return {key: _turned(child) for key, child in reversed(value.items())}
    return [_turned(child) for child in value] if isinstance(value, list) else value


def _nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _with(raw: RawEvent, document: Any) -> RawEvent:
    return replace(raw, body=json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


def _some(items: list[Any], limit: int) -> list[Any]:
    """At most about `limit` of the items, evenly spread."""
    return items[:: len(items) // limit + 1]


def _shown(place: Place) -> str:
    return ".".join(str(step) for step in place) or "the whole body"
