"""Polling loses nothing and doubles nothing, whatever stops it; and it says what an operator must do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from connectors._ingress.tools import AccountTools
from connectors.telegram.api import Conflict
from connectors.telegram.channel import TelegramSettings
from connectors.telegram.receive import CONFLICT_PAUSE, Cursor, TelegramPoller
from omnibus import clock
from omnibus.clock import ManualClock
from omnibus.config.fields import Secret
from omnibus.errors import Fenced, Misconfigured, TryAgain
from omnibus.model.raw import RawEvent

if TYPE_CHECKING:
    from tests.connectors.telegram.conftest import FakeBotApi, Ingress

TOO_MANY = {
    "ok": False,
    "error_code": 429,
    "description": "Too Many Requests: retry after 7",
    "parameters": {"retry_after": 7},
}
CONFLICT = {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates request"}


def update(number: int, text: str = "hi") -> dict[str, Any]:
    chat = {"id": 7000000101, "type": "private", "first_name": "Ana"}
    message = {"message_id": number, "date": 1767603600, "chat": chat, "from": {**chat, "is_bot": False}, "text": text}
    return {"update_id": number, "message": message}


def numbers(raws: Any) -> list[int]:
    return [json.loads(raw.body)["update_id"] for raw in raws]


class Naps:
    """Sleeps that are over at once, and remembered."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def running(poller: TelegramPoller) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(poller.run())
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_every_update_becomes_one_raw_event_with_its_own_bytes(telegram: FakeBotApi, ingress: Ingress) -> None:
    await telegram.add(update(1, "um"), update(2, "dois ✓"))
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 2)
    raws = await ingress.stored()
    assert [update(1, "um"), update(2, "dois ✓")] == [json.loads(raw.body) for raw in raws]
    assert {"poll"} == {raw.transport for raw in raws}
    assert {"7000000101"} == {raw.thread for raw in raws}


async def test_updates_are_confirmed_only_after_they_are_stored(telegram: FakeBotApi, ingress: Ingress) -> None:
    await telegram.add(update(41))
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 2)
    first, second = telegram.called("getUpdates")
    assert "offset" not in first.params
    assert second.params["offset"] == 42


class Died(Exception):
    """The process is gone."""


class DyingTools(AccountTools):
    """The process dies when it is about to store."""

    async def publish_with_cursor(self, raws: Sequence[RawEvent], cursor: bytes) -> None:
        raise Died


async def test_a_crash_between_fetching_and_storing_loses_nothing(telegram: FakeBotApi, ingress: Ingress) -> None:
    """The process dies with the answer in its hands: Telegram gives the same updates to the next one."""
    await telegram.add(update(1), update(2))
    with pytest.raises(Died):
        await TelegramPoller(ingress.tools(made=DyingTools)).run()
    assert len(telegram.called("getUpdates")) == 1
    assert await ingress.stored() == []
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: 3 in telegram.offsets())
    assert numbers(await ingress.stored()) == [1, 2]


async def test_a_crash_after_storing_doubles_nothing(telegram: FakeBotApi, ingress: Ingress) -> None:
    """The process dies before Telegram hears of it: the next one goes on at the stored cursor."""
    await telegram.add(update(1), update(2))
    before = ingress.tools()
    telegram.will_answer("getUpdates", (200, {"ok": True, "result": [update(1), update(2)]}), (500, "{}"))
    with pytest.raises(TryAgain):
        await TelegramPoller(before).run()
    assert [kept["update_id"] for kept in telegram.updates] == [1, 2]
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: 3 in telegram.offsets())
    assert numbers(await ingress.stored()) == [1, 2]


async def test_a_poller_that_was_superseded_stores_nothing(telegram: FakeBotApi, ingress: Ingress) -> None:
    """Two processes poll for a moment: only the one that took over last may store."""
    old = TelegramPoller(ingress.tools())
    async with running(old) as superseded:
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 1)
        await ingress.tools().cursor()
        await telegram.add(update(1))
        with pytest.raises(Fenced):
            await superseded
    assert await ingress.stored() == []


async def test_a_conflict_with_our_own_successor_is_no_mistake(telegram: FakeBotApi, ingress: Ingress) -> None:
    """Its polls end ours with a conflict; that must not pause the account."""

    async def taken_over_meanwhile(seconds: float) -> None:
        await ingress.tools().cursor()

    telegram.will_answer("getUpdates", *[(409, CONFLICT)] * 3)
    with pytest.raises(Fenced):
        await TelegramPoller(ingress.tools(), sleep=taken_over_meanwhile).run()
    assert len(telegram.called("getUpdates")) == 2


async def test_another_program_that_polls_is_told_to_the_operator(telegram: FakeBotApi, ingress: Ingress) -> None:
    telegram.will_answer("getUpdates", *[(409, CONFLICT)] * 3)
    naps = Naps()
    with pytest.raises(Conflict, match="another program polls this bot"):
        await TelegramPoller(ingress.tools(), sleep=naps).run()
    assert naps.taken == [CONFLICT_PAUSE.total_seconds()] * 2
    assert ingress.states[0][0] == "degraded"


