"""Files that a provider comes and gets: with our link and while it lasts, and not otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from connectors._shared.sms.files import LIFE, PublicFiles, link_to
from connectors.twilio.channel import CHANNEL
from connectors.twilio.files import TwilioFiles
from connectors.twilio.settings import TwilioSettings
from omnibus import clock
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.channel.declaration import Account
from omnibus.channel.receive import ReceiverTools
from omnibus.config.fields import Secret
from omnibus.model.content import Attachment

DATA = b"\x89PNG invented" * 40_000
SECRET = Secret("invented-auth-token")
PICTURE = Attachment(id="att_1", mime="image/png", state="stored")


@dataclass
class Tools:
    """What the receiver uses of its tools."""

    account: Account
    blobs: FolderBlobs


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[str]:
    blobs = FolderBlobs(tmp_path)
    await blobs.put(blob_uri(DATA), DATA)
    settings = TwilioSettings(account_sid="ACinvented", auth_token=SECRET)
    account = Account(name="sms", channel=CHANNEL, settings=settings, inactivity=CHANNEL.inactivity)
    files: PublicFiles = TwilioFiles(cast(ReceiverTools, Tools(account, blobs)))
    app = web.Application()
    below = web.Application()
    below.add_routes(files.routes())
    app.add_subapp("/ch/sms", below)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def link(server: str, data: bytes = DATA, secret: Secret = SECRET, picture: Attachment = PICTURE) -> URL:
    return URL(link_to(picture, sha256(data).hexdigest(), server, "sms", secret))


async def fetched(url: URL) -> tuple[int, str, bytes]:
    async with ClientSession() as client, client.get(url) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_the_provider_gets_the_file_with_its_type(server: str) -> None:
    assert await fetched(link(server)) == (200, "image/png", DATA)


async def test_a_link_lasts_an_hour(server: str) -> None:
    with clock.use(clock.ManualClock()):
        url = link(server)
    later = clock.ManualClock()
    later.advance(LIFE + timedelta(seconds=1))
    with clock.use(later):
        assert (await fetched(url))[0] == 404


@pytest.mark.parametrize("changed", [{"m": "text/html"}, {"e": "99999999999"}, {"s": "0" * 64}, {"s": ""}, {"e": "x"}])
async def test_a_link_that_is_not_ours_opens_nothing(server: str, changed: dict[str, str]) -> None:
    assert (await fetched(link(server).update_query(changed)))[0] == 404


async def test_a_link_of_another_secret_or_file_opens_nothing(server: str) -> None:
    assert (await fetched(link(server, secret=Secret("another-secret"))))[0] == 404
    other = link(server, b"other")
    assert (await fetched(link(server).with_path(urlsplit(str(other)).path, keep_query=True)))[0] == 404


async def test_a_file_that_is_not_there_is_not_found(server: str) -> None:
    assert (await fetched(link(server, b"never stored")))[0] == 404


async def test_a_type_that_is_none_is_served_as_bytes(server: str) -> None:
    odd = Attachment(id="att_1", mime="text/html\r\nX: y", state="stored")
    assert (await fetched(link(server, picture=odd)))[1] == "application/octet-stream"
