"""An installation with app accounts: the real front door, the real embedded bus, and phones made of the client."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors._shared.live.frames import Entry
from connectors.app.client import AppClient
from connectors.app.send import AppSender
from connectors.app.settings import AppSettings
from omnibus import clock
from omnibus.channel.registry import load_channel
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.config.model import HttpSettings
from omnibus.http import Http
from omnibus.model import content as c
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import Outbound
from omnibus.model.raw import RawEvent
from omnibus.testing.door import Door, account_of, open_door

Made = Callable[..., Any]
First = Callable[[AsyncIterator[Entry], int], Coroutine[Any, Any, list[Entry]]]

SECRET = "invented-identity-secret-of-32-bytes-or-more"
DEADLINE_S = 30.0


def app_settings(**changed: Any) -> AppSettings:
    """Settings of a test account."""
    given: dict[str, Any] = {
        "session_secret": Secret("invented-session-secret"),
        "identity_secret": Secret(SECRET),
        "typing_token": Secret("invented-typing-token"),
    }
    return AppSettings(**(given | changed))


def token_of(user: str, *, key: str = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    """What the company's server gives its signed-in user."""
    claims = {"sub": user, "exp": int(time.time()) + 300, "name": "Ana Prado"} | changed
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm=algorithm)


def signed_user(user: str, secret: str = SECRET) -> dict[str, str]:
    """The other proof: a signed user id."""
    return {"id": user, "hmac": hmac.new(secret.encode(), user.encode(), hashlib.sha256).hexdigest()}


class Installation:
    """App accounts behind an open front door."""

    def __init__(self, door: Door, http: Http) -> None:
        self.door = door
        self.http = http
        self._publisher = door.runtime.bus.publisher("test")

    def url(self, account: str = "app") -> str:
        return f"{self.door.url}/ch/{account}"

    def phone(
        self, user: str = "customer-17", device: str = "phone-0001", *, account: str = "app", **more: Any
    ) -> AppClient:
        """A device of a user for whom the company's server vouches."""
        proof: Mapping[str, Any] = more.pop("proof", None) or {"token": token_of(user)}
        return AppClient(more.pop("http", self.http), self.url(account), device, lambda: proof, **more)

    async def registered(self, *arguments: str, **more: Any) -> AppClient:
        """A phone that has its session; waits for the door to be open."""
        phone = self.phone(*arguments, **more)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answer = await self.http.request(
                    "GET", f"{self.url(more.get('account', 'app'))}/messages", headers={"Authorization": "Bearer x"}
                )
                if answer.status == 401:
                    break
                await asyncio.sleep(0.01)
        await phone.register()
        return phone

    async def raws(self) -> list[RawEvent]:
        return await self.door.stored("app")

    async def reply(self, content: c.Content, message_id: str, thread: str = "u:customer-17", **more: Any) -> None:
        """A message of our side, as the channel-reply sink sends it: its history entry comes with the delivery."""
        runtime = self.door.runtime
        tools = SenderTools(account=runtime.accounts["app"], http=self.http, blobs=runtime.blobs, topics=runtime.topics)
        sent = await AppSender(tools).send(outbound(thread, content, message_id, **more))
        await self._publisher.publish(sent.also)


def outbound(thread: str, content: c.Content, message_id: str, **more: Any) -> Outbound:
    """An outbound message to a thread of the account `app`."""
    at = clock.now()
    user = thread.removeprefix("u:")
    message = Message(
        id=message_id,
        conversation_id="conv_1",
        channel="app",
        channel_account_id="app",
        direction="outbound",
        author=Author(type="agent", display_name="Bruno"),
        content=content,
        status="queued",
        created_at=at,
        received_at=at,
        **more,
    )
    conversation = Conversation(
        id="conv_1", channel="app", channel_account_id="app", thread_key=thread, contact_id="cnt_1", status="open"
    )
    recipient = ChannelIdentity(id="idn_1", channel="app", scheme="app_user", value=user, normalized=user)
    return Outbound(message=message, conversation=conversation, recipient=recipient)


@asynccontextmanager
async def installed(folder: Path, port: int = 0, **accounts: AppSettings) -> AsyncIterator[Installation]:
    channel = load_channel("connectors.app")
    made = {name: account_of(channel, settings, name) for name, settings in accounts.items()}
    async with open_door(folder, made, HttpSettings(port=port)) as door, Http(allow_private=True) as http:
        yield Installation(door, http)


@pytest.fixture(scope="session")
def key_pair() -> tuple[str, str]:
    """Private and public key of the company's server, in PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


@pytest.fixture
async def installation(tmp_path: Path, key_pair: tuple[str, str]) -> AsyncIterator[Installation]:
    """`app`; `rsa` with tokens of RS256; `signed` with signed user ids; `strict` with small limits."""
    async with installed(
        tmp_path,
        app=app_settings(),
        rsa=app_settings(identity_secret=None, identity_public_key=key_pair[1], jwt_audience="omnibus"),
        signed=app_settings(identity="hmac", session_secret=Secret("another-session-secret")),
        strict=app_settings(messages_per_minute=10, max_text_chars=20, max_connections_per_person=1),
    ) as installation:
        yield installation


async def first_of(entries: AsyncIterator[Entry], count: int) -> list[Entry]:
    found: list[Entry] = []
    async with asyncio.timeout(DEADLINE_S):
        async for entry in entries:
            found.append(entry)
            if len(found) == count:
                break
    return found


@pytest.fixture
def first() -> First:
    """The first so many entries that a phone gets."""
    return first_of


@pytest.fixture
def token() -> Made:
    """Makes tokens as the company's server does."""
    return token_of


@pytest.fixture
def signed() -> Made:
    """Signs user ids as the company's server does."""
    return signed_user


@pytest.fixture
def settings_of() -> Made:
    """Makes settings of a test account."""
    return app_settings


@pytest.fixture
def install() -> Callable[..., AbstractAsyncContextManager[Installation]]:
    """Opens a front door for accounts of one's own."""
    return installed
