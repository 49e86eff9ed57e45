"""A bot over HTTP: asked properly, believed carefully."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from omnibus.bus.port import Out, Record
from omnibus.bus.topics import Topics
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured
from omnibus.http import Http
from omnibus.model.codec import Event, decode
from omnibus.model.content import Choices
from omnibus.model.events import Reply, Resolve, Tag, Transfer
from router.automations.contract import AutomationTools
from router.automations.webhook import AUTOMATION, WebhookBotSettings, check
from router.automations.worker import AutomationWorker
from router.rehearsal import Rehearsal

if TYPE_CHECKING:
    from omnibus.bus.port import ReadTable

SECRET = "whsec_aW52ZW50ZWQtZm9yLXRlc3RzLW9ubHkh"


class NoTable:
    """An empty global table."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        return []


def worker_of(url: str, http: Http, **settings: Any) -> AutomationWorker:
    tools = AutomationTools(
        name="faq", hand_over_to="billing", http=http, targets=frozenset({"queue:billing", "queue:general"})
    )
    full = WebhookBotSettings(**{"url": url, "secret": Secret(SECRET), "allow_private": True, **settings})
    table: ReadTable = NoTable()
    return AutomationWorker(AUTOMATION, AUTOMATION.make(full, tools), tools, Topics(), table, full.timeout)


def heard(router: Rehearsal) -> list[Record]:
    """What the automation's topic holds."""
    return [
        Record(out.topic, 0, index, 0, out.key, out.value, out.headers)
        for index, out in enumerate(router.written)
        if out.topic == "omnibus.automation.faq"
    ]


def events_of(outs: Sequence[Out]) -> list[Event]:
    return [decode(Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)) for out in outs]


async def commands_of(worker: AutomationWorker, router: Rehearsal) -> list[Any]:
    return [event.data for event in events_of(await worker.deliver(heard(router)))]


