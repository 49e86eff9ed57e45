"""Replies leave through their channel's sender, and what came of each comes back as a fact."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from omnibus import clock
from omnibus.bus.port import Out
from omnibus.channel.declaration import Account, Capabilities, Channel
from omnibus.channel.send import SenderTools, Sent
from omnibus.clock import ManualClock
from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.model import codec
from omnibus.model.content import Choices, Option, Text
from omnibus.model.entities import Author
from omnibus.model.events import OUTBOUND, ROUTER, Outbound
from sinks.channel_reply.handler import ReplyHandler
from sinks.channel_reply.sink import ReplySettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

MODULE = "a_channel_for_tests"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in for an account's settings: what its provider does, and what it was sent."""

    answers: list[Exception | Sent] = []
    sent: list[Outbound] = []
    closed: list[str] = []
    gate: asyncio.Event | None = None
    most: list[int] = []


class FakeSender:
    def __init__(self, tools: SenderTools) -> None:
        self._provider: Provider = tools.account.settings
        self._running = 0

    async def send(self, outbound: Outbound) -> Sent:
        self._running += 1
        self._provider.most.append(self._running)
        try:
            if self._provider.gate is not None:
                await self._provider.gate.wait()
            self._provider.sent.append(outbound)
            answer = self._provider.answers.pop(0) if self._provider.answers else sent(outbound)
        finally:
            self._running -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self._provider.closed.append("closed")


def sent(outbound: Outbound) -> Sent:
    return Sent(native_ids=(f"native-{outbound.message.id}",))


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    made = ModuleType(MODULE)
    made.FakeSender = FakeSender  # type: ignore[attr-defined]  # a module made here has no declared names
    sys.modules[MODULE] = made
    yield
    del sys.modules[MODULE]


def account(name: str = "main", send: str | None = f"{MODULE}:FakeSender", **more: Any) -> Account:
    channel = Channel(
        name="fake",
        title="Fake",
        docs="https://example.com/",
        settings=Provider,
        capabilities=Capabilities(sends=frozenset({"text"}), max_text_chars=100),
        emits=frozenset(),
        map=lambda _raw: (),
        threads=lambda _raw: (),
        receive={},
        send=send,
        package="omnibus",
    )
    return Account(name=name, channel=channel, settings=Provider(**more), inactivity=timedelta(days=1))


def outbound(make: Installation, number: int = 1, talk: str = "conv_1", **more: Any) -> codec.Event:
    given: dict[str, Any] = {
        "author": Author(type="agent"),
        "direction": "outbound",
        "status": "queued",
        "created_at": clock.now(),
        **more,
    }
    data = Outbound(
        message=make.message(number, talk, **given),
        conversation=make.conversation(talk, last_inbound_at=clock.now()),
        recipient=make.identity(),
        command_id=f"cmd_{number}",
    )
    return make.event(data, "message.outbound", id=f"evt_{talk}_{number}", subject=talk, source=ROUTER)


async def publish(installation: Installation, *events: codec.Event) -> None:
    await installation.publish(*events, topic=installation.topics.outbound("fake"))


def handler(installation: Installation, **settings: Any) -> ReplyHandler:
    return ReplyHandler(installation.runtime(""), "fake", ReplySettings(**settings))


async def deliver(to: ReplyHandler, installation: Installation, event: codec.Event, offset: int = 0) -> list[Out]:
    return list(
        await to.deliver([installation.record(codec.encode(event, installation.topics.outbound("fake")), offset)])
    )


def delivery(installation: Installation, out: Out) -> codec.Event:
    return codec.decode(installation.record(out))


async def test_a_reply_is_sent_and_reported(installation: Installation) -> None:
    installation.accounts["main"] = main = account()
    async with installation.sinks(""):
        await publish(installation, outbound(installation))
        (report,) = await installation.outcomes("message.delivery")
    assert [one.message.content for one in main.settings.sent] == [Text(text="message 1")]
    assert report.subject == "conv_1"
    data = report.data
    assert (data.message_id, data.native_id, data.command_id) == ("msg_conv_1_1", "native-msg_conv_1_1", "cmd_1")
    assert (data.delivery.status, data.delivery.external_ids) == ("sent", ("native-msg_conv_1_1",))
    assert data.delivery.final is False
    assert main.settings.closed == ["closed"]


