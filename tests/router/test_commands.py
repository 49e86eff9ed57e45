"""Commands: carried out once, or answered with a failure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from omnibus.bus.port import Record
from omnibus.model.base import Model
from omnibus.model.content import Email, Postback, System, Text
from omnibus.model.entities import Author, Controller
from omnibus.model.events import Note, Reopen, Reply, Resolve, Tag, Transfer
from router.plan import AccountPlan, Plan
from router.rehearsal import ACCOUNT, Rehearsal, a_reply


def failure(router: Rehearsal) -> tuple[str, str]:
    """Kind and code of the last event."""
    event = router.on("omnibus.events")[-1]
    code = event.data.delivery.reason.code if hasattr(event.data, "delivery") else event.data.code
    return event.type.removeprefix("omnibus.").removesuffix(".v1"), code


def test_a_reply_is_a_message_of_the_conversation_and_on_its_way(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(a_reply("hello Ana"), command_id="cmd_1")

    sent = router.on("omnibus.queue.general")[-1]
    assert sent.type == "omnibus.message.sent.v1"
    assert sent.data.command_id == "cmd_1"
    assert sent.data.message.status == "queued"
    [outbound] = router.on("omnibus.outbound.webchat")
    assert outbound.data.message == sent.data.message
    assert outbound.data.recipient.value == "ana.c1@example.com"
    assert outbound.subject == outbound.data.conversation.id


def test_a_command_that_comes_twice_is_carried_out_once(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(a_reply("hello Ana"), command_id="cmd_1")
    router.commands(a_reply("hello Ana"), command_id="cmd_1")

    assert len(router.on("omnibus.outbound.webchat")) == 1


def test_a_mail_is_answered_in_its_thread(router: Rehearsal) -> None:
    mail = Email(subject="Broken", text="It broke", message_id="a@example.com")
    router.step(router.opened(), router.received("c1", mail, native_id="a@example.com"))
    router.commands(a_reply("Sorry"))

    [outbound] = router.on("omnibus.outbound.webchat")
    assert outbound.data.message.in_reply_to.native_id == "a@example.com"


def test_a_chat_message_quotes_only_what_it_is_told_to(router: Rehearsal) -> None:
    router.says("one", native_id="n-one")
    one = router.on("omnibus.queue.general")[0].data.recent[0].id
    router.says("two")
    router.commands(a_reply("plain"))
    router.commands(Reply(content=Text(text="to the first"), in_reply_to=one))

    plain, quoting = router.on("omnibus.outbound.webchat")
    assert plain.data.message.in_reply_to is None
    assert quoting.data.message.in_reply_to.native_id == "n-one"


def test_a_note_never_leaves(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(Note(text="a regular"))

    note = router.on("omnibus.queue.general")[-1].data.message
    assert (note.visibility, note.direction) == ("internal", "internal")
    assert not router.on("omnibus.outbound.webchat")
    assert router.conversation().last_outbound_at is None


def test_resolve_and_reopen(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(Resolve())
    assert router.conversation().resolved_at is not None

    router.commands(Reopen())

    conversation = router.conversation()
    assert (conversation.status, conversation.resolved_at, conversation.reopen_count) == ("open", None, 1)
    assert router.on("omnibus.queue.general")[-1].data.reason == "command"


def test_tags_priority_and_attributes(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(Tag(add=("vip", "late"), priority="high", attributes={"order": 42}))
    router.commands(Tag(remove=("late",)))

    conversation = router.conversation()
    assert (conversation.tags, conversation.priority, conversation.attributes) == (("vip",), "high", {"order": 42})
    updated = [e.data.changed for e in router.on("omnibus.queue.general") if e.type.endswith("updated.v1")]
    assert updated == [("tags", "priority", "attributes"), ("tags",)]


@pytest.mark.parametrize("command", [a_reply("hello"), Note(text="x"), Resolve(), Transfer(to="queue:billing"), Tag()])
def test_nothing_can_be_done_with_a_closed_conversation(router: Rehearsal, command: Model) -> None:
    router.says("hi")
    router.step(router.closed())
    router.commands(command)

    kind = "message.delivery" if isinstance(command, Reply) else "sink.failed"
    assert failure(router) == (kind, "CONVERSATION_CLOSED")


@pytest.mark.parametrize("command", [a_reply("hello"), Resolve()])
def test_a_command_for_no_conversation_is_answered(router: Rehearsal, command: Model) -> None:
    router.commands(command, "nowhere")

    assert failure(router)[1] == "CONVERSATION_UNKNOWN"


@pytest.mark.parametrize("target", ["queue:bling", "automation:oracle", "billing", "drop", ""])
def test_a_transfer_to_nowhere_is_answered(router: Rehearsal, target: str) -> None:
    router.says("hi")
    router.commands(Transfer(to=target))

    assert failure(router) == ("sink.failed", "UNKNOWN_TARGET")
    assert router.conversation().controller == Controller(type="queue", id="general")


@pytest.mark.parametrize("content", [Postback(payload="x"), System(code="joined")])
def test_what_cannot_be_said_is_refused(router: Rehearsal, content: Postback | System) -> None:
    router.says("hi")
    router.commands(Reply(content=content))

    assert failure(router) == ("message.delivery", "UNSUPPORTED_OPERATION")


def test_a_channel_that_only_receives_takes_no_reply(plan: Callable[..., Plan]) -> None:
    router = Rehearsal(plan(accounts={ACCOUNT: AccountPlan(sends=frozenset())}))
    router.says("hi")
    router.commands(a_reply("hello"))

    assert failure(router) == ("message.delivery", "UNSUPPORTED_OPERATION")


@pytest.mark.parametrize("accounts", [{}, {"another": AccountPlan()}, {ACCOUNT: AccountPlan(channel="email")}])
def test_a_reply_through_an_account_that_was_removed_is_answered(
    plan: Callable[..., Plan], accounts: dict[str, AccountPlan]
) -> None:
    """Its outbound topic may never have been made: the partition must not stop at it."""
    router = Rehearsal(plan(accounts=accounts))
    router.says("hi")
    router.commands(a_reply("hello"))

    assert failure(router) == ("message.delivery", "CHANNEL_BAD_CONFIGURATION")


def test_an_unreadable_command_is_answered_and_kept(router: Rehearsal) -> None:
    router.says("hi")
    good = router.command(Note(text="x", author=Author(type="agent")))
    router.step(Record(good.topic, 0, 7, 0, good.key, b'{"text": 7}', good.headers))

    assert failure(router) == ("sink.failed", "INVALID_COMMAND")
    assert len(router.dead) == 1


def test_a_failed_reply_and_a_good_one_have_the_ids_their_commands_give_them(router: Rehearsal) -> None:
    """A ticket system matches the outcome to the comment it came from."""
    router.says("hi")
    router.commands(Reply(content=Postback(payload="x")), command_id="cmd_bad")

    failed = router.on("omnibus.queue.general")[-1].data
    assert failed.command_id == "cmd_bad"
    assert msgspec.json.encode(failed)
