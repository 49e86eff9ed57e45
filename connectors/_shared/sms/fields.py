"""The parameters of a provider's request, wherever it puts them: query, form or flat JSON object. Pure and bounded."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from connectors._shared.bodies import body_of, json_of, looks_like_json
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

MAX_FIELDS = 500

Pairs = list[tuple[str, str]]


class Fields:
    """Fields by name, decoded when they are asked for: a request has twenty, and a mapping needs five.

    The first of a name counts.
    """

    __slots__ = ("_charset", "_plain", "_quoted")

    def __init__(self, quoted: dict[str, str], plain: dict[str, str], charset: str = "utf-8") -> None:
        self._quoted = quoted
        self._plain = plain
        self._charset = charset

    def get(self, name: str) -> str | None:
        """The value of a field; None when there is no such field."""
        value = self._quoted.get(name)
        return self._plain.get(name) if value is None else unquoted(value, self._charset)

    def has(self, name: str) -> bool:
        """Whether there is such a field, with or without something in it."""
        return name in self._quoted or name in self._plain

    def get_in(self, name: str, charset: str) -> str | None:
        """The value of a field, its bytes read in another charset than the rest."""
        value = self._quoted.get(name)
        if value is not None:
            return unquoted(value, charset)
        plain = self._plain.get(name)
        return None if plain is None else plain.encode("utf-8", "replace").decode(charset, "replace")

    def text(self, name: str) -> str:
        """The value of a field, empty when there is no such field."""
        return self.get(name) or ""

    def first(self, names: tuple[str, ...]) -> str | None:
        """The first of these fields that has something in it."""
        for name in names:
            if value := self.get(name):
                return value
        return None

    def names(self) -> list[str]:
        return [*self._quoted, *(name for name in self._plain if name not in self._quoted)]


def query_fields(query: str, charset: str = "utf-8") -> Fields:
    """The fields of a query as it was written. Raises InvalidPayload when there are more than 500."""
    return Fields(_quoted(query.encode("utf-8", "replace"), charset), {}, charset)


def fields_of(raw: RawEvent, charset: str = "utf-8") -> Fields:
    """Query and body together, the body first; a JSON object gives its plain values as text.

    Bytes that are not of the charset become U+FFFD. Raises InvalidPayload when the body is neither a form nor a JSON
    object, and when there are more than 500 fields.
    """
    plain = dict(reversed(raw.query)) if raw.query else {}
    if not raw.body:
        return Fields({}, plain, charset)
    body = body_of(raw)
    if looks_like_json(body):
        return Fields({}, {**plain, **plain_fields(json_of(body))}, charset)
    return Fields(_quoted(body, charset), plain, charset)


def pairs_of(body: bytes, charset: str = "utf-8") -> Pairs:
    """All pairs of an ``application/x-www-form-urlencoded`` text, in order, also those without a value.

    Raises InvalidPayload when there are more than 500.
    """
    return [(unquoted(name, charset), unquoted(value, charset)) for name, value in _pieces(body)]


def plain_fields(data: Any) -> dict[str, str]:
    """The texts, numbers and truth values of a JSON object, as text. Raises InvalidPayload for anything else."""
    if not isinstance(data, dict):
        raise InvalidPayload("body", "expected an object")
    if len(data) > MAX_FIELDS:
        raise InvalidPayload("body", f"more than {MAX_FIELDS} fields")
    return {name: text for name, value in data.items() if (text := as_text(value)) is not None}


def as_text(value: Any) -> str | None:
    """A plain value as text, None for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else None


def unquoted(text: str, charset: str = "utf-8") -> str:
    """A name or value of a form, its bytes read as Latin-1, as it was before it was encoded."""
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text or not text.isascii():
        return unquote_to_bytes(text.encode("latin-1")).decode(charset, "replace")
    return text


def _quoted(body: bytes, charset: str) -> dict[str, str]:
    fields = dict(reversed(_pieces(body)))
    if any("%" in name or "+" in name for name in fields):
        return {unquoted(name, charset): value for name, value in fields.items()}
    return fields


def _pieces(body: bytes) -> Pairs:
    if body.count(b"&") >= MAX_FIELDS:
        raise InvalidPayload("body", f"more than {MAX_FIELDS} form fields")
    pairs = (piece.partition("=") for piece in body.decode("latin-1").split("&") if piece)
    return [(name, value) for name, _, value in pairs]


def first_of(pairs: Pairs) -> dict[str, str]:
    """Pairs by name; the first of a name counts."""
    return dict(reversed(pairs))
