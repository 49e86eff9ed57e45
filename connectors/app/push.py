"""Tells the company's server of messages that no open app has taken, so that it wakes the devices.

One process does it for an account: it holds the account's cursor, and another that takes it over fences it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import structlog

from connectors._shared.cursor import stored_cursor
from connectors._shared.live.frames import Entry
from connectors._shared.live.history import TABLE, entry_of, time_of
from connectors.app.devices import Device, Devices
from connectors.app.settings import AppSettings
from omnibus import clock
from omnibus.bus.port import Record
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import Misconfigured, Refused
from omnibus.http import Response, expect_ok
from omnibus.standard_webhooks import lenient_key, signed_headers

TOO_OLD = timedelta(hours=24)
"""Nobody is woken for what was written longer ago; the app shows it when it is opened."""
MAX_ANSWER_BYTES = 100_000

log = structlog.get_logger("omnibus.app")


class PushedDevice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A device to wake."""

    device_id: str
    platform: str
    push_token: str


class Push(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What push_url gets. `id` is the entry's: the same when it is told again. `text` only with push_preview."""

    id: str
    key: str
    account: str
    user_id: str
    author: str
    devices: tuple[PushedDevice, ...]
    name: str | None = None
    text: str | None = None


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What push_url may answer: the devices whose push tokens are no longer good."""

    gone: tuple[str, ...] = ()


class AppPusher:
    """Follows the history of one account, from where it was left off."""

    def __init__(self, tools: ReceiverTools, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._tools = tools
        self._sleep = sleep
        self._settings: AppSettings = tools.account.settings
        self._topic = tools.topics.channel_table(tools.account.channel.name, TABLE)
        self._devices = Devices(tools.account.name, tools.topics)

    async def run(self) -> None:
        """Raises Fenced, and TryAgain while push_url is away: what it was not told is told after the next start."""
        await self._devices.load(self._tools.bus)
        offsets = await self._offsets()
        async for records in self._tools.bus.follow(self._topic, dict(offsets)):
            for record in records:
                await self._consider(record)
                offsets[record.partition] = record.offset + 1
            await self._tools.publish_with_cursor([], msgspec.json.encode(offsets))
            self._tools.status("ok")

    async def _offsets(self) -> dict[int, int]:
        """Where to go on; from the end of now for an account that is new."""
        stored = await self._tools.cursor()
        bounds = await self._tools.bus.bounds(self._topic)
        if stored is None:
            return {partition: after for partition, (_, after) in bounds.items()}
        known = stored_cursor(stored, dict[int, int])
        # Compaction may have taken away what the cursor points at; what is left is newer.
        return {partition: max(first, known.get(partition, first)) for partition, (first, _) in bounds.items()}

    async def _consider(self, record: Record) -> None:
        found = entry_of(record, self._tools.account.name)
        if found is None or not found[1].is_ours:
            return
        thread, entry = found
        age_ms = clock.now_ms() - time_of(entry.key)
        if age_ms > TOO_OLD.total_seconds() * 1000:
            return
        left = self._settings.push_after.total_seconds() - age_ms / 1000
        if left > 0:
            await self._sleep(left)
        if self._devices.seen(thread).delivered >= entry.key:
            return
        devices = [device for device in self._devices.of(thread) if device.push_token]
        if devices:
            await self._tell(thread, entry, devices)

    async def _tell(self, thread: str, entry: Entry, devices: Sequence[Device]) -> None:
        try:
            answer = expect_ok(await self._post(self._push_of(thread, entry, devices)))
        except Refused as refusal:
            log.warning("app.push_refused", account=self._tools.account.name, code=refusal.native_code or refusal.code)
            return
        gone = [device for device in _gone(answer) if device in {one.id for one in devices}]
        if gone:
            await self._tools.publish([], self._devices.forgotten(thread, gone))

    def _push_of(self, thread: str, entry: Entry, devices: Sequence[Device]) -> Push:
        return Push(
            id=entry.id,
            key=entry.key,
            account=self._tools.account.name,
            user_id=thread.removeprefix("u:"),
            author=entry.author,
            name=entry.name,
            text=entry.text if self._settings.push_preview else None,
            devices=tuple(
                PushedDevice(device_id=device.id, platform=device.platform, push_token=device.push_token or "")
                for device in devices
            ),
        )

    async def _post(self, push: Push) -> Response:
        url, secret = self._settings.push_url, self._settings.push_secret
        if url is None or secret is None:
            raise Misconfigured("push_url", "push_url and push_secret belong together")
        body = msgspec.json.encode(push)
        headers = signed_headers([lenient_key(secret.reveal())], push.id, clock.now_ms() // 1000, body)
        return await self._tools.http.request(
            "POST",
            url,
            headers={"Content-Type": "application/json", **headers},
            body=body,
            allow_private=self._settings.allow_private,
            max_response_bytes=MAX_ANSWER_BYTES,
        )


def _gone(answer: Response) -> Sequence[str]:
    """The devices the answer gives up; an answer in other words gives up none."""
    try:
        return msgspec.json.decode(answer.body, type=Pushed).gone
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
