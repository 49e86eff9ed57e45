"""What sending fixtures cannot say: pieces that were sent already, films that take long, files, whose token it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors.x.api import XApi
from connectors.x.media import XMedia
from connectors.x.send import XSender
from connectors.x.settings import XSettings
from connectors.x.upload import CHUNK_BYTES, Uploads
from omnibus.blobs import blob_uri, open_blobs
from omnibus.bus.topics import Topics
from omnibus.channel.registry import load_channel
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http import Http
from omnibus.model import content as c
from omnibus.model.content import Attachment, AttachmentRef
from omnibus.model.entities import Author, ChannelIdentity, Conversation, InReplyTo, Message
from omnibus.model.events import Outbound
from omnibus.testing.door import account_of

if TYPE_CHECKING:
    from tests.connectors.x.conftest import FakeX

US, ANA = "1100000000000000001", "2200000000000000002"
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
Tools = Callable[..., SenderTools]


@pytest.fixture
async def tools(tmp_path: Path, fake_x: FakeX) -> Any:
    blobs = open_blobs(f"file:{tmp_path}")
    async with Http() as http:

        def made(**changed: Any) -> SenderTools:
            given: dict[str, Any] = {
                "user_id": US,
                "client_secret": Secret("client"),
                "access_token": Secret("token-of-the-test"),
                "api_url": fake_x.url,
            }
            account = account_of(load_channel("connectors.x"), XSettings(**(given | changed)), "x")
            return SenderTools(account=account, http=http, blobs=blobs, topics=Topics())

        yield made


def outbound(content: c.Content, thread: str, answered: str | None = None) -> Outbound:
    message = Message(
        id="msg_1",
        conversation_id="conv_1",
        channel="x",
        channel_account_id="x",
        direction="outbound",
        author=Author(type="agent"),
        content=content,
        status="queued",
        created_at=NOW,
        received_at=NOW,
        in_reply_to=None if answered is None else InReplyTo(native_id=answered),
    )
    conversation = Conversation(
        id="conv_1", channel="x", channel_account_id="x", thread_key=thread, contact_id="cnt_1", status="open"
    )
    recipient = ChannelIdentity(id="idn_1", channel="x", scheme="x_user", value=ANA, normalized=ANA)
    return Outbound(message=message, conversation=conversation, recipient=recipient)


async def test_of_a_row_of_posts_only_the_missing_ones_are_sent_again_and_in_the_row(
    tools: Tools, fake_x: FakeX
) -> None:
    sender = XSender(tools())
    answer = outbound(c.Text(text="One sentence of some words. " * 25), f"post:{ANA}", "100")
    posted = {"data": {"id": "201", "text": ""}}
    fake_x.answers = [(201, posted), (503, {})]
    with pytest.raises(TryAgain):
        await sender.send(answer)
    sent = await sender.send(answer)

    below = [body["reply"]["in_reply_to_tweet_id"] for _, _, body in fake_x.calls]
    assert sent.native_ids[0] == "201"
    assert below == ["100", "201", "201", sent.native_ids[1]]
    assert len(sent.native_ids) == 3


async def test_a_long_direct_message_leaves_in_pieces(tools: Tools, fake_x: FakeX) -> None:
    sent = await XSender(tools()).send(outbound(c.Text(text="word " * 2_500), f"dm:{ANA}"))
    assert len(sent.native_ids) == 2
    assert {path for _, path, _ in fake_x.calls} == {f"/2/dm_conversations/with/{ANA}/messages"}
    assert fake_x.tokens == ["Bearer token-of-the-test"] * 2


async def test_a_large_film_goes_in_chunks_and_we_wait_while_x_works(tools: Tools, fake_x: FakeX) -> None:
    made, naps = tools(), []
    film = b"\x00" * (CHUNK_BYTES + 5)
    await made.blobs.put(blob_uri(film), film)

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    working = {"data": {"id": "9", "processing_info": {"state": "in_progress", "check_after_secs": 3}}}
    done = {"data": {"id": "9", "processing_info": {"state": "succeeded"}}}
    fake_x.answers = [(200, {"data": {"id": "9"}}), (200, {}), (200, {}), (200, working), (200, working), (200, done)]
    uploads = Uploads(XApi(made.http, made.account.settings), made.blobs, sleep=sleep)
    assert await uploads.upload(attachment(blob_uri(film), "video/mp4"), public=False) == "9"

    assert fake_x.calls[0][2] == {"media_type": "video/mp4", "total_bytes": len(film), "media_category": "dm_video"}
    assert [path for _, path, _ in fake_x.calls[1:4]] == [
        "/2/media/upload/9/append",
        "/2/media/upload/9/append",
        "/2/media/upload/9/finalize",
    ]
    assert 'name="segment_index"' in fake_x.calls[2][2]
    assert naps == [3, 3]


async def test_a_film_that_takes_x_too_long_waits_for_its_next_turn(tools: Tools, fake_x: FakeX) -> None:
    made = tools()
    await made.blobs.put(blob_uri(b"film"), b"film")

    async def sleep(_seconds: float) -> None:
        return None

    working = {"data": {"id": "9", "processing_info": {"state": "pending", "check_after_secs": 60}}}
    fake_x.answers = [(200, {"data": {"id": "9"}}), (200, {}), *[(200, working)] * 20]
    uploads = Uploads(XApi(made.http, made.account.settings), made.blobs, sleep=sleep)
    with pytest.raises(TryAgain, match="processing"):
        await uploads.upload(attachment(blob_uri(b"film"), "video/mp4"), public=True)


async def test_a_picture_is_counted_whatever_its_attachment_says(tools: Tools, fake_x: FakeX) -> None:
    made = tools()
    picture = b"\x89PNG" + b"\x00" * 5_000_000
    await made.blobs.put(blob_uri(picture), picture)
    uploads = Uploads(XApi(made.http, made.account.settings), made.blobs)
    with pytest.raises(Refused) as refusal:
        await uploads.upload(attachment(blob_uri(picture), "image/png"), public=True)
    assert refusal.value.code == "MEDIA_TOO_LARGE"
    assert fake_x.calls == []


async def test_a_file_that_is_gone_is_said_so(tools: Tools) -> None:
    made = tools()
    uploads = Uploads(XApi(made.http, made.account.settings), made.blobs)
    with pytest.raises(Refused) as refusal:
        await uploads.upload(attachment("blob:sha256:" + "a" * 64, "image/png"), public=True)
    assert refusal.value.code == "MEDIA_NOT_REACHABLE"


async def test_the_token_must_be_of_the_account(tools: Tools) -> None:
    assert await XSender(tools()).probe() == "@example_store"
    with pytest.raises(Misconfigured, match="user_id"):
        await XSender(tools(user_id="1")).probe()


async def test_a_picture_of_a_direct_message_is_fetched_with_our_token(tools: Tools, fake_x: FakeX) -> None:
    fake_x.file = b"\xff\xd8\xff" + b"\x00" * 100
    media = await XMedia(tools()).fetch(AttachmentRef(scheme="native", uri="123/456/oP5p359h.jpg"))
    assert b"".join([chunk async for chunk in media.chunks]) == fake_x.file
    assert fake_x.calls[0][1] == "/2/dm_conversations/media/123/456/oP5p359h.jpg"
    assert fake_x.tokens == ["Bearer token-of-the-test"]


@pytest.mark.parametrize("uri", ["123/456/../../../2/users/me", "https://evil.example.net/a/b", "1/2", "a/b/c", ""])
async def test_what_a_message_names_never_leads_our_token_elsewhere(tools: Tools, fake_x: FakeX, uri: str) -> None:
    with pytest.raises(Refused):
        await XMedia(tools()).fetch(AttachmentRef(scheme="native", uri=uri))
    assert fake_x.calls == []


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(404, Refused, "MEDIA_NOT_REACHABLE"), (401, Misconfigured, None), (503, TryAgain, None)],
)
async def test_a_picture_that_cannot_be_had_is_named(
    tools: Tools, fake_x: FakeX, status: int, error: type[Exception], code: str | None
) -> None:
    fake_x.answers = [(status, {})]
    media = await XMedia(tools()).fetch(AttachmentRef(scheme="native", uri="123/456/a.jpg"))
    with pytest.raises(error) as failure:
        [chunk async for chunk in media.chunks]
    assert getattr(failure.value, "code", None) == code


def attachment(uri: str, mime: str) -> Attachment:
    return Attachment(id="att_1", mime=mime, state="stored", ref=AttachmentRef(scheme="object", uri=uri))
