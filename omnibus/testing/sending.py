"""Sending fixtures: an outbound message, the calls it makes, and what comes of it.

``<name>.send.json``: {outbound, exchange, result | error, settings?, blobs?, at?}. `outbound` is laid over a complete
example, so that it names only what matters: {"message": {"content": {"type": "text", "text": "hello"}}}. `blobs` are
files the message refers to: [{"text": ...} | {"base64": ...} | {"file": ...}]; where the outbound says
``{{blob 0}}`` the address of the first is put.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from omnibus import clock
from omnibus.blobs import blob_uri, open_blobs
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Channel
from omnibus.channel.registry import load_part
from omnibus.channel.send import Sender, SenderTools, Sent
from omnibus.errors import OmnibusError, Refused, TryAgain
from omnibus.model.events import Outbound
from omnibus.testing.door import account_of
from omnibus.testing.fixtures import SEND, body_of, read, settings_of
from omnibus.testing.provider import Call, FakeProvider

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class SentFixture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The channel took it."""

    native_ids: tuple[str, ...]
    status: str = "sent"


class ErrorFixture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """It did not: the error's class, and what it says; `after` in seconds."""

    type: str
    code: str | None = None
    native_code: str | None = None
    after: float | None = None


class SendFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file ``<name>.send.json``."""

    outbound: dict[str, Any]
    exchange: tuple[Call, ...] = ()
    result: SentFixture | None = None
    error: ErrorFixture | None = None
    settings: dict[str, Any] = {}
    blobs: tuple[Any, ...] = ()
    at: datetime = AT
    comment: str = ""


class SendFixture(msgspec.Struct, frozen=True, kw_only=True):
    """An outbound message, ready to be sent."""

    name: str
    folder: Path
    file: SendFile
    settings: Any
    outbound: Outbound
    blobs: tuple[bytes, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of sending: one of both."""

    sent: Sent | None = None
    error: Exception | None = None


def load_send_fixture(channel: Channel, folder: Path, name: str) -> SendFixture:
    """Read ``<name>.send.json``. Raises AssertionError with the file and what is wrong."""
    path = folder / f"{name}{SEND}"
    file: SendFile = read(path, SendFile)
    blobs = tuple(body_of(blob.get("text", blob), folder) for blob in file.blobs)
    try:
        outbound = outbound_of(channel, file.outbound, blobs)
    except msgspec.ValidationError as error:
        raise AssertionError(f"{path}: outbound: {error}") from None
    return SendFixture(
        name=name,
        folder=folder,
        file=file,
        settings=settings_of(channel, folder, file.settings),
        outbound=outbound,
        blobs=blobs,
    )


def outbound_of(channel: Channel, given: dict[str, Any], blobs: Sequence[bytes] = ()) -> Outbound:
    """A complete outbound message of the channel, with `given` laid over the example."""
    text = json.dumps(_over(example(channel.name), given))
    for index, blob in enumerate(blobs):
        text = text.replace(f"{{{{blob {index}}}}}", blob_uri(blob))
    return msgspec.json.decode(text.encode(), type=Outbound)


def example(channel: str) -> dict[str, Any]:
    """An outbound message as plain data: an agent answers an invented person."""
    person = {
        "id": "idn_0000000000000000000000000000aaaa",
        "channel": channel,
        "scheme": "opaque",
        "value": "ana",
        "normalized": "ana",
        "display_name": "Ana Moreira",
    }
    conversation = "conv_0000000000000000000000000000cccc"
    return {
        "message": {
            "id": "msg_0000000000000000000000000000eeee",
            "conversation_id": conversation,
            "channel": channel,
            "channel_account_id": "test",
            "direction": "outbound",
            "author": {"type": "agent", "display_name": "Rui"},
            "content": {"type": "text", "text": "hello"},
            "status": "queued",
            "created_at": "2026-01-05T09:00:00Z",
            "received_at": "2026-01-05T09:00:00Z",
        },
        "conversation": {
            "id": conversation,
            "channel": channel,
            "channel_account_id": "test",
            "thread_key": "ana",
            "contact_id": "cnt_0000000000000000000000000000dddd",
            "status": "open",
            "participants": [person],
            "last_inbound_at": "2026-01-05T08:59:00Z",
        },
        "recipient": person,
    }


async def send(channel: Channel, fixture: SendFixture, provider: FakeProvider, folder: Path) -> Outcome:
    """Send the fixture's message to the provider with a new sender; `folder` is for its blobs."""
    assert channel.send is not None, f"{channel.name} sends nothing, yet {fixture.name}{SEND} is there"
    blobs = open_blobs(f"file:{folder / 'blobs'}")
    for blob in fixture.blobs:
        await blobs.put(blob_uri(blob), blob)
    async with provider.served() as http:
        tools = SenderTools(account=account_of(channel, fixture.settings), http=http, blobs=blobs, topics=Topics())
        sender: Sender = load_part(channel, channel.send)(tools)
        with clock.use(clock.ManualClock(fixture.file.at)):
            try:
                return Outcome(sent=await sender.send(fixture.outbound))
            except Exception as error:  # what a sender raises is its result, and judged by the caller
                return Outcome(error=error)
            finally:
                await sender.close()


def described(outcome: Outcome) -> dict[str, Any]:
    """The outcome as a fixture has it."""
    if outcome.sent is not None:
        return {"result": {"native_ids": list(outcome.sent.native_ids), "status": outcome.sent.status}}
    error = outcome.error
    told = ErrorFixture(
        type=type(error).__name__,
        code=error.code if isinstance(error, Refused) else None,
        native_code=error.native_code if isinstance(error, Refused) else None,
        after=error.after / timedelta(seconds=1) if isinstance(error, TryAgain) and error.after is not None else None,
    )
    return {"error": msgspec.to_builtins(told)}


def expected(fixture: SendFixture) -> dict[str, Any]:
    """The outcome the fixture says, as `described` has it."""
    file = fixture.file
    return {"result": _plain(file.result)} if file.error is None else {"error": _plain(file.error)}


def is_ours(error: Exception | None) -> bool:
    """Whether the error is one that says what happens next."""
    return isinstance(error, OmnibusError)


def _plain(value: msgspec.Struct | None) -> Any:
    return json.loads(msgspec.json.encode(value))


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for key, value in above.items():
        old = laid.get(key)
        # A content of another type shares no fields with the example's.
        merges = isinstance(old, dict) and isinstance(value, dict) and key != "content"
        laid[key] = _over(old, value) if merges and isinstance(old, dict) else value
    return laid