async def test_a_wrong_token_pauses_the_account_and_is_never_shown(telegram: FakeBotApi, ingress: Ingress) -> None:
    settings = TelegramSettings(bot_token=Secret("7000000900:another-invented-token"), api_url=telegram.url)
    with pytest.raises(Misconfigured) as caught:
        await TelegramPoller(ingress.tools(settings)).run()
    assert caught.value.setting == "bot_token"
    assert "another-invented-token" not in str(caught.value)


async def test_telegram_says_how_long_to_wait(telegram: FakeBotApi, ingress: Ingress) -> None:
    telegram.will_answer("getUpdates", (429, TOO_MANY))
    await telegram.add(update(1))
    naps = Naps()
    async with running(TelegramPoller(ingress.tools(), sleep=naps)):
        await telegram.until(lambda: 2 in telegram.offsets())
    assert naps.taken == [7.0]
    assert [state for state, _ in ingress.states] == ["degraded", "ok"]
    assert numbers(await ingress.stored()) == [1]


@pytest.mark.parametrize(
    "answer",
    [
        (502, "<html>Bad Gateway</html>"),
        (500, {"ok": False, "error_code": 500, "description": "Internal Server Error"}),
        (200, "<html>a captive portal</html>"),
        (200, {"ok": True, "result": {"not": "a list"}}),
        (200, {"ok": True, "result": [{"no": "number"}]}),
    ],
    ids=["proxy", "telegram", "portal", "no list", "no update"],
)
async def test_an_answer_that_is_no_answer_is_a_passing_fault(
    telegram: FakeBotApi, ingress: Ingress, answer: tuple[int, object]
) -> None:
    telegram.will_answer("getUpdates", answer)
    with pytest.raises(TryAgain):
        await TelegramPoller(ingress.tools()).run()
    assert ingress.states[-1][0] == "degraded"


async def test_numbers_that_begin_anew_are_followed(telegram: FakeBotApi, ingress: Ingress) -> None:
    """After a week without updates Telegram counts on from a random number, which may be lower.

    An offset that lies in the future is ignored; whoever only ever raises it asks for the same updates for ever.
    """
    tools = ingress.tools()
    await tools.cursor()
    recent = Cursor(offset=900_000, at_ms=clock.now_ms())
    await tools.publish_with_cursor([], msgspec.json.encode(recent))
    await telegram.add(update(100))
    telegram.will_answer("getUpdates", (200, {"ok": True, "result": [update(100)]}))
    async with running(TelegramPoller(tools)):
        await telegram.until(lambda: 101 in telegram.offsets())
    assert numbers(await ingress.stored()) == [100]


async def test_an_offset_from_before_a_long_silence_is_not_used(telegram: FakeBotApi, ingress: Ingress) -> None:
    """Telegram keeps updates for a day; what an older offset would confirm may be new updates with lower numbers."""
    tools = ingress.tools()
    await tools.cursor()
    with clock.use(ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC))):
        await tools.publish_with_cursor([], msgspec.json.encode(Cursor(offset=50, at_ms=clock.now_ms())))
    with clock.use(ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(hours=25))):
        await telegram.add(update(40))
        async with running(TelegramPoller(tools)):
            await telegram.until(lambda: 41 in telegram.offsets())
    assert "offset" not in telegram.called("getUpdates")[0].params
    assert numbers(await ingress.stored()) == [40]


async def test_the_first_poll_comes_back_at_once_to_show_that_all_is_well(
    telegram: FakeBotApi, ingress: Ingress
) -> None:
    """A quiet bot must not leave the operator guessing for as long as a long poll lasts."""
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 2)
    assert [call.params["timeout"] for call in telegram.called("getUpdates")] == [0, 50]
    assert ingress.states == [("ok", "")]


async def test_a_webhook_that_is_still_set_is_taken_away_first(telegram: FakeBotApi, ingress: Ingress) -> None:
    telegram.webhook_is_set = True
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 1)
    assert not telegram.webhook_is_set
    assert telegram.called("deleteWebhook")[0].params == {"drop_pending_updates": False}


async def test_a_webhook_may_be_left_alone(telegram: FakeBotApi, ingress: Ingress) -> None:
    settings = TelegramSettings(
        bot_token=Secret("7000000900:invented-token"), api_url=telegram.url, delete_webhook=False
    )
    async with running(TelegramPoller(ingress.tools(settings))):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 1)
    assert telegram.called("deleteWebhook") == []


async def test_a_pressed_button_stops_turning_once_the_press_is_stored(telegram: FakeBotApi, ingress: Ingress) -> None:
    pressed = {"update_id": 5, "callback_query": {"id": "q1", "from": {"id": 7000000101}, "data": "yes"}}
    await telegram.add(pressed)
    telegram.will_answer("answerCallbackQuery", (400, {"ok": False, "error_code": 400, "description": "too old"}))
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 2)
    assert [call.params for call in telegram.called("answerCallbackQuery")] == [{"callback_query_id": "q1"}]
    assert numbers(await ingress.stored()) == [5]


async def test_the_kinds_of_update_we_map_are_asked_for_by_name(telegram: FakeBotApi, ingress: Ingress) -> None:
    """Reactions only come when asked for."""
    async with running(TelegramPoller(ingress.tools())):
        await telegram.until(lambda: len(telegram.called("getUpdates")) == 1)
    assert "message_reaction" in telegram.called("getUpdates")[0].params["allowed_updates"]