async def test_what_the_sender_adds_is_written_with_the_report(installation: Installation) -> None:
    note = Out(topic="omnibus.events", key=b"conv_1", value=b"{}")
    installation.accounts["main"] = account(answers=[Sent(native_ids=("n1",), also=(note,))])
    outs = await deliver(handler(installation), installation, outbound(installation))
    assert outs[1:] == [note]


async def test_a_refusal_is_a_failed_delivery(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[Refused("MEDIA_TOO_LARGE", "no", native_code="131053")])
    (out,) = await deliver(handler(installation), installation, outbound(installation))
    state = delivery(installation, out).data.delivery
    assert (state.status, state.final) == ("failed", True)
    assert (state.reason.code, state.reason.native_code) == ("MEDIA_TOO_LARGE", "131053")


async def test_a_recipient_who_is_gone_is_named(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[RecipientGone("blocked the bot")])
    (out,) = await deliver(handler(installation), installation, outbound(installation))
    data = delivery(installation, out).data
    assert (data.delivery.reason.code, data.recipient, data.delivery.final) == (
        "RECIPIENT_NOT_REACHABLE",
        "visitor-1",
        True,
    )


async def test_nothing_is_sent_that_the_channel_would_refuse(installation: Installation) -> None:
    installation.accounts["main"] = main = account()
    (out,) = await deliver(handler(installation), installation, outbound(installation, content=Text(text="x" * 101)))
    assert delivery(installation, out).data.delivery.reason.code == "UNSUPPORTED_OPERATION"
    assert main.settings.sent == []


async def test_choices_arrive_as_text_where_there_are_no_buttons(installation: Installation) -> None:
    installation.accounts["main"] = main = account()
    question = Choices(text="Which?", options=(Option(id="a", title="This"), Option(id="b", title="That")))
    await deliver(handler(installation), installation, outbound(installation, content=question))
    assert main.settings.sent[0].message.content == Text(text="Which?\n\n1. This\n2. That")


@pytest.mark.parametrize("known", [{}, {"main": None}])
async def test_an_account_that_cannot_send_fails_the_reply(installation: Installation, known: dict[str, None]) -> None:
    for name in known:
        installation.accounts[name] = account(name, send=None)
    (out,) = await deliver(handler(installation), installation, outbound(installation))
    expected = "UNSUPPORTED_OPERATION" if known else "CHANNEL_BAD_CONFIGURATION"
    assert delivery(installation, out).data.delivery.reason.code == expected


async def test_a_passing_fault_is_tried_again_and_counted(installation: Installation) -> None:
    installation.accounts["main"] = main = account(answers=[TryAgain("busy", after=timedelta(milliseconds=1))])
    async with installation.sinks(""):
        await publish(installation, outbound(installation))
        (report,) = await installation.outcomes("message.delivery")
    assert len(main.settings.sent) == 2
    assert (report.data.delivery.status, report.data.delivery.attempts) == ("sent", 2)


async def test_a_reply_that_waited_too_long_has_failed(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[TryAgain("busy"), TryAgain("busy", after=timedelta(days=1))])
    to, moved = handler(installation, give_up_after=timedelta(hours=1)), ManualClock()
    with clock.use(moved):
        reply = outbound(installation)
        with pytest.raises(TryAgain):
            await deliver(to, installation, reply)
        moved.advance(timedelta(minutes=59))
        with pytest.raises(TryAgain) as caught:
            await deliver(to, installation, reply)
        assert caught.value.after == timedelta(minutes=1)  # no longer than it still has
        moved.advance(timedelta(minutes=1))
        main = installation.accounts["main"].settings
        main.answers.append(TryAgain("busy"))
        (out,) = await deliver(to, installation, reply)
    state = delivery(installation, out).data.delivery
    assert (state.reason.code, state.attempts) == ("DELIVERY_TIMED_OUT", 3)


async def test_an_account_with_a_bad_token_rests_and_the_others_go_on(installation: Installation) -> None:
    bad = account("bad", answers=[Misconfigured("access_token", "expired")])
    installation.accounts.update({"bad": bad, "good": account("good")})
    async with installation.sinks("") as service:
        await publish(installation, outbound(installation, 1, "conv_bad", channel_account_id="bad"))
        name = "sink.channel_reply.fake"

        async def reason() -> str:
            return installation.reason_of(service.health(), name)

        assert "bad: access_token: expired" in await installation.until(reason, bool)
        await publish(
            installation,
            outbound(installation, 2, "conv_bad_2", channel_account_id="bad"),
            outbound(installation, 3, "conv_good", channel_account_id="good"),
        )
        (report,) = await installation.outcomes("message.delivery")
        assert report.subject == "conv_good"
        assert service.health()[name].ready
    assert len(bad.settings.sent) == 1


