"""Files of ours that a provider fetches: through the real front door, with an address of ours and with no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from connectors._shared.links.links import VALID, Links
from connectors.line.channel import LineSettings
from omnibus import clock
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.channel.declaration import Account
from omnibus.channel.registry import load_channel
from omnibus.config.fields import Secret
from omnibus.errors import Refused
from omnibus.model.content import Attachment, AttachmentRef
from omnibus.testing.door import Door, account_of, open_door

PUBLIC = "https://in.example.com"
DATA = b"the bytes of a picture"


def account(name: str = "line-jp", secret: str = "invented-secret", public_url: str = PUBLIC) -> Account:
    settings = LineSettings(app_secret=Secret(secret), access_token=Secret("invented-token"))
    return account_of(load_channel("connectors.line"), settings, name, public_url=public_url)


def attachment(data: bytes = DATA, *, name: str = "how tö.png", mime: str = "image/png") -> Attachment:
    ref = AttachmentRef(scheme="object", uri=blob_uri(data))
    return Attachment(id="att_1", mime=mime, state="stored", file_name=name, size=len(data), ref=ref)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Door, aiohttp.ClientSession]]:
    accounts = {"line-jp": account(), "line-tw": account("line-tw", "another-secret")}
    async with open_door(folder, accounts) as door, aiohttp.ClientSession() as client:
        await door.runtime.blobs.put(blob_uri(DATA), DATA)
        yield door, client


async def link(door: Door, given: Attachment, of: Account | None = None) -> str:
    of = of or account()
    url = await Links(of, door.runtime.blobs, of.settings.app_secret).url_of(given, 1_000_000)
    assert url.startswith(f"{PUBLIC}/ch/{of.name}/files/")
    return door.url + url.removeprefix(PUBLIC)


async def test_a_file_is_given_to_whoever_has_its_address(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, client), client.get(await link(door, attachment())) as answer:
        assert answer.status == 200
        assert await answer.read() == DATA
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_a_browser_could_run_is_saved_instead(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, client):
        for mime in ("text/html", "image/svg+xml"):
            async with client.get(await link(door, attachment(mime=mime))) as answer:
                assert answer.headers["Content-Disposition"].startswith("attachment")
                assert answer.headers["Content-Security-Policy"].startswith("sandbox")


async def test_an_address_says_all_or_nothing(tmp_path: Path) -> None:
    """Whatever is changed in it, it is no address of ours any more."""
    async with opened(tmp_path) as (door, client):
        good = await link(door, attachment())
        path, _, query = good.rpartition("?")
        head, expires, signature, digest, name = path.rsplit("/", 4)
        forged = [
            f"{head}/{int(expires) + 1}/{signature}/{digest}/{name}?{query}",
            f"{head}/{expires}/{'0' * len(signature)}/{digest}/{name}?{query}",
            f"{head}/{expires}/{signature}/{'0' * len(digest)}/{name}?{query}",
            f"{head}/{expires}/{signature}/{digest}/other.png?{query}",
            f"{head}/{expires}/{signature}/{digest}/{name}?type=text%2Fhtml",
            good.replace("/line-jp/", "/line-tw/"),
        ]
        for url in forged:
            async with client.get(url) as answer:
                assert answer.status == 404, url


async def test_an_address_has_its_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, client):
        now = clock.ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
        with clock.use(now):
            url = await link(door, attachment())
            now.advance(VALID - timedelta(seconds=1))
            async with client.get(url) as answer:
                assert answer.status == 200
            now.advance(timedelta(seconds=1))
            async with client.get(url) as answer:
                assert answer.status == 404


async def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, client), client.get(await link(door, attachment(b"never stored"))) as answer:
        assert answer.status == 404


async def test_without_an_https_address_nothing_leaves(tmp_path: Path) -> None:
    own = account(public_url="http://localhost:8080")
    with pytest.raises(Refused, match=r"set http\.public_url"):
        await Links(own, FolderBlobs(tmp_path), own.settings.app_secret).url_of(attachment(), 1_000_000)


async def test_some_providers_fetch_from_anywhere_and_soon(tmp_path: Path) -> None:
    own = account(public_url="http://in.example.com")
    now = clock.ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    with clock.use(now):
        given = Links(
            own,
            FolderBlobs(tmp_path),
            own.settings.app_secret,
            valid=timedelta(hours=1),
            schemes=("https", "http"),
        )
        url = await given.url_of(attachment(), 1_000_000)
    assert url.startswith(f"http://in.example.com/ch/line-jp/files/{now.now_ms() // 1000 + 3_600}/")


@pytest.mark.parametrize("state", ["expired", "blocked", "too_large"])
async def test_what_we_do_not_have_has_no_address(tmp_path: Path, state: str) -> None:
    own = account()
    gone = Attachment(id="att_1", mime="image/png", state=state, ref=attachment().ref)
    with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
        await Links(own, FolderBlobs(tmp_path), own.settings.app_secret).url_of(gone, 1_000_000)


async def test_what_is_too_large_has_no_address(tmp_path: Path) -> None:
    own = account()
    with pytest.raises(Refused, match="MEDIA_TOO_LARGE"):
        await Links(own, FolderBlobs(tmp_path), own.settings.app_secret).url_of(attachment(), 3)
