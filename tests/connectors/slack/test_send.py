"""What sending fixtures cannot say: pieces sent already, and whom our token is shown to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.slack.channel import CHANNEL, SlackSettings
from connectors.slack.media import SlackMedia
from connectors.slack.send import SlackSender
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Refused, TryAgain
from omnibus.model.content import AttachmentRef
from omnibus.model.events import Outbound
from omnibus.testing.door import account_of
from omnibus.testing.provider import Call, ExpectedRequest, FakeProvider, ScriptedResponse
from omnibus.testing.sending import outbound_of

API = "https://slack.com/api"
LONG = "A sentence. " * 900


def call(method: str, body: Any = None, status: int = 200) -> Call:
    return Call(request=ExpectedRequest(url=f"{API}/{method}"), response=ScriptedResponse(status=status, body=body))


def posted(number: int) -> Call:
    return call("chat.postMessage", {"ok": True, "channel": "D0EXAMPLE1", "ts": f"1767603600.{number:06d}"})


def said(text: str) -> Outbound:
    message = {"content": {"type": "text", "text": text}}
    return outbound_of(CHANNEL, {"message": message, "conversation": {"thread_key": "D0EXAMPLE1"}})


@asynccontextmanager
async def tools(folder: Path, calls: Sequence[Call]) -> AsyncIterator[tuple[SenderTools, FakeProvider]]:
    settings = SlackSettings(bot_token=Secret("invented-bot-token"), signing_secret=Secret("invented-secret"))
    provider = FakeProvider(calls)
    async with provider.served() as http:
        account = account_of(CHANNEL, settings)
        yield SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()), provider


async def test_only_the_missing_pieces_are_sent_again(tmp_path: Path) -> None:
    """Slack has no idempotency key: what it has taken once must not be sent a second time."""
    down = call("chat.postMessage", {"ok": False, "error": "internal_error"})
    async with tools(tmp_path, [posted(1), down, posted(2), posted(3)]) as (given, provider):
        sender = SlackSender(given)
        with pytest.raises(TryAgain):
            await sender.send(said(LONG))
        sent = await sender.send(said(LONG))
    assert sent.native_ids == tuple(f"D0EXAMPLE1:1767603600.{number:06d}" for number in (1, 2, 3))
    assert not provider.problems
    assert not provider.unused()


async def test_the_bot_says_who_it_is(tmp_path: Path) -> None:
    async with tools(tmp_path, [call("auth.test", {"ok": True, "user": "support", "team": "Example"})]) as (given, _):
        assert await SlackSender(given).probe() == "@support in Example"


async def test_a_file_is_found_and_streamed(tmp_path: Path) -> None:
    info = {"ok": True, "file": {"url_private_download": "https://files.slack.com/f/1", "name": "a.png"}}
    download = Call(
        request=ExpectedRequest(
            method="GET", url="https://files.slack.com/f/1", headers={"Authorization": "Bearer invented-bot-token"}
        ),
        response=ScriptedResponse(body="bytes"),
    )
    async with tools(tmp_path, [call("files.info", info), download]) as (given, provider):
        content = await SlackMedia(given).fetch(AttachmentRef(scheme="native", uri="F0EXAMPLE1"))
        assert b"".join([chunk async for chunk in content.chunks]) == b"bytes"
    assert content.file_name == "a.png"
    assert not provider.problems


@pytest.mark.parametrize(
    "url", ["https://files.example.com/f/1", "https://slack.com.example.com/f/1", "https://notslack.com/f/1", "", None]
)
async def test_our_token_is_shown_to_slack_alone(tmp_path: Path, url: str | None) -> None:
    """A file of a workspace may be kept by somebody else."""
    info = {"ok": True, "file": {"url_private": url}}
    async with tools(tmp_path, [call("files.info", info)]) as (given, _):
        with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
            await SlackMedia(given).fetch(AttachmentRef(scheme="native", uri="F0EXAMPLE1"))


@pytest.mark.parametrize("answer", [{"ok": False, "error": "file_deleted"}, {"ok": False, "error": "file_not_found"}])
async def test_a_file_that_is_gone_is_final(tmp_path: Path, answer: dict[str, Any]) -> None:
    async with tools(tmp_path, [call("files.info", answer)]) as (given, _):
        with pytest.raises(Refused) as caught:
            await SlackMedia(given).fetch(AttachmentRef(scheme="native", uri="F0EXAMPLE1"))
    assert caught.value.code == "MEDIA_NOT_REACHABLE"
    assert json.dumps(answer["error"])[1:-1] in caught.value.reason
