"""The router on a real bus: stage, automations and API together."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog
from aiohttp import ClientSession, web

from omnibus.bus.port import Out, Record
from omnibus.cli.assemble import open_runtime
from omnibus.cli.plugins import known_types, settings_of
from omnibus.config.errors import ConfigErrors
from omnibus.config.load import loads
from omnibus.model import codec
from omnibus.model.codec import Event
from omnibus.model.content import Text
from omnibus.runtime import Runtime
from omnibus.testing.served import served
from router.api import api_routes
from router.plan import plan_of
from router.rehearsal import Rehearsal, conversation_id
from router.service import RouterService

ECHO = Path(__file__).parents[2] / "docs/examples/echo_bot.py"
SECRET = "whsec_aW52ZW50ZWQtZm9yLXRlc3RzLW9ubHkh"
CONFIG = """
bus: embedded:{folder}/bus
blobs: file:{folder}/blobs
partitions: 2
api: {{tokens: [token-for-tests]}}
channels:
  site-chat: {{type: webhook}}
queues: {{general: {{}}, billing: {{}}}}
automations:
  echo: {{type: webhook, url: "{bot}", secret: "{secret}", allow_private: true, hand_over_to: billing}}
routes:
  - {{name: bot, when: "message.text.startsWith('bot')", to: automation:echo}}
