"""What becomes of an attachment that a message refers to: a real provider on loopback, a real bus, a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web

from connectors.telegram.channel import CHANNEL, TelegramSettings
from normalizer.media import MediaSettings, MediaWorker, media_runner, media_spec
from normalizer.media_kind import doubt, mime_of
from normalizer.steps.attachments import PENDING_HEADER
from omnibus import clock
from omnibus.blobs import FolderBlobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.clock import ManualClock
from omnibus.config.fields import Secret
from omnibus.config.model import Config
from omnibus.errors import TryAgain
from omnibus.http import Http
from omnibus.model import codec, ids
from omnibus.model.content import Attachment, AttachmentRef, Image, Text
from omnibus.model.entities import Author, Message
from omnibus.model.events import MEDIA, NORMALIZER, MessageAttachment, MessageReceived
from omnibus.runtime import Runtime
from omnibus.testing.served import served

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TOPICS = Topics()
ATTACHMENT = "omnibus.message.attachment.v1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1_000)
TOKEN = "7000000900:invented-token"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Provider:
    """Serves files as the Bot API does, and under /public as anybody's web server."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    public: dict[str, Handler] = field(default_factory=dict)
    scripted: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def get_file(self, request: web.Request) -> web.Response:
        file_id = (await request.json())["file_id"]
        self.asked.append(file_id)
        if self.scripted:
            status, body = self.scripted.pop(0)
            return web.json_response(body, status=status)
        return web.json_response({"ok": True, "result": {"file_id": file_id, "file_path": file_id}})

    async def get_bytes(self, request: web.Request) -> web.StreamResponse:
        data = self.files.get(request.match_info["path"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def get_public(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.match_info["name"])
        return await self.public[request.match_info["name"]](request)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_post("/bot{token}/getFile", provider.get_file)
    app.router.add_get("/file/bot{token}/{path:.+}", provider.get_bytes)
    app.router.add_get("/public/{name}", provider.get_public)
    async with served(app) as provider.url:
        yield provider


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """In these tests 127.0.0.1 plays the open Internet; everything else is somebody's own network."""
    async with Http(may_reach=lambda address: address == "127.0.0.1") as client:
        yield client


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
async def bus(tmp_path: Path, blobs: FolderBlobs) -> AsyncIterator[Bus]:
    bus = open_bus(f"embedded:{tmp_path / 'bus'}", TOPICS, blobs)
    await bus.open()
    await bus.ensure_topics(TOPICS.all_specs(partitions=1, channels=["telegram"], queues=[], automations=[]))
    yield bus
    await bus.close()


@pytest.fixture
def runtime(provider: Provider, http: Http, blobs: FolderBlobs, bus: Bus) -> Runtime:
    channel = replace(CHANNEL, package="connectors.telegram")
    settings = TelegramSettings(bot_token=Secret(TOKEN), api_url=provider.url)
    account = Account(name="support-bot", channel=channel, settings=settings, inactivity=channel.inactivity)
    # The worker reads nothing of the configuration; what it needs comes as MediaSettings.
    config = cast(Config, None)
    return Runtime(config=config, topics=TOPICS, bus=bus, blobs=blobs, http=http, accounts={"support-bot": account})


@pytest.fixture
def worker(runtime: Runtime) -> MediaWorker:
    return MediaWorker(runtime, MediaSettings(max_bytes=10_000, per_second=1_000))


def pending(uri: str, *, scheme: str = "native", index: int = 0, **changes: Any) -> Attachment:
    ref = AttachmentRef(scheme=scheme, uri=uri)
    attachment = Attachment(id=ids.attachment_id("msg_1", index), mime="image/png", state="pending", ref=ref)
    return msgspec.structs.replace(attachment, **changes)


def received(*attachments: Attachment, conversation: str = "conv_1", account: str = "support-bot") -> Out:
    content = Image(attachment_id=attachments[0].id) if attachments else Text(text="hi")
    message = Message(
        id="msg_1",
        conversation_id=conversation,
        channel="telegram",
        channel_account_id=account,
        direction="inbound",
        author=Author(type="contact"),
        content=content,
        status="received",
        created_at=START,
        received_at=START,
        attachments=attachments,
    )
    event = codec.Event(
        id="evt_1",
        type="omnibus.message.received.v1",
        source=NORMALIZER,
        subject=conversation,
        time=clock.now_ms(),
        data=MessageReceived(message=message),
        correlationid="raw_1",
    )
    out = codec.encode(event, TOPICS.events)
    return msgspec.structs.replace(out, headers=(*out.headers, PENDING_HEADER)) if attachments else out


def record(out: Out, offset: int = 0) -> Record:
    return Record(out.topic, 0, offset, out.ts_ms or 0, out.key, out.value, out.headers)


def told(outs: Any) -> list[Attachment]:
    found = []
    for offset, out in enumerate(outs):
        data = codec.decode(record(out, offset)).data
        assert isinstance(data, MessageAttachment)
        found.append(data.attachment)
    return found


async def ending(worker: MediaWorker, *attachments: Attachment) -> Attachment:
    (attachment,) = told(await worker.deliver([record(received(*attachments))]))
    return attachment


# --- what is fetched ----------------------------------------------------------------------------


async def test_a_file_of_the_channel_is_stored(provider: Provider, worker: MediaWorker, blobs: FolderBlobs) -> None:
    provider.files["photo-1"] = PNG
    stored = await ending(worker, pending("photo-1"))
    assert stored.state == "stored"
    assert stored.size == len(PNG)
    assert stored.ref is not None
    assert stored.ref.uri == f"blob:sha256:{stored.sha256}"
    assert await blobs.get(stored.ref.uri) == PNG


async def test_a_public_address_is_fetched(provider: Provider, worker: MediaWorker) -> None:
    provider.public["a.png"] = answering(web.Response(body=PNG, content_type="image/png"))
    stored = await ending(worker, pending(f"{provider.url}/public/a.png", scheme="url"))
    assert (stored.state, stored.mime, stored.size) == ("stored", "image/png", len(PNG))


async def test_the_event_says_whose_it_is_and_has_the_same_id_every_time(
    provider: Provider, worker: MediaWorker, runtime: Runtime
) -> None:
    """After a crash the same record comes again, to another process."""
    provider.files["photo-1"] = PNG
    first = await worker.deliver([record(received(pending("photo-1")))])
    again = await MediaWorker(runtime, MediaSettings()).deliver([record(received(pending("photo-1")))])
    one, other = codec.decode(record(first[0])), codec.decode(record(again[0]))
    assert (one.id, one.data) == (other.id, other.data)
    assert (one.source, one.subject, one.causationid, one.correlationid) == (MEDIA, "conv_1", "evt_1", "raw_1")
    assert one.data.message_id == "msg_1"


async def test_events_without_pending_media_are_passed_over_unread(runtime: Runtime) -> None:
    wants = media_spec(runtime, MediaSettings()).wants
    assert wants is not None
    garbage = Record(TOPICS.events, 0, 0, 0, b"conv_1", b"\xff not json", (("ce_type", b"omnibus.future.kind.v9"),))
    assert [wants(garbage), wants(record(received(), 1)), wants(record(received(pending("p")), 2))] == [
        False,
        False,
        True,
    ]


async def test_only_what_is_pending_is_fetched(provider: Provider, worker: MediaWorker) -> None:
    provider.files["photo-1"] = PNG
    done = pending("photo-0", index=1, state="stored")
    assert [told.id for told in [await ending(worker, done, pending("photo-1"))]] == [pending("photo-1").id]
    assert provider.asked == ["photo-1"]


# --- what is not --------------------------------------------------------------------------------


def answering(response: web.Response) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return response

    return answer


@pytest.mark.parametrize("address", ["http://127.0.0.2:9/secret", "http://10.0.0.1/", "http://[::1]:9/"])
async def test_an_address_in_our_own_network_is_blocked(worker: MediaWorker, address: str) -> None:
    blocked = await ending(worker, pending(address, scheme="url"))
    assert blocked.state == "blocked"


async def test_a_redirect_into_our_own_network_is_blocked(provider: Provider, worker: MediaWorker) -> None:
    moved = web.Response(status=302, headers={"Location": "http://127.0.0.2:9/latest/meta-data"})
    provider.public["moved"] = answering(moved)
    blocked = await ending(worker, pending(f"{provider.url}/public/moved", scheme="url"))
    assert blocked.state == "blocked"
    assert provider.asked == ["moved"]


async def test_a_scheme_that_is_not_the_webs_is_never_opened(worker: MediaWorker) -> None:
    assert (await ending(worker, pending("file:///etc/passwd", scheme="url"))).state == "expired"


async def test_a_file_larger_than_the_limit_is_not_kept(
    provider: Provider, worker: MediaWorker, blobs: FolderBlobs, tmp_path: Path
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(bytes(1_000))
        return response

    provider.public["endless"] = endless
    large = await ending(worker, pending(f"{provider.url}/public/endless", scheme="url"))
    assert large.state == "too_large"
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_a_file_of_the_channel_larger_than_the_limit_is_not_kept(provider: Provider, worker: MediaWorker) -> None:
    provider.files["film"] = bytes(20_000)
    assert (await ending(worker, pending("film"))).state == "too_large"


async def test_a_file_announced_as_too_large_is_not_even_asked_for(provider: Provider, worker: MediaWorker) -> None:
    assert (await ending(worker, pending("film", size=10_001))).state == "too_large"
    assert provider.asked == []


@pytest.mark.parametrize(
    ("description", "state"),
    [
        ("Bad Request: file is too big", "too_large"),
        ("Bad Request: wrong file_id or the file is temporarily unavailable", "expired"),
    ],
)
async def test_what_the_provider_refuses_is_final(
    provider: Provider, worker: MediaWorker, description: str, state: str
) -> None:
    provider.scripted = [(400, {"ok": False, "error_code": 400, "description": description})]
    refused = await ending(worker, pending("photo-1"))
    assert refused.state == state
    assert refused.reason


async def test_a_file_that_is_gone_has_expired(worker: MediaWorker) -> None:
    assert (await ending(worker, pending("no-such-file"))).state == "expired"


async def test_a_reference_past_its_time_is_not_tried(provider: Provider, worker: MediaWorker) -> None:
    old = AttachmentRef(scheme="native", uri="photo-1", expires_at=START)
    with clock.use(ManualClock(START + timedelta(seconds=1))):
        assert (await ending(worker, pending("photo-1", ref=old))).state == "expired"
    assert provider.asked == []


async def test_media_of_an_account_that_is_gone_has_expired(worker: MediaWorker) -> None:
    out = received(pending("photo-1"), account="removed-bot")
    (expired,) = told(await worker.deliver([record(out)]))
    assert expired.state == "expired"


async def test_a_channel_that_forbids_copies_keeps_the_reference(provider: Provider, runtime: Runtime) -> None:
    account = runtime.accounts["support-bot"]
    strict = msgspec.structs.replace(account.channel.capabilities, media_cache_allowed=False)
    kept = replace(account, channel=replace(account.channel, capabilities=strict))
    worker = MediaWorker(replace(runtime, accounts={"support-bot": kept}), MediaSettings())
    external = await ending(worker, pending("photo-1"))
    assert (external.state, external.ref) == ("external", pending("photo-1").ref)
    assert provider.asked == []


# --- what is tried again ------------------------------------------------------------------------

DOWN = (500, {"ok": False, "error_code": 500, "description": "Internal Server Error"})


async def test_a_provider_that_fails_is_tried_again(provider: Provider, worker: MediaWorker) -> None:
    provider.files["photo-1"] = PNG
    provider.scripted = [DOWN]
    with pytest.raises(TryAgain):
        await ending(worker, pending("photo-1"))
    assert (await ending(worker, pending("photo-1"))).state == "stored"


async def test_a_provider_that_keeps_failing_is_given_up_in_the_end(provider: Provider, worker: MediaWorker) -> None:
    provider.scripted = [DOWN, DOWN]
    time = ManualClock(START)
    with clock.use(time):
        arrived = record(received(pending("photo-1")))
        time.advance(timedelta(hours=1))
        with pytest.raises(TryAgain):
            await worker.deliver([arrived])
        time.advance(timedelta(hours=2))
        (given_up,) = told(await worker.deliver([arrived]))
    assert given_up.state == "expired"
    assert given_up.reason == "Telegram answered 500"


async def test_a_wrong_token_holds_up_its_own_account_only(provider: Provider, worker: MediaWorker) -> None:
    """Misconfigured would pause the whole worker; one account's mistake must not."""
    provider.scripted = [(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})]
    with pytest.raises(TryAgain, match="bot_token"):
        await ending(worker, pending("photo-1"))


async def test_a_failing_neighbour_does_not_fetch_the_others_again(provider: Provider, worker: MediaWorker) -> None:
    provider.files.update({"photo-1": PNG, "photo-2": PNG[:-1]})
    album = [pending("photo-1"), pending("photo-2", index=1)]
    ok = (200, {"ok": True, "result": {"file_id": "photo-1", "file_path": "photo-1"}})
    provider.scripted = [ok, DOWN]
    with pytest.raises(TryAgain):
        await worker.deliver([record(received(*album))])
    ended = told(await worker.deliver([record(received(*album))]))
    assert [attachment.state for attachment in ended] == ["stored", "stored"]
    assert provider.asked == ["photo-1", "photo-2", "photo-2"]


async def test_our_own_store_is_waited_for_without_end(provider: Provider, runtime: Runtime, tmp_path: Path) -> None:
    """A full disk is not the provider's fault: nothing is given up for it, however long it lasts."""
    provider.files["photo-1"] = PNG
    in_the_way = tmp_path / "a-file-where-the-folder-should-be"
    in_the_way.write_bytes(b"")
    broken = MediaWorker(replace(runtime, blobs=FolderBlobs(in_the_way / "blobs")), MediaSettings())
    time = ManualClock(START)
    with clock.use(time):
        arrived = record(received(pending("photo-1")))
        time.advance(timedelta(days=10))
        with pytest.raises(TryAgain, match="blob folder"):
            await broken.deliver([arrived])


# --- what kind it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "offered", "head", "mime"),
    [
        ("image/png", "text/html", PNG, "image/png"),
        ("application/octet-stream", "image/webp; q=1", b"", "image/webp"),
        ("", None, PNG, "image/png"),
        ("application/octet-stream", "binary/octet-stream", b"%PDF-1.7", "application/pdf"),
        ("application/octet-stream", None, b"who knows", "application/octet-stream"),
    ],
)
def test_the_declared_type_is_kept_where_it_says_something(
    declared: str, offered: str | None, head: bytes, mime: str
) -> None:
    assert mime_of(declared, offered, head) == mime


def test_something_that_can_run_is_not_stored_without_a_word() -> None:
    assert doubt("image/png", b"  <!DOCTYPE html><script>") == "declared as image/png, looks like text/html"
    assert doubt("text/html; charset=utf-8", b"<html>") is None
    assert doubt("image/png", PNG) is None


# --- on the bus ---------------------------------------------------------------------------------


async def test_the_runner_tells_what_became_of_each_attachment(provider: Provider, runtime: Runtime, bus: Bus) -> None:
    provider.files["photo-1"] = PNG
    provider.public["b.png"] = answering(web.Response(body=PNG, content_type="image/png"))
    runner = media_runner(runtime)
    await runner.start()
    await bus.publisher("normalizer").publish(
        [
            received(pending("photo-1"), conversation="conv_1"),
            received(conversation="conv_2"),
            received(pending(f"{provider.url}/public/b.png", scheme="url", index=1), conversation="conv_3"),
        ]
    )
    outcomes: list[codec.Event] = []
    async with asyncio.timeout(20):
        async for records in bus.follow(TOPICS.events, {0: 0}):
            outcomes += [codec.decode(found) for found in records if codec.type_of(found) == ATTACHMENT]
            if len(outcomes) == 2:
                break
    await runner.drain(5)
    assert {event.subject for event in outcomes} == {"conv_1", "conv_3"}
    assert {event.data.attachment.state for event in outcomes} == {"stored"}
