"""The media worker: fetches what attachments refer to, after the message itself has gone out.

It reads the unified events as a sink does and looks only at those whose header says that an attachment is pending.
What became of each attachment follows as `message.attachment` in the same conversation.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from typing import Annotated, TypeVar

import msgspec
import structlog

from normalizer.media_kind import doubt, mime_of
from normalizer.media_source import MediaSources, Unreachable, Watched, as_source_faults, pace_of
from normalizer.steps.attachments import OBJECT, PENDING_HEADER
from omnibus import clock
from omnibus.bus.port import Out, Record, Runner, SinkSpec
from omnibus.channel.declaration import Account
from omnibus.channel.send import MediaContent
from omnibus.config.fields import Duration, Settings, Size, described
from omnibus.errors import Refused
from omnibus.http import AddressRefused
from omnibus.http_guard import RateLimit
from omnibus.model import codec, ids
from omnibus.model.content import Attachment, AttachmentRef
from omnibus.model.entities import Message
from omnibus.model.events import MEDIA, MessageAttachment, MessageReceived, MessageSent
from omnibus.runtime import Runtime

V = TypeVar("V")

TYPE = "omnibus.message.attachment.v1"
REMEMBERED = 1_000
"""Hosts whose pace, and stored attachments, that are kept in mind."""
LONGEST_REASON = 200

log = structlog.get_logger("omnibus.media")


class MediaSettings(Settings, frozen=True, kw_only=True):
    """How attachments are fetched."""

    max_bytes: Annotated[Size, described("Largest attachment that is kept.", example="25MB")] = 25_000_000
    timeout: Annotated[Duration, described("How long one download may take.")] = timedelta(minutes=5)
    give_up_after: Annotated[
        Duration, described("How long after a message its attachments are tried again when the provider fails.")
    ] = timedelta(hours=2)
    per_second: Annotated[
        Annotated[float, msgspec.Meta(gt=0)], described("Downloads per second from one host, or for one account.")
    ] = 10.0
    concurrency: Annotated[Annotated[int, msgspec.Meta(ge=1, le=1_000)], described("Downloads at once.")] = 16


def media_runner(runtime: Runtime, settings: MediaSettings | None = None) -> Runner:
    """This process's share of the media worker, to be started and drained."""
    settings = settings or MediaSettings()
    return runtime.bus.run_sink(media_spec(runtime, settings), MediaWorker(runtime, settings))


def media_spec(runtime: Runtime, settings: MediaSettings) -> SinkSpec:
    """By conversation, so that what becomes of its attachments keeps their order.

    The window is wide: most records are passed over, and a conversation that waits for a slow provider must not hold up
    the others of its partition.
    """
    return SinkSpec(
        name="normalizer.media",
        inputs=(runtime.topics.events,),
        by_key=True,
        max_batch=100,
        concurrency=settings.concurrency,
        window=10_000,
        wants=_is_pending,
    )


