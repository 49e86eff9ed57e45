"""JSON Schemas and an AsyncAPI document, generated from the model's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from omnibus.bus.topics import Topics
from omnibus.model.base import Model
from omnibus.model.entities import Contact, Conversation
from omnibus.model.events import COMMANDS, DATA

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ATTRIBUTES = {
    "ce_specversion": "always `1.0`",
    "ce_id": "deterministic: the same fact has the same id after a redelivery or a replay; drop what you have seen",
    "ce_source": "who wrote the fact: `/omnibus/normalizer`, `/omnibus/router`, `/omnibus/media`, `/omnibus/sinks`",
    "ce_type": "the kind, with its major version",
    "ce_subject": "the conversation id, equal to the record's key",
    "ce_time": "when it happened at the provider (RFC 3339, UTC, milliseconds)",
    "ce_recordedtime": "when Omnibus stored it",
    "ce_dataschema": "names the JSON Schema of the value",
    "ce_partitionkey": "equal to the key",
    "ce_convseq": "counts the events of one source within a conversation, from 1",
    "ce_origin": "`live`, `backfill`, `replay` or `synthetic`; leave all but `live` out of statistics",
    "ce_causationid": "the raw event or command that caused it",
    "ce_correlationid": "groups events of one request",
    "ce_idquality": "`derived` when the provider gave no id and a content hash stands for it",
    "content-type": "`application/json`",
    "traceparent": "W3C trace context from the front door on",
}


def schema_of(kind: str, data: type[Model]) -> dict[str, Any]:
    """The JSON Schema of one type's value."""
    schema = msgspec.json.schema(data)
    return {"$schema": DIALECT, "$id": f"urn:omnibus:schema:{kind}", "title": kind, **schema}


def schemas() -> Mapping[str, dict[str, Any]]:
    """Every schema of the contract, by file name without ending."""
    kinds: dict[str, type[Model]] = {
        **DATA,
        **COMMANDS,
        "omnibus.conversation": Conversation,
        "omnibus.contact": Contact,
    }
    return {kind: schema_of(kind, data) for kind, data in kinds.items()}


def asyncapi(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of the topics that downstream reads and writes."""
    topics = Topics()
    readers = {topics.events: DATA, topics.queue("{queue}"): DATA, topics.outcomes: DATA}
    channels = {_name(address): _channel(address, kinds) for address, kinds in readers.items()}
    channels["commands"] = _channel(topics.commands, COMMANDS)
    operations = {
        f"read_{name}": {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
        for name in channels
        if name != "commands"
    }
    operations["send_commands"] = {"action": "send", "channel": {"$ref": "#/channels/commands"}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Omnibus", "version": version, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {kind: _message(kind) for kind in {**DATA, **COMMANDS}}},
    }


def _name(address: str) -> str:
    return address.removeprefix("omnibus.").partition(".")[0]


def _channel(address: str, kinds: Mapping[str, type[Model]]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
    }
    if "{queue}" in address:
        channel["parameters"] = {"queue": {"description": "A queue of the configuration"}}
    return channel


def _message(kind: str) -> dict[str, Any]:
    return {
        "name": kind,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{kind}.json"},
        },
    }
