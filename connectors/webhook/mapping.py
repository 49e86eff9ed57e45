"""Any request as messages: each field is looked for at the places the account's mapping names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from connectors.webhook.attributes import attributes_of
from connectors.webhook.files import content_of_file, files_of
from connectors.webhook.items import Item, items_of
from connectors.webhook.sender import sender_of, text_at
from connectors.webhook.settings import MAPPING_ATTRIBUTE, MappingSettings
from connectors.webhook.times import time_of
from omnibus.channel.events import Media, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Content, Text, Unsupported
from omnibus.model.raw import RawEvent

MAX_KEY_CHARS = 512
_ANONYMOUS = "anonymous"


def map_event(raw: RawEvent) -> Iterator[Message]:
    """Every message of the request. Raises InvalidPayload when its body is of no known format."""
    mapping = mapping_of(raw)
    for item in items_of(raw, mapping):
        yield _message(raw, item, mapping)


def threads(raw: RawEvent) -> Sequence[str]:
    """The threads in the request: those it names, or else one for each sender."""
    mapping = mapping_of(raw)
    return tuple(dict.fromkeys(_thread(item, mapping, None) for item in items_of(raw, mapping)))


def mapping_of(raw: RawEvent) -> MappingSettings:
    """The mapping the account had when the request was received. Raises InvalidPayload when it cannot be read."""
    try:
        return _mapping(raw.attributes.get(MAPPING_ATTRIBUTE, "{}"))
    except msgspec.MsgspecError as error:
        raise InvalidPayload(f"attributes.{MAPPING_ATTRIBUTE}", str(error)) from error


@lru_cache(maxsize=256)
def _mapping(text: str) -> MappingSettings:
    return msgspec.json.decode(text, type=MappingSettings)


def _message(raw: RawEvent, item: Item, mapping: MappingSettings) -> Message:
    files = files_of(item, mapping)
    sender = _sender(item, mapping)
    return Message(
        thread=_thread(item, mapping, sender),
        at=time_of(item, mapping, raw.received_at),
        native_id=_native_id(item, mapping),
        sender=sender,
        content=_content(item, mapping, files),
        attachments=files,
        subject=text_at(item.data, mapping.subject),
        attributes=attributes_of(item, mapping),
    )


def _thread(item: Item, mapping: MappingSettings, sender: Party | None) -> str:
    """The thread it names, or all that its sender (looked up when not at hand) writes."""
    named = text_at(item.data, mapping.thread)
    if named is not None:
        return short(named)
    sender = sender or _sender(item, mapping)
    return short(sender.normalized or sender.value)


def _sender(item: Item, mapping: MappingSettings) -> Party:
    """Who wrote; a message that does not say is one of its own, by nobody we know, so that none is lost or mixed up."""
    found = sender_of(item, mapping)
    if found is not None:
        return found
    named = text_at(item.data, mapping.thread) or _native_id(item, mapping)
    return Party(scheme="opaque", value=f"{_ANONYMOUS}:{short(named) if named is not None else _digest(item.data)}")


def _native_id(item: Item, mapping: MappingSettings) -> str | None:
    """The envelope's id is made for telling copies apart; CloudEvents are unique by source and id together."""
    envelope = item.envelope
    if envelope.id is not None:
        return short(envelope.id if envelope.source is None else f"{envelope.source}#{envelope.id}")
    named = text_at(item.data, mapping.id)
    return None if named is None else short(named)


def _content(item: Item, mapping: MappingSettings, files: Sequence[Media]) -> Content:
    text = text_at(item.data, mapping.text)
    if text is not None:
        return Text(text=text)
    if files:
        return content_of_file(files[0].mime)
    return Unsupported(native_type=(item.envelope.type or "webhook")[:200])


def short(text: str) -> str:
    """The text as a key: what is too long is named by its hash."""
    return text if len(text) <= MAX_KEY_CHARS else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _digest(data: Any) -> str:
    try:
        written = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # orjson reads 1,024 levels and writes 254
        raise InvalidPayload("body", "nested too deeply") from None
    return hashlib.sha256(written).hexdigest()[:32]