async def test_an_account_whose_token_was_renewed_works_again(installation: Installation) -> None:
    bad = account(answers=[Misconfigured("access_token", "expired")])
    installation.accounts["main"] = bad
    to, moved = handler(installation), ManualClock()
    with clock.use(moved):
        reply, other = outbound(installation, 1), outbound(installation, 2)
        for one in (reply, other):
            with pytest.raises(TryAgain) as caught:
                await deliver(to, installation, one)
            assert caught.value.after == timedelta(minutes=5)
        assert str(to.trouble) == "main: access_token: expired"
        moved.advance(timedelta(minutes=5))
        (out,) = await deliver(to, installation, reply)
    assert delivery(installation, out).data.delivery.status == "sent"
    assert to.trouble is None
    assert len(bad.settings.sent) == 2


async def test_a_reply_that_waited_for_the_operator_says_so(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[Misconfigured("access_token", "expired")])
    to, moved = handler(installation), ManualClock()
    with clock.use(moved):
        reply = outbound(installation)
        moved.advance(timedelta(hours=7))
        (out,) = await deliver(to, installation, reply)
    reason = delivery(installation, out).data.delivery.reason
    assert (reason.code, reason.description) == ("CHANNEL_BAD_CONFIGURATION", "access_token: expired")


async def test_a_message_that_was_sent_is_not_sent_again_by_this_process(installation: Installation) -> None:
    """The commit of the report failed: the record comes again, the report is the same, the provider sees nothing."""
    installation.accounts["main"] = main = account()
    to = handler(installation)
    (first,) = await deliver(to, installation, outbound(installation))
    (second,) = await deliver(to, installation, outbound(installation))
    assert delivery(installation, first).id == delivery(installation, second).id
    assert len(main.settings.sent) == 1


async def test_a_bug_in_a_sender_is_told_to_both_sides(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[ZeroDivisionError("oops")])
    report, letter = await deliver(handler(installation), installation, outbound(installation))
    assert delivery(installation, report).data.delivery.reason.code == "CHANNEL_FAILURE"
    assert letter.topic == installation.topics.dead_letters
    assert b"ZeroDivisionError" in dict(letter.headers)["dead_traceback"]


async def test_an_account_sends_only_so_many_at_once(installation: Installation) -> None:
    gate = asyncio.Event()
    installation.accounts["main"] = main = account(gate=gate)
    to = handler(installation, concurrency_per_account=2)
    calls = [
        asyncio.create_task(deliver(to, installation, outbound(installation, number, f"conv_{number}"), number))
        for number in range(6)
    ]

    async def running() -> list[int]:
        return list(main.settings.most)

    await installation.until(running, lambda most: len(most) == 2)
    gate.set()
    await asyncio.gather(*calls)
    assert max(main.settings.most) == 2
    assert len(main.settings.sent) == 6


async def test_replies_of_a_conversation_leave_in_order(installation: Installation) -> None:
    installation.accounts["main"] = main = account(answers=[TryAgain("busy", after=timedelta(milliseconds=1))])
    async with installation.sinks(""):
        await publish(installation, *(outbound(installation, number) for number in (1, 2, 3)))
        await installation.outcomes("message.delivery", 3)
    assert [one.message.id for one in main.settings.sent] == [
        "msg_conv_1_1",
        "msg_conv_1_1",
        "msg_conv_1_2",
        "msg_conv_1_3",
    ]


async def test_something_else_on_the_topic_is_a_dead_letter(installation: Installation) -> None:
    installation.accounts["main"] = account()
    async with installation.sinks(""):
        await publish(installation, installation.received(1))
        (letter,) = await installation.dead_letters()
    assert letter.header("dead_error") == b"InvalidPayload"


async def test_the_settings_of_replies_can_be_configured_without_inputs(installation: Installation) -> None:
    installation.accounts["main"] = account(answers=[TryAgain("busy")])
    async with installation.sinks("sinks: {replies: {type: channel_reply, give_up_after: 0s}}"):
        await publish(installation, outbound(installation))
        (report,) = await installation.outcomes("message.delivery")
    assert report.data.delivery.reason.code == "DELIVERY_TIMED_OUT"


def test_the_type_on_the_topic_is_the_models() -> None:
    assert OUTBOUND == "omnibus.message.outbound.v1"
