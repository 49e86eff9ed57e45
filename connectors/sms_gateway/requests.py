"""The messages and reports in a gateway's request, as fields by name, whatever form it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors._shared.bodies import body_of, json_of, looks_like_json, text_of
from connectors._shared.paths import MISSING, find
from connectors._shared.sms.fields import Fields, as_text, fields_of, query_fields
from connectors.sms_gateway.rules import QUERY_ATTRIBUTE, Rules
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

MAX_ITEMS = 5_000

_KANNEL_HEADERS = {  # post-url, https://www.kannel.org/download/kannel-userguide-snapshot/userguide.html
    "from": "x-kannel-from",
    "to": "x-kannel-to",
    "time": "x-kannel-time",
    "coding": "x-kannel-coding",
    "udh": "x-kannel-udh",
}


class Document(Fields):
    """An object of a JSON body: names may be places further down. What the query says is there as well."""

    __slots__ = ("_data",)

    def __init__(self, data: dict[str, Any], query: Fields) -> None:
        super().__init__(query._quoted, query._plain, query._charset)
        self._data = data

    def get(self, name: str) -> str | None:
        found = self._data.get(name, MISSING)
        if found is MISSING and ("." in name or name[:1] == "/"):
            found = find(self._data, name)
        value = None if found is MISSING else as_text(found)
        return super().get(name) if value is None else value

    def get_in(self, name: str, charset: str) -> str | None:
        """JSON is UTF-8 (RFC 8259, section 8.1), whatever a field says."""
        return self.get(name)


def requests_of(raw: RawEvent, rules: Rules) -> Sequence[Fields]:
    """Each message or report of the request. Raises InvalidPayload."""
    query = _query(raw, rules)
    if rules.kannel and raw.header("x-kannel-from") is not None:
        return (_of_kannel(raw),)
    body = body_of(raw) if raw.body else b""
    if looks_like_json(body):
        return [Document(item, query) for item in _items(json_of(body), rules)]
    if not body:
        return (query,)
    return (fields_of(raw, rules.charset),)


def _query(raw: RawEvent, rules: Rules) -> Fields:
    written = raw.attributes.get(QUERY_ATTRIBUTE)
    if written is not None:
        return query_fields(written, rules.charset)
    return Fields({}, dict(reversed(raw.query)))


def _items(data: Any, rules: Rules) -> list[dict[str, Any]]:
    """The objects in a JSON body: those of the list it is, or holds, or the one it is."""
    listed = data
    if isinstance(data, dict):
        found = (find(data, name) for name in rules.items)
        listed = next((value for value in found if isinstance(value, list)), [data])
    if len(listed) > MAX_ITEMS:
        raise InvalidPayload("body", f"more than {MAX_ITEMS} messages")
    if not all(isinstance(item, dict) for item in listed):
        raise InvalidPayload("body", "expected objects")
    return list(listed)


def _of_kannel(raw: RawEvent) -> Fields:
    named = {name: value for name, header in _KANNEL_HEADERS.items() if (value := raw.header(header)) is not None}
    return Fields({}, {**named, "text": text_of(body_of(raw), raw.header("content-type") or "")})
