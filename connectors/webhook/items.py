"""From a request to the messages in it, still as plain data: formats, batches and CloudEvents envelopes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from connectors._shared.bodies import (
    FormPart,
    body_of,
    form_of,
    gathered,
    json_of,
    looks_like_json,
    media_type_of,
    multipart_of,
    text_of,
)
from connectors._shared.paths import found
from connectors.webhook.settings import MappingSettings, Paths
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

MAX_ITEMS = 10_000


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of a CloudEvent (or of our own making, empty) around an item."""

    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    subject: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One message as foreign data, with the files that came along in the same request."""

    data: Any
    envelope: Envelope = Envelope()
    files: tuple[FormPart, ...] = ()


def items_of(raw: RawEvent, mapping: MappingSettings) -> list[Item]:
    """The messages of a request. Raises InvalidPayload when it is of no format that is known."""
    items = _of_media_type(raw, mapping)
    if len(items) > MAX_ITEMS:
        raise InvalidPayload("body", f"more than {MAX_ITEMS} messages")
    return items


def found_at(data: Any, paths: Paths) -> Iterator[Any]:
    """What is found at each of the paths, in their order, without what is missing or null."""
    for value in found(data, (paths,) if isinstance(paths, str) else paths):
        if value is not None:
            yield value


def _of_media_type(raw: RawEvent, mapping: MappingSettings) -> list[Item]:
    body, media_type = body_of(raw), media_type_of(raw)
    if media_type == "application/cloudevents+json":
        return [_structured(json_of(body))]
    if media_type == "application/cloudevents-batch+json":
        return [_structured(event) for event in _listed(json_of(body))]
    if media_type == "multipart/form-data":
        return [_of_parts(multipart_of(body, raw.header("content-type") or ""))]
    if media_type in ("application/json", "text/json") or media_type.endswith("+json") or looks_like_json(body):
        return _of_json(json_of(body), raw, mapping)
    if media_type == "application/x-www-form-urlencoded":
        return [Item(data={**gathered(list(raw.query)), **_filled(form_of(body))}, envelope=_binary(raw))]
    if media_type in ("", "text/plain", "text/markdown"):
        return [_of_text(body, raw)]
    raise InvalidPayload("headers.content-type", f"expected JSON, a form, text or CloudEvents, got {media_type[:80]!r}")


def _of_json(data: Any, raw: RawEvent, mapping: MappingSettings) -> list[Item]:
    if mapping.items:
        return [Item(data=item) for item in _listed(next(found_at(data, mapping.items), None), "items")]
    if isinstance(data, list):
        return [Item(data=item) for item in data]
    if not isinstance(data, dict):
        raise InvalidPayload("body", "expected an object or a list")
    if "specversion" in data and "type" in data and ("data" in data or "data_base64" in data):
        return [_structured(data)]
    return [Item(data=_filled(data), envelope=_binary(raw))]


def _of_text(body: bytes, raw: RawEvent) -> Item:
    text = text_of(body, raw.header("content-type") or "").strip()
    return Item(data={**gathered(list(raw.query)), **_filled({"text": text} if text else {})}, envelope=_binary(raw))


def _of_parts(parts: list[FormPart]) -> Item:
    fields = [(part.name, text_of(part.data, part.content_type or "")) for part in parts if part.file_name is None]
    return Item(data=gathered(fields), files=tuple(part for part in parts if part.file_name is not None))


def _structured(event: Any) -> Item:
    """CloudEvents in structured mode: attributes and data in one object (JSON event format 1.0.2, section 3)."""
    if not isinstance(event, dict):
        raise InvalidPayload("body", "expected a CloudEvent as an object")
    data = _of_bytes(event["data_base64"]) if "data_base64" in event else event.get("data", {})
    return Item(data={"text": data} if isinstance(data, str) else data, envelope=_envelope(event))


def _of_bytes(text: Any) -> Any:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidPayload("data_base64", "expected base64") from None
    return json_of(decoded) if looks_like_json(decoded) else {"text": text_of(decoded)}


def _binary(raw: RawEvent) -> Envelope:
    """CloudEvents in binary mode: attributes as headers (HTTP protocol binding 1.0.2, section 3.1.3)."""
    if raw.header("ce-specversion") is None:
        return Envelope(id=raw.header("webhook-id") or raw.header("idempotency-key"))
    return _envelope({name[3:]: value for name, value in raw.headers if name.startswith("ce-")})


def _envelope(attributes: dict[str, Any]) -> Envelope:
    def text(name: str) -> str | None:
        value = attributes.get(name)
        return value if isinstance(value, str) and value else None

    return Envelope(id=text("id"), source=text("source"), type=text("type"), time=text("time"), subject=text("subject"))


def _listed(data: Any, path: str = "body") -> list[Any]:
    if not isinstance(data, list):
        raise InvalidPayload(path, "expected a list")
    return data


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    if not data:
        raise InvalidPayload("body", "nothing in it")
    return data