async def test_an_answer_becomes_commands_in_order(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    bot.body = {
        "replies": [{"text": "Hello!"}, {"text": "Which one?", "options": [{"id": "a", "title": "A"}]}],
        "tags": ["greeted"],
        "resolve": True,
        "novelty": 1,
    }
    bot_router.says("hi there")

    commands = await commands_of(worker_of(bot.url, http), bot_router)

    assert [type(command) for command in commands] == [Reply, Reply, Tag, Resolve]
    assert isinstance(commands[1].content, Choices)
    assert commands[0].author.id == "faq"
    [question] = bot.questions
    assert question["message"]["content"]["text"] == "hi there"
    assert question["conversation"]["channel"] == "webchat"
    assert [message["content"]["text"] for message in question["recent"]] == ["hi there"]


async def test_the_commands_are_carried_out_by_the_router(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    bot.body = {"replies": [{"text": "Hello!"}], "hand_over": "general", "summary": "knows nothing yet"}
    bot_router.says("hi there")
    outs = await worker_of(bot.url, http).deliver(heard(bot_router))
    bot_router.step(*[Record(out.topic, 0, 0, 0, out.key, out.value, out.headers) for out in outs])

    assert len(bot_router.on("omnibus.outbound.webchat")) == 1
    assert bot_router.conversation().queue == "general"
    assert bot_router.on("omnibus.queue.general")[0].data.summary == "knows nothing yet"


async def test_being_asked_twice_does_nothing_twice(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    """After a crash the record comes again; whatever the bot says then, the router has carried it out."""
    bot.body = {"replies": [{"text": "Hello!"}]}
    bot_router.says("hi there")
    first = await worker_of(bot.url, http).deliver(heard(bot_router))
    bot.body = {"replies": [{"text": "Hello again!"}]}
    second = await worker_of(bot.url, http).deliver(heard(bot_router))

    bot_router.step(*[Record(out.topic, 0, 0, 0, out.key, out.value, out.headers) for out in [*first, *second]])

    assert [event.id for event in events_of(first)] == [event.id for event in events_of(second)]
    [sent] = bot_router.on("omnibus.outbound.webchat")
    assert sent.data.message.content.text == "Hello!"
    assert bot.questions[0]["id"] == bot.questions[1]["id"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {}),
        (404, {}),
        (302, {}),
        (200, b"<html>oops</html>"),
        (200, b"\xff\xfe"),
        (200, b"[" * 5_000),
        (200, {"replies": "hello"}),
        (200, {"replies": [{"text": ""}]}),
        (200, {"replies": [{"text": "x"}] * 6}),
        (200, {"replies": [{"text": "x" * 10_001}]}),
        (200, b'{"replies": []}' + b" " * 300_000),
        (200, {"hand_over": 7}),
        (200, [1]),
    ],
)
async def test_no_usable_answer_gives_the_conversation_to_the_queue(
    bot: Any, http: Http, bot_router: Rehearsal, status: int, body: Any
) -> None:
    bot.status, bot.body = status, body
    bot_router.says("hi there")

    [command] = await commands_of(worker_of(bot.url, http), bot_router)

    assert isinstance(command, Transfer)
    assert command.to == "queue:billing"


async def test_a_bot_that_does_not_answer_in_time(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    never = asyncio.Event()
    bot.before = never.wait
    bot_router.says("hi there")

    [command] = await commands_of(worker_of(bot.url, http, answer_within=timedelta(milliseconds=200)), bot_router)
    never.set()

    assert command.to == "queue:billing"
    assert command.reason == "faq failed: TryAgain"


async def test_a_bot_that_is_not_there(http: Http, bot_router: Rehearsal) -> None:
    bot_router.says("hi there")

    [command] = await commands_of(worker_of("http://127.0.0.1:9/", http), bot_router)

    assert command.to == "queue:billing"


async def test_a_private_address_is_asked_only_when_the_operator_says_so(
    bot: Any, http: Http, bot_router: Rehearsal
) -> None:
    bot_router.says("hi there")

    [command] = await commands_of(worker_of(bot.url, http, allow_private=False), bot_router)

    assert command.reason == "faq failed: AddressRefused"
    assert bot.questions == []


@pytest.mark.parametrize(
    ("wish", "target"),
    [(True, "queue:billing"), ("general", "queue:general"), ("queue:general", "queue:general"), ("?", "queue:billing")],
)
async def test_where_a_bot_hands_over_to(
    bot: Any, http: Http, bot_router: Rehearsal, wish: bool | str, target: str
) -> None:
    bot.body = {"hand_over": wish}
    bot_router.says("hi there")

    [command] = await commands_of(worker_of(bot.url, http), bot_router)

    assert command.to == target


async def test_saying_nothing_leaves_the_clock_running(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    bot.body = b""
    bot_router.says("hi there")

    assert await commands_of(worker_of(bot.url, http), bot_router) == []
    bot_router.later(timedelta(seconds=30))
    assert bot_router.conversation().queue == "billing"


async def test_later_messages_come_with_what_was_said_before(bot: Any, http: Http, bot_router: Rehearsal) -> None:
    bot.body = {"replies": [{"text": "Hello!"}]}
    worker = worker_of(bot.url, http)
    bot_router.says("hi there")
    outs = await worker.deliver(heard(bot_router))
    before = len(heard(bot_router))
    bot_router.step(*[Record(out.topic, 0, 0, 0, out.key, out.value, out.headers) for out in outs])
    bot_router.says("me again")
    await worker.deliver(heard(bot_router)[before:])

    recent = [message["content"]["text"] for message in bot.questions[-1]["recent"]]
    assert recent == ["hi there", "Hello!", "me again"]
    assert bot.questions[-1]["message"]["content"]["text"] == "me again"


def test_an_answer_must_be_due_before_the_queue_takes_over() -> None:
    settings = WebhookBotSettings(
        url="https://bot.example.com", secret=Secret(SECRET), answer_within=timedelta(seconds=60)
    )
    with pytest.raises(Misconfigured, match=r"automations\.faq\.answer_within"):
        check(settings, "faq")
