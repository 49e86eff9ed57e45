"""What sending fixtures cannot say: messages sent in part, stored files, and files that come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors._shared.links.links import Links
from connectors.line.channel import CHANNEL, LineSettings
from connectors.line.choices import chosen, data_of
from connectors.line.media import LineMedia
from connectors.line.send import LineSender
from omnibus import clock
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.bus.topics import Topics
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Refused, TryAgain
from omnibus.model.content import Attachment, AttachmentRef, ChoiceResponse, Option, Postback
from omnibus.model.events import Outbound
from omnibus.testing.door import account_of
from omnibus.testing.provider import Call, ExpectedRequest, FakeProvider, ScriptedResponse
from omnibus.testing.sending import outbound_of

USER = "U00000000000000000000000000000001"
PUSH = "https://api.line.me/v2/bot/message/push"
FILE = "https://api-data.line.me/v2/bot/message/468789577898262530/content"


def call(url: str, answer: Any = "", status: int = 200, method: str = "POST", **expected: Any) -> Call:
    request = ExpectedRequest(method=method, url=url, **expected)
    return Call(request=request, response=ScriptedResponse(status=status, body=answer))


def taken(*ids: str) -> dict[str, Any]:
    return {"sentMessages": [{"id": each} for each in ids]}


def said(message: dict[str, Any]) -> Outbound:
    return outbound_of(CHANNEL, {"message": message, "conversation": {"thread_key": USER}})


@asynccontextmanager
async def tools(folder: Path, calls: Sequence[Call]) -> AsyncIterator[tuple[SenderTools, FakeProvider]]:
    settings = LineSettings(app_secret=Secret("invented-secret"), access_token=Secret("invented-token"))
    provider = FakeProvider(calls)
    async with provider.served() as http:
        account = account_of(CHANNEL, settings, "line-jp", public_url="https://in.example.com")
        yield SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()), provider


async def test_only_the_missing_calls_are_made_again(tmp_path: Path) -> None:
    long = "\n\n".join("x" * 3_000 for _ in range(6))
    calls = [call(PUSH, taken("1", "2", "3", "4", "5")), call(PUSH, status=500), call(PUSH, taken("6"))]
    async with tools(tmp_path, calls) as (given, provider):
        sender = LineSender(given)
        message = {"content": {"type": "text", "text": long}}
        with pytest.raises(TryAgain):
            await sender.send(said(message))
        assert (await sender.send(said(message))).native_ids == ("1", "2", "3", "4", "5", "6")
    assert not provider.unused()


async def test_a_stored_picture_goes_out_as_an_address_of_ours(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.put(blob_uri(b"picture"), b"picture")
    attachment = {
        "id": "att_0",
        "mime": "image/jpeg",
        "state": "stored",
        "size": 7,
        "file_name": "how.jpg",
        "ref": {"scheme": "object", "uri": blob_uri(b"picture")},
    }
    settings = LineSettings(app_secret=Secret("invented-secret"), access_token=Secret("invented-token"))
    account = account_of(CHANNEL, settings, "line-jp", public_url="https://in.example.com")
    with clock.use(clock.ManualClock()):
        url = await Links(account, blobs, settings.app_secret).url_of(
            msgspec.convert(attachment, Attachment), max_bytes=1_000
        )
        shown = {"type": "image", "originalContentUrl": url, "previewImageUrl": url}
        async with tools(tmp_path, [call(PUSH, taken("1"), body={"to": USER, "messages": [shown]})]) as (
            given,
            provider,
        ):
            content = {"type": "image", "attachment_id": "att_0"}
            await LineSender(given).send(said({"content": content, "attachments": [attachment]}))
    assert url.endswith("/how.jpg?type=image%2Fjpeg")
    assert not provider.problems


async def test_the_account_says_who_it_is(tmp_path: Path) -> None:
    info = {"userId": USER, "basicId": "@216invented", "displayName": "Example"}
    async with tools(tmp_path, [call("https://api.line.me/v2/bot/info", info, method="GET")]) as (given, _):
        assert await LineSender(given).probe() == "Example (@216invented)"


async def test_a_picture_is_streamed(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer invented-token"}
    async with tools(tmp_path, [call(FILE, "bytes", method="GET", headers=headers)]) as (given, provider):
        content = await LineMedia(given).fetch(AttachmentRef(scheme="native", uri="image/468789577898262530"))
        assert b"".join([chunk async for chunk in content.chunks]) == b"bytes"
    assert not provider.problems


async def test_a_video_is_fetched_once_line_has_prepared_it(tmp_path: Path) -> None:
    states = [
        call(f"{FILE}/transcoding", {"status": state}, method="GET") for state in ("processing", "succeeded", "failed")
    ]
    ref = AttachmentRef(scheme="native", uri="video/468789577898262530")
    async with tools(tmp_path, [*states[:2], call(FILE, "film", method="GET"), states[2]]) as (given, provider):
        media = LineMedia(given)
        with pytest.raises(TryAgain) as waiting:
            await media.fetch(ref)
        assert waiting.value.after == timedelta(seconds=5)
        content = await media.fetch(ref)
        assert b"".join([chunk async for chunk in content.chunks]) == b"film"
        with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
            await media.fetch(ref)
    assert not provider.problems


async def test_a_file_that_line_has_deleted_is_final(tmp_path: Path) -> None:
    async with tools(tmp_path, [call(FILE, {"message": "Not found"}, 404, "GET")]) as (given, _):
        content = await LineMedia(given).fetch(AttachmentRef(scheme="native", uri="file/468789577898262530"))
        with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
            await anext(content.chunks)


@pytest.mark.parametrize("uri", ["468789577898262530", "image/../../../bot/info", "image/a/b", "image/", "Ä/1"])
async def test_a_reference_leads_to_files_only(tmp_path: Path, uri: str) -> None:
    async with tools(tmp_path, []) as (given, provider):
        with pytest.raises(Refused, match="not a file of LINE"):
            await LineMedia(given).fetch(AttachmentRef(scheme="native", uri=uri))
    assert not provider.problems


@pytest.mark.parametrize("title", ["Order 1001", "x" * 400, "注文"])
def test_an_option_comes_back_as_it_was(title: str) -> None:
    back = chosen(data_of(Option(id="order-1001", title=title)))
    assert isinstance(back, ChoiceResponse)
    assert back.option_id == "order-1001"
    assert back.title in (title, None)


@pytest.mark.parametrize("data", ["choice:", "choice:[]", "choice:{}", "choice:[1]", "choice:" + "[" * 9_000, "other"])
def test_other_data_is_a_postback(data: str) -> None:
    assert chosen(data) == Postback(payload=data)
