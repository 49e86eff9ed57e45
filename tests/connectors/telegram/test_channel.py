"""The account's settings, the proof that a webhook is Telegram's, and places."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.telegram.channel import CHANNEL, SECRET_HEADER, TelegramSettings, answer, verify
from connectors.telegram.place import Place, place_of
from omnibus.channel.receive import Request, Unverified
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def request(secret: str | None = None, body: bytes = b"{}") -> Request:
    headers = () if secret is None else ((SECRET_HEADER, secret),)
    return Request(method="POST", path="/in/support-bot", received_at=NOW, body=body, headers=headers)


def settings(secret: str = "invented-secret") -> TelegramSettings:
    return TelegramSettings(bot_token=Secret("7000000900:invented"), receive="webhook", webhook_secret=Secret(secret))


def test_the_secret_that_telegram_repeats_is_the_proof() -> None:
    assert verify(request("invented-secret"), settings()) == "token"


@pytest.mark.parametrize("given", [None, "", "invented-secre", "invented-secret ", "ÍNVENTED", "\udcff"])
def test_any_other_secret_is_refused(given: str | None) -> None:
    with pytest.raises(Unverified) as caught:
        verify(request(given), settings())
    assert "invented-secret" not in str(caught.value)


def test_a_webhook_needs_a_secret() -> None:
    """Anybody can guess the address of a bot's webhook."""
    with pytest.raises(ValueError, match="webhook_secret is needed"):
        TelegramSettings(bot_token=Secret("7000000900:invented"), receive="webhook")


def test_a_secret_that_telegram_would_not_take_is_noticed_at_once() -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        settings("with spaces in it")


def test_an_account_that_polls_takes_no_webhooks() -> None:
    polls = TelegramSettings(bot_token=Secret("7000000900:invented"))
    with pytest.raises(Unverified):
        verify(request(""), polls)
    assert list(CHANNEL.ways_in(polls)) == ["poll"]


def test_a_pressed_button_is_answered_in_the_webhooks_own_answer() -> None:
    told = answer(request(body=b'{"update_id":1,"callback_query":{"id":"q1","from":{"id":1}}}'))
    assert told.body == b'{"method":"answerCallbackQuery","callback_query_id":"q1"}'
    assert told.content_type == "application/json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"callback_query":{"id":7}}', b"[" * 50_000])
def test_garbage_is_answered_as_anything_else(body: bytes) -> None:
    assert answer(request(body=body)).body == b"ok"


@pytest.mark.parametrize(
    "place",
    [
        Place(chat_id=7000000101),
        Place(chat_id=-1002000000301),
        Place(chat_id=-1002000000302, topic_id=48),
        Place(chat_id=-1002000000306, direct_topic_id=7000000101),
        Place(chat_id=7000000102, business="ExampleConnection1"),
        Place(chat_id=7000000102, business="odd/connection:1"),
    ],
)
def test_a_thread_key_leads_back_to_its_place(place: Place) -> None:
    assert place_of(place.thread) == place
    assert place.message_id(place.native_id(12)) == 12


def test_message_numbers_count_within_one_chat_only() -> None:
    assert Place(chat_id=1).message_id("2:12") is None
    assert Place(chat_id=1).message_id("1:x") is None


@pytest.mark.parametrize("thread", ["updates", "", "1:x", "1:d", "a/b", "1:2:3"])
def test_a_thread_key_of_another_channel_is_refused(thread: str) -> None:
    with pytest.raises(InvalidPayload):
        place_of(thread)