"""


class Installation:
    """A running router, traffic for it, and what came of it."""

    def __init__(self, runtime: Runtime, service: RouterService, api: str) -> None:
        self.runtime = runtime
        self.service = service
        self.api = api
        self._publisher = runtime.bus.publisher("test")
        self._traffic = Rehearsal(plan_of(runtime.config, runtime.topics, runtime.accounts))

    async def says(self, text: str, conversation: str = "c1", *, first: bool = True) -> None:
        records = [self._traffic.opened(conversation, channel="webhook")] if first else []
        await self.publish(*records, self._traffic.received(conversation, Text(text=text), channel="webhook"))

    async def publish(self, *records: Record) -> None:
        await self._publisher.publish(
            [Out(record.topic, record.key, record.value, record.headers) for record in records]
        )

    async def until(self, topic: str, wanted: Callable[[list[Event]], bool]) -> list[Event]:
        """Everything on a topic, once it is as wanted."""
        async with asyncio.timeout(60):
            while True:
                events = await self.on(topic)
                if wanted(events):
                    return events
                await asyncio.sleep(0.02)

    async def on(self, topic: str) -> list[Event]:
        found = []
        for partition, (start, _) in (await self.runtime.bus.bounds(topic)).items():
            records = await self.runtime.bus.read(topic, partition, start)
            found += [codec.decode(record) for record in records]
        return found

    async def close(self) -> None:
        await self._publisher.close()


def echo_bot() -> web.Application:
    spec = importlib.util.spec_from_file_location("echo_bot", ECHO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: web.Application = module.make_app(SECRET)
    return app


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with served(echo_bot()) as bot:
        text = CONFIG.format(folder=tmp_path, bot=f"{bot}/", secret=SECRET)
        config = loads(text, settings_of=settings_of, known_types=known_types)
        async with open_runtime(config) as runtime:
            service = RouterService(runtime)
            await service.start()
            app = web.Application()
            app.add_subapp("/api", api_routes(runtime))
            async with served(app) as url:
                it = Installation(runtime, service, f"{url}/api")
                yield it
                await it.close()
            await service.drain(5)


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession(headers={"Authorization": "Bearer token-for-tests"}) as client:
        yield client


def kinds(events: list[Event]) -> list[str]:
    return [event.type.removeprefix("omnibus.").removesuffix(".v1") for event in events]


async def test_a_message_reaches_its_queue(installation: Installation) -> None:
    await installation.says("hello")

    events = await installation.until("omnibus.queue.general", lambda events: len(events) == 2)
    assert kinds(events) == ["conversation.assigned", "control.passed"]


async def test_the_example_bot_answers_and_hands_over(installation: Installation) -> None:
    await installation.says("bot, are you there?")
    [sent] = await installation.until("omnibus.outbound.webhook", bool)
    assert sent.data.message.content.text == "You said: bot, are you there?"

    await installation.says("help", first=False)

    [assigned, *_] = await installation.until("omnibus.queue.billing", bool)
    assert assigned.data.summary == "They asked for help."
    assert assigned.data.conversation.tags == ("echoed",)


async def test_new_rules_apply_from_the_next_message_on(installation: Installation, tmp_path: Path) -> None:
    await installation.says("hello", "before")
    await installation.until("omnibus.queue.general", bool)
    text = CONFIG.format(folder=tmp_path, bot="http://127.0.0.1:9/", secret=SECRET)
    changed = text + "  - {name: all, to: queue:billing}\n"
    await installation.service.reload(loads(changed, settings_of=settings_of, known_types=known_types))

    await installation.says("hello", "after")

    [assigned, _] = await installation.until("omnibus.queue.billing", lambda events: len(events) == 2)
    assert assigned.subject == conversation_id("after")
    before, after = [event for event in await installation.on("omnibus.events") if "routing.decided" in event.type]
    assert before.data.decision.ruleset_version != after.data.decision.ruleset_version


async def test_a_new_queue_and_a_new_automation_are_taken_while_running(
    installation: Installation, tmp_path: Path
) -> None:
    bot = installation.runtime.config.automations["echo"].settings
    text = CONFIG.format(folder=tmp_path, bot=getattr(bot, "url", ""), secret=SECRET)
    changed = text.replace("billing: {}", "billing: {}, night: {}").replace(
        "routes:",
        '  closed: {type: acknowledge, texts: {en: "We are closed."}, hand_over_to: night}\n'
        'routes:\n  - {name: closed, when: "message.text == \'late\'", to: "automation:closed"}',
    )
    await installation.service.reload(loads(changed, settings_of=settings_of, known_types=known_types))

    await installation.says("late")

    [assigned, *_] = await installation.until("omnibus.queue.night", bool)
    assert assigned.data.conversation.queue == "night"
    [sent] = await installation.until("omnibus.outbound.webhook", bool)
    assert sent.data.message.content.text == "We are closed."
    assert "automation.closed" in installation.service.health()


async def test_a_reload_names_what_waits_for_a_restart(installation: Installation, tmp_path: Path) -> None:
    text = CONFIG.format(folder=tmp_path, bot="http://127.0.0.1:9/", secret=SECRET).replace("partitions: 2", "")
    with structlog.testing.capture_logs() as logs:
        await installation.service.reload(loads(text, settings_of=settings_of, known_types=known_types))

    [parts] = [line["parts"] for line in logs if "parts" in line]
    assert parts == "partitions, automations.echo"


async def test_wrong_rules_leave_the_ones_in_use(installation: Installation, tmp_path: Path) -> None:
    text = CONFIG.format(folder=tmp_path, bot="http://127.0.0.1:9/", secret=SECRET)
    wrong = text + '  - {name: all, when: "message.txt", to: queue:billing}\n'
    with pytest.raises(ConfigErrors, match=r"message\.txt"):
        await installation.service.reload(loads(wrong, settings_of=settings_of, known_types=known_types))

    await installation.says("hello")

    assert await installation.until("omnibus.queue.general", bool)


async def test_health_names_every_runner(installation: Installation) -> None:
    assert sorted(installation.service.health()) == ["automation.echo", "router"]


async def test_a_reply_over_the_api(installation: Installation, session: ClientSession) -> None:
    await installation.says("hello")
    await installation.until("omnibus.queue.general", bool)
    url = f"{installation.api}/conversations/{conversation_id('c1')}"

    for _ in range(2):
        async with session.post(
            f"{url}/commands", json={"type": "reply", "text": "hi Ana"}, headers={"Idempotency-Key": "once"}
        ) as answer:
            assert answer.status == 202
            command = (await answer.json())["command_id"]

    await installation.until("omnibus.outbound.webhook", bool)
    async with session.post(f"{url}/commands", json={"type": "resolve"}) as answer:
        assert answer.status == 202
    await installation.until("omnibus.queue.general", lambda events: "conversation.resolved" in kinds(events))
    [sent] = await installation.on("omnibus.outbound.webhook")
    assert sent.data.command_id == command
    async with session.get(url) as answer:
        assert (await answer.json())["status"] == "resolved"


async def test_conversations_are_listed_by_queue_and_status(installation: Installation, session: ClientSession) -> None:
    for name in ("a", "b", "c"):
        await installation.says("hello", name)
    await installation.until("omnibus.queue.general", lambda events: len(events) == 6)

    async def listed(query: str) -> list[str]:
        async with session.get(f"{installation.api}/conversations?{query}") as answer:
            body = await answer.json()
            assert body["complete"] is True
            return sorted(one["id"] for one in body["conversations"])

    assert await listed("queue=general&status=new") == [conversation_id(name) for name in ("a", "b", "c")]
    assert len(await listed("limit=2")) == 2
    assert await listed("queue=billing") == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("conversations/conv_nowhere/commands", b'{"type": "resolve"}', 404),
        ("conversations/conv_c1/commands", b"nonsense", 400),
        ("conversations/conv_c1/commands", b"[]", 400),
        ("conversations/conv_c1/commands", b'{"type": "explode"}', 400),
        ("conversations/conv_c1/commands", b'{"type": "reply"}', 400),
        ("conversations/conv_c1/commands", b'{"type": "reply", "content": {"type": "?"}}', 400),
        ("conversations/conv_c1/commands", b'{"type": "note", "text": 7}', 400),
        ("conversations/conv_c1/commands", b"[" * 100_000, 400),
        ("conversations/conv_c1/commands", b'{"type": "note", "text": "' + b"x" * 300_000 + b'"}', 413),
    ],
)
async def test_what_the_api_refuses(
    installation: Installation, session: ClientSession, path: str, body: bytes, status: int
) -> None:
    await installation.says("hello")
    await installation.until("omnibus.queue.general", bool)
    async with session.post(f"{installation.api}/{path}", data=body) as answer:
        assert answer.status == status
        assert set(await answer.json()) == {"error", "detail"}


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic token-for-tests", "Bearer é", "Bearer"])
async def test_the_api_wants_a_token(installation: Installation, authorization: str) -> None:
    async with (
        ClientSession() as session,
        session.get(f"{installation.api}/conversations", headers={"Authorization": authorization}) as answer,
    ):
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
