"""What fixtures cannot say: tokens that are nearly right, signing with a private key, and where credentials go."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.vonage.channel import CHANNEL
from connectors.vonage.credentials import LIFE, Credentials
from connectors.vonage.mapping import map_event
from connectors.vonage.media import VonageMedia
from connectors.vonage.places import ends_in, thread_on
from connectors.vonage.settings import VonageSettings
from connectors.vonage.verify import signed_text, verify
from omnibus import clock
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.receive import Request, Unverified
from omnibus.channel.registry import load_channel
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused
from omnibus.http import Http
from omnibus.model.content import AttachmentRef
from omnibus.model.raw import RawEvent
from omnibus.testing.door import account_of, open_door
from omnibus.testing.served import served

SECRET = "invented-signature-secret-0123456789"
AT = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
BODY = b'{"message_uuid":"u-1","from":"12025550147","to":"12025550123","message_type":"text","text":"hi"}'


def settings(**more: Any) -> VonageSettings:
    return VonageSettings(signing_secret=Secret(SECRET), **more)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(head: dict[str, Any] | None = None, secret: str = SECRET, **claims: Any) -> str:
    given = {"iat": int(AT.timestamp()), "payload_hash": sha256(BODY).hexdigest(), **claims}
    parts = [encoded(json.dumps(part).encode()) for part in (head or {"alg": "HS256", "typ": "JWT"}, given)]
    signature = hmac.new(secret.encode(), ".".join(parts).encode(), sha256).digest()
    return ".".join([*parts, encoded(signature)])


def request(
    given: str | None, body: bytes = BODY, at: datetime = AT, content_type: str = "application/json"
) -> Request:
    headers = [("content-type", content_type)] + ([("authorization", f"Bearer {given}")] if given is not None else [])
    return Request(method="POST", path="/in/vonage", received_at=at, body=body, headers=tuple(headers))


# --- tokens of the Messages API ---------------------------------------------------------------------


def test_a_token_of_the_accounts_secret_is_taken() -> None:
    assert verify(request(token()), settings()) == "jwt"
    assert verify(request(token(secret="old")), settings(previous_signing_secret=Secret("old"))) == "jwt"


@pytest.mark.parametrize(
    "given",
    [
        token({"alg": "none"}),
        token({"alg": "none"}).rpartition(".")[0] + ".",
        token({"alg": "HS512"}),
        token({"alg": "RS256"}),
        token({"typ": "JWT"}),
        token(secret="another"),
        token(payload_hash=sha256(b"other").hexdigest()),
        token(payload_hash=None),
        token(iat=int((AT - timedelta(days=2)).timestamp())),
        token(iat=int((AT + timedelta(days=2)).timestamp())),
        token(iat=-1),
        token(exp=int((AT - timedelta(seconds=1)).timestamp())),
        token(api_key="another1"),
        token(application_id="another"),
        "a.b",
        "a.b.c.d",
        "...",
        "\u00e9.\u00e9.\u00e9",
        "x" * 10_000,
    ],
)
def test_any_other_token_is_refused(given: str) -> None:
    known = settings(api_key=Secret("invent12"), api_secret=Secret("s"), application_id="app", private_key=Secret("k"))
    with pytest.raises(Unverified):
        verify(request(given), known)


def test_no_message_of_the_messages_api_passes_as_one_of_the_sms_api() -> None:
    for how in ("unsigned", "sha256"):
        with pytest.raises(Unverified, match="token"):
            verify(request(None), settings(sms_signature=how))


async def test_a_message_without_a_token_is_asked_for_again_and_a_wrong_token_is_not(tmp_path: Path) -> None:
    account = account_of(load_channel("connectors.vonage"), settings(), "vonage")
    async with open_door(tmp_path, {"vonage": account}) as door, aiohttp.ClientSession() as client:

        async def send(**headers: str) -> int:
            given = {"Content-Type": "application/json", **headers}
            async with client.post(f"{door.url}/in/vonage", data=BODY, headers=given) as answer:
                return answer.status

        assert await send() == 503
        assert await send(Authorization=f"Bearer {token(secret='another')}") == 401
        signed = token(iat=int(clock.now().timestamp()))
        assert await send(Authorization=f"Bearer {signed}") == 200
        assert [raw.body for raw in await door.stored("vonage")] == [BODY]


# --- signatures of the SMS API ----------------------------------------------------------------------


def test_separators_in_values_are_signed_as_underscores() -> None:
    assert signed_text({"b": "1&2=3", "a": "x", "sig": "no"}) == b"&a=x&b=1_2_3"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"msisdn":"1","to":"2","text":"x"}', "text/plain"),
        (b'{"msisdn":"1","to":"2","text":"x"} ', "application/json"),
        (b"[1]", "application/json"),
        (b"msisdn=1&msisdn=2", "application/x-www-form-urlencoded"),
        (b"msisdn=1&sig=zz", "application/x-www-form-urlencoded"),
        (b"msisdn=1", "application/x-www-form-urlencoded"),
    ],
)
def test_what_was_not_signed_is_not_taken(body: bytes, content_type: str) -> None:
    with pytest.raises(Unverified):
        verify(request(None, body, content_type=content_type), settings(sms_signature="sha256"))


def test_an_account_takes_none_of_the_sms_api_unless_it_says_so() -> None:
    with pytest.raises(Unverified):
        verify(request(None, b"msisdn=1", content_type="application/x-www-form-urlencoded"), settings())


def test_what_stands_beside_a_signed_body_is_not_read() -> None:
    """A query is not signed together with a body: it must not add to it."""
    raw = RawEvent(
        id="raw_1",
        channel="vonage",
        account="a",
        received_at=AT,
        body=b"msisdn=12025550147&to=12025550123&messageId=m-1",
        query=(("text", "put in by somebody"),),
    )
    (event,) = map_event(raw)
    assert "somebody" not in repr(event)


# --- our own tokens ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def pem(key: rsa.RSAPrivateKey) -> Secret:
    form = serialization.PrivateFormat.PKCS8
    return Secret(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())


def test_we_sign_with_the_applications_key(key: rsa.RSAPrivateKey) -> None:
    credentials = Credentials(settings(application_id="app-1", private_key=pem(key)))
    manual = clock.ManualClock(datetime.now(UTC))
    with clock.use(manual):
        header = credentials.header()
        claims = jwt.decode(header.removeprefix("Bearer "), key.public_key(), algorithms=["RS256"])
        assert claims["application_id"] == "app-1"
        assert claims["exp"] - claims["iat"] == LIFE.total_seconds()
        assert credentials.header() == header, "a token is used more than once"
        manual.advance(LIFE)
        assert credentials.header() != header, "but not for ever"


def test_a_key_that_is_none_is_the_operators_to_mend() -> None:
    credentials = Credentials(settings(application_id="app-1", private_key=Secret("invented, not a key")))
    with pytest.raises(Misconfigured, match="private_key") as caught:
        credentials.header()
    assert "invented, not a key" not in repr(caught.value.__cause__) + str(caught.value)


@pytest.mark.parametrize("half", [{"application_id": "a"}, {"api_key": Secret("k")}, {"private_key": Secret("k")}])
def test_half_of_a_pair_is_an_error(half: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="belong together"):
        settings(**half)


# --- media ------------------------------------------------------------------------------------------


@asynccontextmanager
async def vonage(status: int) -> AsyncIterator[tuple[str, list[str]]]:
    seen: list[str] = []

    async def media(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(status=status, body=b"bytes")

    app = web.Application()
    app.router.add_get("/v3/media/{id}", media)
    async with served(app) as url:
        yield url, seen


async def fetched(api: str, uri: str, folder: Path) -> bytes:
    given = settings(api_url=api, api_key=Secret("invent12"), api_secret=Secret("secret"))
    account = Account(name="vonage", channel=CHANNEL, settings=given, inactivity=CHANNEL.inactivity)
    async with Http(allow_private=True) as http:
        part = VonageMedia(SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics()))
        content = await part.fetch(AttachmentRef(scheme="native", uri=uri))
        return b"".join([chunk async for chunk in content.chunks])


async def test_a_file_is_fetched_with_the_accounts_credentials(tmp_path: Path) -> None:
    async with vonage(200) as (api, seen):
        assert await fetched(api, f"{api}/v3/media/1", tmp_path) == b"bytes"
    assert seen == ["Basic " + base64.b64encode(b"invent12:secret").decode()]


@pytest.mark.parametrize("uri", ["https://nexmo.com.example.com/x", "http://api.nexmo.com/x", "https://[x"])
async def test_nobody_else_gets_them(uri: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not an address of Vonage"):
        await fetched("https://api.nexmo.com", uri, tmp_path)


@pytest.mark.parametrize(("status", "error"), [(404, "MEDIA_NOT_REACHABLE"), (401, "private_key")])
async def test_a_file_that_is_gone_is_gone(status: int, error: str, tmp_path: Path) -> None:
    async with vonage(status) as (api, _):
        with pytest.raises((Refused, Misconfigured), match=error):
            await fetched(api, f"{api}/v3/media/1", tmp_path)


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "messenger", "rcs"])
def test_a_thread_leads_back_to_its_ends(channel: str) -> None:
    thread = thread_on(channel, "12025550123", "12025550147")
    ends = ends_in(thread)
    assert (ends.channel, ends.ours, ends.theirs) == (channel, "12025550123", "12025550147")
