"""A media id becomes bytes by way of an address that wants the token, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.whatsapp_cloud.channel import CHANNEL, WhatsAppSettings
from connectors.whatsapp_cloud.media import WhatsAppMedia
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.send import MediaContent, SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.model.content import AttachmentRef
from omnibus.testing.door import account_of
from omnibus.testing.provider import Call, ExpectedRequest, FakeProvider, ScriptedResponse

TOKEN = {"Authorization": "Bearer invented-token"}
PICTURE = "https://lookaside.example.com/picture?id=1"
SETTINGS = WhatsAppSettings(
    phone_number_id="1055",
    access_token=Secret("invented-token"),
    app_secret=Secret("invented-secret"),
    verify_token=Secret("invented-word"),
)


def asked(status: int = 200, **body: Any) -> Call:
    url = "https://graph.facebook.com/v24.0/3001"
    request = ExpectedRequest(method="GET", url=url, headers=TOKEN)
    return Call(request=request, response=ScriptedResponse(status=status, body=body))


def given(status: int = 200, body: str = "bytes", headers: dict[str, str] | None = None) -> Call:
    request = ExpectedRequest(method="GET", url=PICTURE, headers=TOKEN)
    return Call(request=request, response=ScriptedResponse(status=status, body=body, headers=headers or {}))


async def fetched(folder: Path, *calls: Call, ref: AttachmentRef | None = None) -> tuple[MediaContent, bytes]:
    provider = FakeProvider(calls)
    async with provider.served() as http:
        account = account_of(CHANNEL, SETTINGS)
        media = WhatsAppMedia(SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()))
        content = await media.fetch(ref or AttachmentRef(scheme="native", uri="3001"))
        data = b"".join([chunk async for chunk in content.chunks])
    assert not provider.problems
    assert not provider.unused()
    return content, data


async def test_the_bytes_come_with_their_type(tmp_path: Path) -> None:
    content, data = await fetched(tmp_path, asked(url=PICTURE, mime_type="image/jpeg", file_size=5), given())
    assert (content.mime, data) == ("image/jpeg", b"bytes")


@pytest.mark.parametrize(
    ("calls", "code"),
    [
        ([asked(400, error={"code": 100, "error_subcode": 33, "message": "Unsupported get request"})], "NOT_REACHABLE"),
        ([asked(url=PICTURE, mime_type="video/mp4", file_size=200_000_000)], "TOO_LARGE"),
        ([asked(url=PICTURE), given(404)], "NOT_REACHABLE"),
        ([asked(url=PICTURE), given(302, headers={"Location": "https://elsewhere.example.com"})], "NOT_REACHABLE"),
    ],
)
async def test_what_cannot_be_had_is_refused(tmp_path: Path, calls: list[Call], code: str) -> None:
    with pytest.raises(Refused) as caught:
        await fetched(tmp_path, *calls)
    assert caught.value.code == f"MEDIA_{code}"


@pytest.mark.parametrize("ref", [AttachmentRef(scheme="url", uri=PICTURE), AttachmentRef(scheme="native", uri="../1")])
async def test_only_media_ids_are_asked_for(tmp_path: Path, ref: AttachmentRef) -> None:
    with pytest.raises(Refused):
        await fetched(tmp_path, ref=ref)


async def test_a_passing_fault_is_tried_again_and_a_wrong_token_told(tmp_path: Path) -> None:
    with pytest.raises(TryAgain):
        await fetched(tmp_path, asked(503))
    with pytest.raises(TryAgain):
        await fetched(tmp_path, asked(url=PICTURE), given(503))
    with pytest.raises(Misconfigured):
        await fetched(tmp_path, asked(401, error={"code": 190}))