class MediaWorker:
    """The sink handler. Repeating a record is harmless: blobs go by content, and the events have derived ids."""

    def __init__(self, runtime: Runtime, settings: MediaSettings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._sources = MediaSources(runtime, settings.max_bytes)
        self._paces: OrderedDict[str, RateLimit] = OrderedDict()
        self._stored_ones: OrderedDict[str, Attachment] = OrderedDict()

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        """Raises TryAgain while a source fails and the message is young, or while our blob store fails."""
        return [out for record in records for out in await self._outcomes(record)]

    async def _outcomes(self, record: Record) -> list[Out]:
        event = codec.decode(record)
        if not isinstance(event.data, MessageReceived | MessageSent):
            return []
        message = event.data.message
        pending = [attachment for attachment in message.attachments if attachment.state == "pending"]
        ended = [await self._end_of(attachment, message, record.ts_ms) for attachment in pending]
        return [self._told(event, message, attachment) for attachment in ended]

    def _told(self, cause: codec.Event, message: Message, attachment: Attachment) -> Out:
        now_ms = clock.now_ms()
        data = MessageAttachment(message_id=message.id, conversation_id=message.conversation_id, attachment=attachment)
        event = codec.Event(
            id=ids.event_id(message.channel_account_id, attachment.id, "message.attachment"),
            type=TYPE,
            source=MEDIA,
            subject=message.conversation_id,
            time=now_ms,
            recordedtime=now_ms,
            data=data,
            origin=cause.origin,
            correlationid=cause.correlationid,
            causationid=cause.id,
            traceparent=cause.traceparent,
        )
        return codec.encode(event, self._runtime.topics.events)

    async def _end_of(self, attachment: Attachment, message: Message, since_ms: int) -> Attachment:
        """What became of it. Success is remembered, so that a failing neighbour does not fetch it again."""
        if (known := self._stored_ones.get(attachment.id)) is not None:
            return known
        ended = await self._settled(attachment, message.channel_account_id, since_ms)
        if ended.state == "stored":
            _keep(self._stored_ones, attachment.id, ended)
        return ended

    async def _settled(self, attachment: Attachment, account: str, since_ms: int) -> Attachment:
        try:
            return await self._fetched(attachment, account)
        except AddressRefused as refusal:
            ended = _ended(attachment, "blocked", refusal.reason)
        except Refused as refusal:
            state = "too_large" if refusal.code == "MEDIA_TOO_LARGE" else "expired"
            ended = _ended(attachment, state, refusal.reason)
        except Unreachable as fault:
            if clock.now_ms() - since_ms < self._settings.give_up_after.total_seconds() * 1000:
                raise
            ended = _ended(attachment, "expired", str(fault))
        log.info("media.not_stored", account=account, attachment=attachment.id, state=ended.state)
        return ended

    async def _fetched(self, attachment: Attachment, account_name: str) -> Attachment:
        """The attachment, stored. Raises Refused (final), Unreachable, and TryAgain when our blob store fails."""
        account = self._runtime.accounts.get(account_name)
        if account is None:
            raise Refused("MEDIA_NOT_REACHABLE", "its account is no longer configured")
        if not account.channel.capabilities.media_cache_allowed:
            return msgspec.structs.replace(attachment, state="external")
        ref = self._valid_ref(attachment)
        await self._pace(pace_of(ref, account)).acquire()
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                return await self._stored(attachment, ref, account)
        except TimeoutError:
            raise Unreachable(f"not fetched within {self._settings.timeout}") from None

    def _valid_ref(self, attachment: Attachment) -> AttachmentRef:
        ref = attachment.ref
        if ref is None or (ref.expires_at is not None and ref.expires_at <= clock.now()):
            raise Refused("MEDIA_NOT_REACHABLE", "the reference is no longer valid")
        if (attachment.size or 0) > self._settings.max_bytes:
            raise Refused("MEDIA_TOO_LARGE", f"announced with {attachment.size} bytes")
        return ref

    async def _stored(self, attachment: Attachment, ref: AttachmentRef, account: Account) -> Attachment:
        async with AsyncExitStack() as stack:
            with as_source_faults():
                content = await stack.enter_async_context(self._sources.open(ref, account))
            watched = Watched(content.chunks)
            chunks = await stack.enter_async_context(aclosing(watched.chunks()))
            try:
                uri, size = await self._runtime.blobs.put_stream(chunks, self._settings.max_bytes)
            except Exception:
                if watched.failure is not None:
                    raise watched.failure from None
                raise
        return _as_stored(attachment, content, watched.head, uri, size)

    def _pace(self, name: str) -> RateLimit:
        rate = self._settings.per_second
        pace = self._paces.pop(name, None) or RateLimit(rate, burst=max(1, int(rate)))
        _keep(self._paces, name, pace)
        return pace


def _is_pending(record: Record) -> bool:
    return PENDING_HEADER in record.headers


def _as_stored(attachment: Attachment, content: MediaContent, head: bytes, uri: str, size: int) -> Attachment:
    return msgspec.structs.replace(
        attachment,
        state="stored",
        mime=mime_of(attachment.mime, content.mime, head),
        file_name=attachment.file_name or content.file_name,
        size=size,
        sha256=uri.rpartition(":")[2],
        ref=AttachmentRef(scheme=OBJECT, uri=uri),
        reason=doubt(attachment.mime, head),
    )


def _ended(attachment: Attachment, state: str, reason: str) -> Attachment:
    return msgspec.structs.replace(attachment, state=state, reason=reason[:LONGEST_REASON])


def _keep(kept: OrderedDict[str, V], name: str, value: V) -> None:
    kept[name] = value
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
