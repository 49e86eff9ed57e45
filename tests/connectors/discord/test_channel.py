"""Settings, signatures, answers to interactions, files: what fixtures cannot say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.discord.answers import answer_to
from connectors.discord.channel import CHANNEL, DiscordSettings, verify
from connectors.discord.media import DiscordMedia
from connectors.discord.send import DiscordSender
from omnibus import clock
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.receive import Request, Unverified
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Refused, TryAgain
from omnibus.model.content import AttachmentRef
from omnibus.testing.door import account_of, open_door
from omnibus.testing.provider import Call, ExpectedRequest, FakeProvider, ScriptedResponse
from omnibus.testing.sending import outbound_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
API = "https://discord.com/api/v10"
CHANNEL_ID = "1300000000000000101"
WHERE = f"{CHANNEL_ID}/1457659891941376001"
ONE, TWO = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def settings(key: Ed25519PrivateKey = ONE) -> DiscordSettings:
    public = key.public_key().public_bytes_raw().hex()
    return DiscordSettings(bot_token=Secret("invented-token"), receive=("interactions",), public_key=public)


def signed(body: bytes, key: Ed25519PrivateKey = ONE, at: datetime = NOW) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signature = key.sign(timestamp.encode() + body).hex()
    return {
        "content-type": "application/json",
        "x-signature-timestamp": timestamp,
        "x-signature-ed25519": signature,
    }


def request(body: bytes, headers: dict[str, str]) -> Request:
    return Request(method="POST", path="/in/bot", received_at=NOW, body=body, headers=tuple(headers.items()))


def command() -> bytes:
    user = {"id": "1300000000000000301", "username": "ana"}
    interaction = {"id": "1457659891941376007", "type": 2, "channel_id": CHANNEL_ID, "user": user}
    return json.dumps({**interaction, "data": {"name": "help"}}).encode()


@pytest.mark.parametrize("age", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_an_interaction_recorded_earlier_does_not_count(age: timedelta) -> None:
    with pytest.raises(Unverified, match="too far from now"):
        verify(request(command(), signed(command(), at=NOW + age)), settings())


@pytest.mark.parametrize("signature", ["", "00", "zz" * 64, "00" * 64, "00" * 65, "é"])
def test_a_signature_of_another_form_is_refused(signature: str) -> None:
    headers = {**signed(command()), "x-signature-ed25519": signature}
    with pytest.raises(Unverified):
        verify(request(command(), headers), settings())


async def test_two_applications_have_keys_of_their_own(tmp_path: Path) -> None:
    accounts = {"one": account_of(CHANNEL, settings(ONE), "one"), "two": account_of(CHANNEL, settings(TWO), "two")}
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:
        with clock.use(clock.ManualClock(NOW)):
            for path, key, status in (("one", ONE, 200), ("two", ONE, 401), ("two", TWO, 200)):
                headers = signed(command(), key)
                async with client.post(f"{door.url}/in/{path}", data=command(), headers=headers) as got:
                    assert got.status == status
        assert sorted(raw.account for raw in await door.stored("discord")) == ["one", "two"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"receive": ("interactions",)}, "public_key is needed"),
        ({"public_key": "00"}, "64 hexadecimal digits"),
        ({"listen_to": ()}, "listen_to needs"),
    ],
)
def test_settings_that_cannot_work_are_noticed_at_once(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        DiscordSettings(bot_token=Secret("invented-token"), **wrong)


def test_an_account_takes_only_what_it_is_set_to() -> None:
    assert list(CHANNEL.ways_in(DiscordSettings(bot_token=Secret("invented-token")))) == ["gateway"]
    with pytest.raises(Unverified):
        verify(request(b"{}", {}), DiscordSettings(bot_token=Secret("invented-token")))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"type": 1}, {"type": 1}),
        ({"type": 3}, {"type": 6}),
        ({"type": 4}, {"type": 8, "data": {"choices": []}}),
        ({"type": 5, "message": {}}, {"type": 6}),
        ({"type": 2}, {"type": 4, "data": {"content": "thanks", "flags": 64}}),
        ({"type": 5}, {"type": 4, "data": {"content": "thanks", "flags": 64}}),
        ({}, {"type": 4, "data": {"content": "thanks", "flags": 64}}),
    ],
)
def test_each_interaction_gets_what_it_waits_for(asked: dict[str, Any], answer: dict[str, Any]) -> None:
    assert answer_to(json.dumps(asked).encode(), "thanks") == answer


@asynccontextmanager
async def tools(folder: Path, calls: Sequence[Call]) -> AsyncIterator[tuple[SenderTools, FakeProvider]]:
    provider = FakeProvider(calls)
    async with provider.served() as http:
        account = account_of(CHANNEL, settings())
        yield SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()), provider


def call(url: str, answer: Any, status: int = 200, method: str = "POST") -> Call:
    return Call(request=ExpectedRequest(method=method, url=url), response=ScriptedResponse(status=status, body=answer))


async def test_only_the_missing_posts_are_made_again(tmp_path: Path) -> None:
    url = f"{API}/channels/{CHANNEL_ID}/messages"
    text = {"message": {"content": {"type": "text", "text": "A sentence. " * 400}}}
    said = outbound_of(CHANNEL, {**text, "conversation": {"thread_key": CHANNEL_ID}})
    calls = [call(url, {"id": "1"}), call(url, "", 500), call(url, {"id": "2"}), call(url, {"id": "3"})]
    async with tools(tmp_path, calls) as (given, provider):
        sender = DiscordSender(given)
        with pytest.raises(TryAgain):
            await sender.send(said)
        assert (await sender.send(said)).native_ids == ("1", "2", "3")
    assert not provider.problems


async def test_the_bot_says_who_it_is(tmp_path: Path) -> None:
    async with tools(tmp_path, [call(f"{API}/users/@me", {"username": "support"}, method="GET")]) as (given, _):
        assert await DiscordSender(given).probe() == "support"


@pytest.mark.parametrize("forwarded", [False, True])
async def test_a_file_is_found_in_its_message_and_streamed(tmp_path: Path, forwarded: bool) -> None:
    """Addresses of files expire within a day, so a fresh one is asked for."""
    address = "https://cdn.discordapp.com/attachments/1/7/a.png?ex=1"
    held = {"attachments": [{"id": "7", "url": address, "filename": "a.png", "content_type": "image/png"}]}
    message = {"attachments": [], "message_snapshots": [{"message": held}]} if forwarded else held
    calls = [
        call(f"{API}/channels/{CHANNEL_ID}/messages/1457659891941376001", message, method="GET"),
        call(address, "bytes", method="GET"),
    ]
    async with tools(tmp_path, calls) as (given, provider):
        content = await DiscordMedia(given).fetch(AttachmentRef(scheme="native", uri=f"{WHERE}/7"))
        assert b"".join([chunk async for chunk in content.chunks]) == b"bytes"
    assert (content.file_name, content.mime) == ("a.png", "image/png")
    assert not provider.problems


@pytest.mark.parametrize(
    ("status", "answer"), [(404, {"code": 10008, "message": "Unknown Message"}), (200, {"attachments": []})]
)
async def test_a_file_that_is_gone_is_final(tmp_path: Path, status: int, answer: dict[str, Any]) -> None:
    url = f"{API}/channels/{CHANNEL_ID}/messages/1457659891941376001"
    async with tools(tmp_path, [call(url, answer, status, "GET")]) as (given, _):
        with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
            await DiscordMedia(given).fetch(AttachmentRef(scheme="native", uri=f"{WHERE}/7"))


@pytest.mark.parametrize("uri", ["7", "1/2", "1/2/../3", "a/b/c", "1/2/3/4", ""])
async def test_a_reference_leads_to_files_only(tmp_path: Path, uri: str) -> None:
    async with tools(tmp_path, []) as (given, provider):
        with pytest.raises(Refused, match="not a file of Discord"):
            await DiscordMedia(given).fetch(AttachmentRef(scheme="native", uri=uri))
    assert not provider.problems
