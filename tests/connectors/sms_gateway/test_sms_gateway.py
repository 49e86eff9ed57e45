"""What fixtures cannot say: callbacks and their way back, settings over presets, secrets, alphabets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.sms.alphabets import CHARACTERS, SEPTETS, alphabet_of, decoded, encoded, pieces_of, septets
from connectors._shared.sms.parts import fragment_from_header
from connectors.sms_gateway.channel import CHANNEL
from connectors.sms_gateway.mapping import map_event, threads
from connectors.sms_gateway.presets import incoming_of, outgoing_of
from connectors.sms_gateway.receive import answer, kept
from connectors.sms_gateway.rules import QUERY_ATTRIBUTE
from connectors.sms_gateway.send import GatewaySender
from connectors.sms_gateway.settings import GatewaySettings, IncomingSettings
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.events import Delivery
from omnibus.channel.receive import Request
from omnibus.channel.send import SenderTools
from omnibus.errors import InvalidPayload, Misconfigured, Refused
from omnibus.http import Http
from omnibus.model.raw import RawEvent
from omnibus.testing.fixtures import settings_from
from omnibus.testing.sending import outbound_of
from omnibus.testing.served import served

AT = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
PRIVATE = {"allow_private": True}
THREAD = "+12025550123/+12025550147"


def settings(**given_settings: Any) -> GatewaySettings:
    found: GatewaySettings = settings_from(GatewaySettings, {"webhook_secret": "invented-token", **given_settings}, "")
    return found


def get(url: str) -> Request:
    query = tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return Request(method="GET", path="/in/sms", received_at=AT, url=url, query=query)


def raw_of(request: Request, given_settings: GatewaySettings) -> RawEvent:
    return RawEvent(
        id="raw_1",
        channel="sms_gateway",
        account="sms",
        received_at=AT,
        body=request.body,
        query=tuple(pair for pair in request.query if pair[0] != "token"),
        attributes=dict(kept(request, given_settings)),
    )


# --- what comes back to the address we give ---------------------------------------------------------


@asynccontextmanager
async def gateway(reply: str) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    got: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(dict([*request.query.items(), *parse_qsl((await request.read()).decode())]))
        return web.Response(text=reply, status=202)

    app = web.Application()
    app.router.add_route("*", "/send", take)
    async with served(app) as url:
        yield f"{url}/send", got


async def sent(given_settings: GatewaySettings, folder: Path, text: str = "hello") -> tuple[str, ...]:
    account = Account(
        name="sms",
        channel=CHANNEL,
        settings=given_settings,
        inactivity=CHANNEL.inactivity,
        public_url="https://in.example.com",
    )
    async with Http(allow_private=True) as http:
        sender = GatewaySender(SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()))
        content = {"type": "text", "text": text}
        outbound = outbound_of(CHANNEL, {"message": {"content": content}, "conversation": {"thread_key": THREAD}})
        return (await sender.send(outbound)).native_ids


async def test_a_report_finds_its_message_by_the_address_kannel_was_given(tmp_path: Path) -> None:
    """Kannel has no id for a message, and fills in the placeholders of the address itself."""
    async with gateway("0: Accepted for delivery") as (url, got):
        kannel = settings(preset="kannel", outgoing={"url": url, "user": "u", "password": "invented", **PRIVATE})
        (native_id,) = await sent(kannel, tmp_path)
    callback = got[0]["dlr-url"]
    assert callback.count("%") == 2, "only the placeholders, or Kannel would fill in others"
    request = get(callback.replace("%d", "1").replace("%A", "stat%3ADELIVRD"))
    (event,) = map_event(raw_of(request, kannel))
    assert isinstance(event, Delivery)
    assert (event.target, event.thread, event.status) == (native_id, THREAD, "delivered")


async def test_a_generic_gateway_may_name_its_own_id_or_ours(tmp_path: Path) -> None:
    async with gateway('{"id": "gw-1"}') as (url, got):
        generic = settings(outgoing={"url": url, "format": "form", "callback_param": "report_url", **PRIVATE})
        theirs, ours = await sent(generic, tmp_path)
    assert theirs == "gw-1"
    assert dict(parse_qsl(urlsplit(got[0]["report_url"]).query))["omnibus_id"] == ours


@pytest.mark.parametrize(
    ("numbers", "written"), [("plus", "+12025550147"), ("digits", "12025550147"), ("zeros", "0012025550147")]
)
async def test_numbers_are_written_as_the_gateway_wants_them(numbers: str, written: str, tmp_path: Path) -> None:
    async with gateway("OK") as (url, got):
        await sent(settings(outgoing={"url": url, "format": "form", "numbers": numbers, **PRIVATE}), tmp_path)
    assert got[0]["to"] == written


async def test_a_gateway_nearby_is_reached_only_when_the_operator_says_so(tmp_path: Path) -> None:
    async with gateway("OK") as (url, got):
        with pytest.raises(Misconfigured, match="allow_private"):
            await sent(settings(outgoing={"url": url}), tmp_path)
    assert got == []


async def test_files_are_refused(tmp_path: Path) -> None:
    account = Account(
        name="sms",
        channel=CHANNEL,
        settings=settings(outgoing={"url": "https://sms.example.com"}),
        inactivity=CHANNEL.inactivity,
    )
    async with Http() as http:
        sender = GatewaySender(SenderTools(account=account, http=http, blobs=FolderBlobs(tmp_path), topics=Topics()))
        with pytest.raises(Refused, match="MEDIA_TYPE_UNSUPPORTED"):
            await sender.send(outbound_of(CHANNEL, {"message": {"content": {"type": "image", "attachment_id": "a"}}}))


# --- settings ---------------------------------------------------------------------------------------


def test_own_settings_take_the_place_of_the_presets() -> None:
    own = settings(preset="kannel", incoming={"text": "body", "statuses": {"99": "failed"}})
    found = incoming_of(own)
    assert found.text == "body"
    assert found.statuses == {**(incoming_of(settings(preset="kannel")).statuses or {}), "99": "failed"}
    assert outgoing_of(own).method == "GET"


def test_every_setting_of_incoming_is_in_every_preset() -> None:
    for preset in ("generic", "kannel", "jasmin"):
        found = incoming_of(settings(preset=preset))
        assert [name for name in IncomingSettings.__struct_fields__ if getattr(found, name) is None] == []


@pytest.mark.parametrize(("preset", "word"), [("kannel", b""), ("jasmin", b"ACK/Jasmin"), ("generic", b"OK")])
def test_each_gateway_hears_its_word(preset: str, word: bytes) -> None:
    """Kannel would send anything else to the person who wrote."""
    assert answer(get("https://in.example.com/in/sms"), settings(preset=preset)).body == word


def test_a_secret_that_an_address_cannot_hold_is_refused() -> None:
    with pytest.raises(AssertionError, match="printable ASCII"):
        settings(webhook_secret="geheimß")
    with pytest.raises(AssertionError, match="needs webhook_secret"):
        settings(webhook_secret=None)
    with pytest.raises(AssertionError, match="no character set"):
        settings(incoming={"charset": "klingon"})


def test_a_query_that_is_kept_has_no_token() -> None:
    """Also when its name is written in another way."""
    request = get("https://in.example.com/in/sms?token=secret&%74oken=secret&text=caf%E9&from=1")
    assert kept(request, settings())[QUERY_ATTRIBUTE] == "text=caf%E9&from=1"


def test_settings_that_changed_later_do_not_change_what_was_received() -> None:
    request = get("https://in.example.com/in/sms?token=t&who=12025550147&to=12025550123&text=hi")
    raw = raw_of(request, settings(incoming={"sender": "who"}))
    assert threads(raw) == (THREAD,)
    with pytest.raises(InvalidPayload, match="sender"):
        threads(raw_of(request, settings()))


# --- alphabets and parts ----------------------------------------------------------------------------


@given(st.text(alphabet="abc ABC.,€[]{}^~\\|äöüñ@£$\n", max_size=400))
def test_the_gsm_alphabet_goes_there_and_back(text: str) -> None:
    assert decoded(encoded(text), 0) == text
    assert septets(text) == len(encoded(text))


@given(st.text(max_size=3_000), st.integers(1, 5))
def test_no_message_takes_more_parts_than_it_may(text: str, parts: int) -> None:
    for piece in pieces_of(text, parts):
        if alphabet_of(piece) == "gsm":
            assert septets(piece) <= parts * SEPTETS
        else:
            assert len(piece.encode("utf-16-be", "replace")) <= 2 * parts * CHARACTERS


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("050003C70201", (1, 2)),
        ("06080401C70302", (2, 3)),
        ("0B0504158A0000 0003C70202".replace(" ", ""), (2, 2)),
        ("050003C70203", None),
        ("050003C70200", None),
        ("050003C70101", None),
        ("0504158A0000", None),
        ("05", None),
        ("FF00", None),
        ("", None),
    ],
)
def test_a_header_says_which_part_it_is_or_nothing(header: str, place: tuple[int, int] | None) -> None:
    found = fragment_from_header(bytes.fromhex(header))
    assert (None if found is None else (found.number, found.total)) == place
