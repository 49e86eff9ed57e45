"""Long polling: asks Telegram for updates and stores them with the place to go on, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import structlog

from connectors._shared.cursor import stored_cursor
from connectors.telegram.api import BotApi, Conflict
from connectors.telegram.channel import TelegramSettings, pressed_button
from omnibus import clock
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import Misconfigured, Overloaded, Refused, TryAgain
from omnibus.model import ids
from omnibus.model.raw import RawEvent

BATCH = 100
"""The most that one poll gives, https://core.telegram.org/bots/api#getupdates."""
GRACE = timedelta(seconds=15)
"""How much longer than `poll_timeout` we wait for an answer."""
KEPT = timedelta(hours=24)
"""How long Telegram keeps updates, https://core.telegram.org/bots/api#getting-updates."""

CONFLICTS = 3
"""Conflicts in a row before we say that somebody else receives this bot's updates; a poll of ours that died with its
process may be the first."""
CONFLICT_PAUSE = timedelta(seconds=20)

log = structlog.get_logger("omnibus.telegram")


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The number of the next update, and when the last one came (milliseconds since the epoch)."""

    offset: int = 0
    at_ms: int = 0

    @property
    def in_use(self) -> bool:
        """False once Telegram cannot know the number any more; it may have begun to count anew since."""
        return clock.now_ms() - self.at_ms < KEPT.total_seconds() * 1000


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An update as it came: its bytes, and what the poller must know of it."""

    update_id: int
    json: bytes
    pressed: str | None = None


class _Numbered(msgspec.Struct, frozen=True):
    update_id: int


class TelegramPoller:
    """Asks for updates for as long as it runs. What Telegram has not been told to forget, it gives again after a crash:
    updates are only confirmed by the next poll, which comes after they are stored.
    """

    def __init__(self, tools: ReceiverTools, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._tools = tools
        self._sleep = sleep
        self._settings: TelegramSettings = tools.account.settings
        self._api = BotApi(tools.http, self._settings)
        self._answered = False
        """False until the first answer, which we want at once: it shows whether all is well."""

    async def run(self) -> None:
        """Raises Misconfigured (wrong token, another receiver), TryAgain (Telegram is away), Fenced."""
        stored = await self._tools.cursor()
        cursor = stored_cursor(stored, Cursor) if stored else Cursor()
        if self._settings.delete_webhook:
            await self._api.call("deleteWebhook", {"drop_pending_updates": False})
        while True:
            updates = await self._patiently_fetch(cursor)
            self._answered = True
            self._tools.status("ok")
            if updates:
                # The highest of this answer, whatever stood before: after a week of silence Telegram begins to count
                # anew at a random, maybe lower number.
                cursor = Cursor(offset=max(update.update_id for update in updates) + 1, at_ms=clock.now_ms())
                await self._store(updates, cursor)
                await self._answer_presses(updates)

    async def _patiently_fetch(self, cursor: Cursor) -> Sequence[Fetched]:
        """One answer; waits as long as Telegram asks us to. Raises TryAgain when it does not say how long."""
        conflicts = 0
        while True:
            try:
                return await self._fetch(cursor)
            except TryAgain as fault:
                self._tools.status("degraded", str(fault))
                if fault.after is None:
                    raise
                await self._sleep(fault.after.total_seconds())
            except Conflict as conflict:
                # Another process of ours may have taken over: then this is no mistake, and this raises Fenced.
                await self._tools.publish_with_cursor([], msgspec.json.encode(cursor))
                conflicts += 1
                if conflicts == CONFLICTS:
                    raise
                self._tools.status("degraded", str(conflict))
                await self._sleep(CONFLICT_PAUSE.total_seconds())

    async def _fetch(self, cursor: Cursor) -> Sequence[Fetched]:
        wait = self._settings.poll_timeout if self._answered else timedelta(0)
        params: dict[str, object] = {
            "limit": BATCH,
            "timeout": int(wait.total_seconds()),
            "allowed_updates": self._settings.allowed_updates,
        }
        if cursor.in_use:
            params["offset"] = cursor.offset
        return _updates(await self._api.call("getUpdates", params, timeout=wait + GRACE))

    async def _store(self, updates: Sequence[Fetched], cursor: Cursor) -> None:
        raws = [self._raw_event(update) for update in updates]
        while True:
            try:
                await self._tools.publish_with_cursor(raws, msgspec.json.encode(cursor))
            except Overloaded as full:
                self._tools.status("degraded", "the bus is full; Telegram keeps the updates meanwhile")
                await self._sleep(full.after.total_seconds())
            else:
                return

    def _raw_event(self, update: Fetched) -> RawEvent:
        return RawEvent(
            id=ids.random_id("raw"),
            channel=self._tools.account.channel.name,
            account=self._tools.account.name,
            received_at=clock.now(),
            body=update.json,
            transport="poll",
            path="/getUpdates",
            verified="transport",
            headers=(("content-type", "application/json"),),
        )

    async def _answer_presses(self, updates: Sequence[Fetched]) -> None:
        """Ends the progress bar on pressed buttons; only a courtesy, so its failure changes nothing."""
        for query_id in (update.pressed for update in updates if update.pressed is not None):
            try:
                await self._api.call("answerCallbackQuery", {"callback_query_id": query_id})
            except (TryAgain, Refused, Misconfigured) as fault:
                log.info("telegram.press_not_answered", account=self._tools.account.name, why=type(fault).__name__)


def _updates(result: msgspec.Raw) -> Sequence[Fetched]:
    """The updates of an answer, each with its own bytes. Raises TryAgain when it is no list of updates."""
    try:
        found = [bytes(json) for json in msgspec.json.decode(result, type=list[msgspec.Raw])]
        numbers = [msgspec.json.decode(json, type=_Numbered).update_id for json in found]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TryAgain("Telegram answered with something that is no list of updates") from None
    return [
        Fetched(update_id=number, json=json, pressed=pressed_button(json))
        for number, json in zip(numbers, found, strict=True)
    ]
