"""Checks of how requests are proven, on the description itself and through the real front door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import aiohttp
from msgspec.structs import replace
from yarl import URL

from omnibus import clock
from omnibus.channel.declaration import Account, Channel
from omnibus.channel.receive import Answer, Request, Unverified, Webhook
from omnibus.testing.door import Door, account_of, open_door
from omnibus.testing.fixtures import PUBLIC_URL, Fixture

SIGNED = frozenset({"hmac", "signature", "jwt"})
"""Verdicts that cover the body: changing it must be noticed."""

GARBAGE: Sequence[tuple[str, bytes]] = (
    ("application/json", b"{"),
    ("application/json", b"\xff\xfe\x00"),
    ("text/plain", b""),
    ("application/x-www-form-urlencoded", b"%%%&&&==="),
    ("multipart/form-data; boundary=x", b"--x\r\n"),
    ("application/octet-stream", bytes(range(256))),
)


def check_verdict(fixture: Fixture) -> None:
    """A request as the provider sends it is accepted, with the verdict the fixture says."""
    webhook = _webhook(fixture)
    assert webhook.verify(fixture.request, fixture.settings) == fixture.file.verified


def check_forgeries(fixture: Fixture) -> None:
    """With a byte of the body, of its proof, or the whole proof changed, the request is refused."""
    webhook = _webhook(fixture)
    if fixture.file.verified == "none":
        return
    if fixture.file.verified in SIGNED:
        for what, forged in _other_bodies(fixture.request):
            assert _is_refused(webhook, forged, fixture), f"accepted with {what}"
    proofs = [name for name, without in _without_headers(fixture.request) if _is_refused(webhook, without, fixture)]
    proofs_in_query = [
        name for name, without in _without_params(fixture.request) if _is_refused(webhook, without, fixture)
    ]
    assert proofs or proofs_in_query, f"accepted as {fixture.file.verified!r} without any one of its headers"
    for name in proofs:
        for what, forged in _other_values(fixture.request, name):
            assert _is_refused(webhook, forged, fixture), f"accepted with {what}"


def check_handshake(fixture: Fixture) -> None:
    """The provider's handshake gets the answer it expects."""
    webhook = _webhook(fixture)
    assert fixture.file.answer is not None
    if fixture.request.method != "GET":
        webhook.verify(fixture.request, fixture.settings)
    assert webhook.challenge(fixture.request, fixture.settings) == fixture.file.answer.answer()


async def check_front_door(channel: Channel, fixtures: Sequence[Fixture], folder: Path) -> None:
    """Through the real front door: good requests are stored byte for byte and answered 2xx, forged ones are not."""
    for group in _by_settings(fixtures):
        accounts = {fixture.account: _account(channel, fixture) for fixture in group}
        async with open_door(folder / group[0].name, accounts) as door, aiohttp.ClientSession() as client:
            for fixture in group:
                await _check_one(channel, fixture, door, client)
            await _check_strangers(channel, group[0], door, client)


async def _check_one(channel: Channel, fixture: Fixture, door: Door, client: aiohttp.ClientSession) -> None:
    before = {raw.id for raw in await door.stored(channel.name)}
    with clock.use(clock.ManualClock(fixture.file.received_at)):
        status, body = await _send(client, door, fixture.request)
    stored = [raw for raw in await door.stored(channel.name) if raw.id not in before]
    if fixture.file.answer is not None:
        assert (status, body) == (fixture.file.answer.status, fixture.file.answer.body.encode()), fixture.name
        assert not stored, f"{fixture.name}: a handshake was stored"
        return
    webhook = _webhook(fixture)
    expected: Answer = webhook.answered(fixture.request, fixture.settings)
    assert (status, body) == (expected.status, expected.body), f"{fixture.name}: answered {status} {body[:200]!r}"
    assert stored, f"{fixture.name}: answered {status}, but nothing is stored"
    assert {raw.body for raw in stored} == {fixture.request.body}, f"{fixture.name}: other bytes are stored"
    assert {raw.verified for raw in stored} == {fixture.file.verified}
    threads: set[str | None] = set(channel.threads(fixture.raw(channel))) or {None}
    assert {raw.thread for raw in stored} == threads, f"{fixture.name}: stored for other threads"


