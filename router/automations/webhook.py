"""`webhook`: asks a program of yours over HTTP. The contract is in ``docs/examples/bot.md``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from omnibus import clock
from omnibus.config.fields import Duration, Secret, Url, between, described
from omnibus.errors import InvalidPayload, Misconfigured
from omnibus.http import expect_ok
from omnibus.model.base import Attributes, Model
from omnibus.model.codec import rfc3339
from omnibus.model.content import Choices, Option, Text
from omnibus.model.entities import Conversation, Message
from omnibus.model.events import Reply, Resolve, Tag, Transfer
from omnibus.standard_webhooks import lenient_key, signed_headers
from router.automations.contract import Automation, AutomationSettings, AutomationTools, Command, Heard

MAX_ANSWER_BYTES = 256 * 1024
MAX_REPLIES = 5
MAX_TEXT = 10_000
MAX_RECENT = 20


class WebhookBotSettings(AutomationSettings, frozen=True, kw_only=True):
    """Settings of a `webhook` automation."""

    url: Annotated[Url, described("Where your program listens.", example="https://bot.example.com/omnibus")]
    secret: Annotated[Secret, described("Key that requests are signed with (Standard Webhooks).")]
    answer_within: Annotated[
        Annotated[Duration, between("100ms", "60s")], described("How long a request may take.", example="10s")
    ] = timedelta(seconds=10)
    allow_private: Annotated[bool, described("The program may be at a private or loopback address.")] = False


class Question(Model, frozen=True, kw_only=True, omit_defaults=False):
    """The body of the request."""

    id: str
    type: str
    time: str
    automation: str
    conversation_id: str
    conversation: Conversation | None
    message: Message | None
    recent: tuple[Message, ...]


class BotOption(msgspec.Struct, frozen=True):
    """One of the choices a reply offers."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class BotReply(msgspec.Struct, frozen=True):
    """One message to the contact."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    options: Annotated[tuple[BotOption, ...], msgspec.Meta(max_length=20)] = ()


class BotAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the answer; unknown fields are ignored."""

    replies: Annotated[tuple[BotReply, ...], msgspec.Meta(max_length=MAX_REPLIES)] = ()
    hand_over: bool | str = False
    summary: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None = None
    tags: Annotated[tuple[str, ...], msgspec.Meta(max_length=20)] = ()
    attributes: Attributes = {}
    resolve: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(BotAnswer).decode


class WebhookBot:
    """Asks, and turns the answer into commands."""

    def __init__(self, settings: WebhookBotSettings, tools: AutomationTools) -> None:
        self._settings = settings
        self._key = lenient_key(settings.secret.reveal())
        self._tools = tools

    async def answer(self, heard: Heard) -> Sequence[Command]:
        """Raises TryAgain, Refused or InvalidPayload when there is no usable answer: the queue then takes over."""
        if heard.message is None:
            return []
        body = _encode(question_of(heard))
        headers = signed_headers([self._key], heard.event.id, clock.now_ms() // 1000, body)
        response = await self._tools.http.request(
            "POST",
            self._settings.url,
            headers={**headers, "Content-Type": "application/json"},
            body=body,
            timeout=self._settings.answer_within,
            max_response_bytes=MAX_ANSWER_BYTES,
            allow_private=self._settings.allow_private,
        )
        return self.commands_of(answer_of(expect_ok(response).body))

    def commands_of(self, answer: BotAnswer) -> list[Command]:
        """What the answer asks for, in the order it is to be done: words first, leaving last."""
        commands: list[Command] = [_reply(reply) for reply in answer.replies]
        if answer.tags or answer.attributes:
            commands.append(Tag(add=answer.tags, attributes=answer.attributes))
        if answer.hand_over:
            commands.append(Transfer(to=self._target(answer.hand_over), reason="handed over", summary=answer.summary))
        elif answer.resolve:
            commands.append(Resolve())
        return commands

    async def close(self) -> None:
        """The HTTP client is shared."""

    def _target(self, wish: bool | str) -> str:
        """Where it wants the conversation to go; its queue when there is no such place."""
        if isinstance(wish, str):
            for target in (wish, f"queue:{wish}"):
                if target in self._tools.targets:
                    return target
        return f"queue:{self._tools.hand_over_to}"


def question_of(heard: Heard) -> Question:
    """The request for what was heard."""
    return Question(
        id=heard.event.id,
        type=heard.event.type,
        time=rfc3339(heard.event.time).decode(),
        automation=heard.name,
        conversation_id=heard.conversation_id,
        conversation=heard.conversation,
        message=heard.message,
        recent=heard.recent[-MAX_RECENT:],
    )


def answer_of(body: bytes) -> BotAnswer:
    """The answer of a body; an empty one says nothing. Raises InvalidPayload."""
    if not body.strip():
        return BotAnswer()
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidPayload("bot answer", str(error)[:300]) from None


def _reply(reply: BotReply) -> Reply:
    content: Any = Text(text=reply.text)
    if reply.options:
        options = tuple(Option(id=option.id, title=option.title) for option in reply.options)
        content = Choices(text=reply.text, options=options)
    return Reply(content=content)


def check(settings: WebhookBotSettings, name: str) -> None:
    """Raises Misconfigured when the queue would take over before an answer is even late."""
    if settings.answer_within >= settings.timeout:
        raise Misconfigured(f"automations.{name}.answer_within", "must be shorter than timeout")


AUTOMATION = Automation(
    name="webhook", title="Bot over HTTP", settings=WebhookBotSettings, make=WebhookBot, check=check
)