async def _check_strangers(channel: Channel, fixture: Fixture, door: Door, client: aiohttp.ClientSession) -> None:
    before = len(await door.stored(channel.name))
    unknown = replace(fixture.request, path="/in/nobody-of-this-name")
    assert (await _send(client, door, unknown))[0] == 404, "an unknown account must be answered 404"
    wrong = replace(fixture.request, method="DELETE")
    assert (await _send(client, door, wrong))[0] == 405, "a wrong method must be answered 405"
    assert len(await door.stored(channel.name)) == before, "a refused request was stored"
    for content_type, body in GARBAGE:
        count = len(await door.stored(channel.name))
        request = replace(fixture.request, body=body, headers=(("content-type", content_type),))
        status, _ = await _send(client, door, request)
        after = len(await door.stored(channel.name))
        assert (200 <= status < 300 and after > count) or (400 <= status < 500 and after == count), (
            f"garbage ({content_type}) was answered {status}, and {after - count} records were stored"
        )


async def _send(client: aiohttp.ClientSession, door: Door, request: Request) -> tuple[int, bytes]:
    own = {"host", "content-length", "transfer-encoding", "connection"}
    url = URL(f"{door.url}{request.path}").with_query(list(request.query))
    headers = [(name, value) for name, value in request.headers if name not in own]
    skipped = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")
    body = request.body if request.method not in ("GET", "HEAD") else None
    async with client.request(
        request.method, url, headers=headers, data=body, skip_auto_headers=skipped, allow_redirects=False
    ) as answer:
        return answer.status, await answer.read()


def _account(channel: Channel, fixture: Fixture) -> Account:
    return account_of(channel, fixture.settings, fixture.account, public_url=PUBLIC_URL)


def _by_settings(fixtures: Iterable[Fixture]) -> list[list[Fixture]]:
    """Fixtures that can share a front door: of one account each, or with equal settings."""
    groups: list[list[Fixture]] = []
    for fixture in fixtures:
        for group in groups:
            if all(other.account != fixture.account or other.settings == fixture.settings for other in group):
                group.append(fixture)
                break
        else:
            groups.append([fixture])
    return groups


def _webhook(fixture: Fixture) -> Webhook:
    assert fixture.webhook is not None, f"{fixture.name} is a webhook's request, but the account receives otherwise"
    return fixture.webhook


def _is_refused(webhook: Webhook, request: Request, fixture: Fixture) -> bool:
    try:
        return webhook.verify(request, fixture.settings) != fixture.file.verified
    except Unverified:
        return True


def _other_bodies(request: Request) -> Iterator[tuple[str, Request]]:
    body = request.body
    for index in sorted({0, len(body) // 2, len(body) - 1} if body else ()):
        changed = body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]
        yield f"byte {index} of the body changed", replace(request, body=changed)
    yield "a byte added to the body", replace(request, body=body + b" ")


def _without_headers(request: Request) -> Iterator[tuple[str, Request]]:
    for name in dict.fromkeys(name for name, _ in request.headers):
        yield name, replace(request, headers=tuple(pair for pair in request.headers if pair[0] != name))


def _without_params(request: Request) -> Iterator[tuple[str, Request]]:
    for name in dict.fromkeys(name for name, _ in request.query):
        yield name, replace(request, query=tuple(pair for pair in request.query if pair[0] != name))


def _other_values(request: Request, name: str) -> Iterator[tuple[str, Request]]:
    """The header's value with a character changed in turn, emptied, and of another alphabet.

    Not the last character: in base64 it may hold bits that mean nothing.
    """
    value = request.header(name) or ""
    changed = [
        value[:index] + ("0" if value[index] != "0" else "1") + value[index + 1 :]
        for index in sorted({0, len(value) // 2, max(0, len(value) - 4)} if value else ())
    ]
    for other in ["", "\u00e9", value + value, *changed]:
        pairs = tuple((key, other if key == name else old) for key, old in request.headers)
        yield f"{name}: changed", replace(request, headers=pairs)
