"""One mail in several mailboxes is one message; two mails with one id are two. A normalizer over the e-mail channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from normalizer.policy import Policy
from normalizer.stage import NormalizerStage, spec
from omnibus import clock
from omnibus.bus.port import Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import find
from omnibus.model.codec import Event, decode, encode_data
from omnibus.model.events import CloseThread
from omnibus.model.raw import RawEvent, encode_raw
from omnibus.testing.memory_state import MemoryBacking, run

TOPICS = Topics()
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
POLICY = Policy()


class Desk:
    """Three mailboxes, of which `help` and `sales` are one group, in front of one partition's normalizer."""

    def __init__(self) -> None:
        channel = find("email")
        self._accounts = {
            name: Account(
                name=name,
                channel=channel,
                settings=channel.settings(addresses=(f"{name}@example.com",), group=group),
                inactivity=timedelta(days=14),
            )
            for name, group in (("help", "shop"), ("sales", "shop"), ("press", "press"))
        }
        self._stage = NormalizerStage(self._accounts, TOPICS, POLICY)
        self._backing = MemoryBacking()

    def mail(self, text: str, to: str = "help", problem: str | None = None, **fields: Any) -> list[Event]:
        """What comes out when this mail reaches that mailbox."""
        account = self._accounts[to]
        raw = RawEvent(
            id="raw_1",
            channel="email",
            account=to,
            received_at=START,
            body=text.encode(),
            transport="smtp",
            scope=account.scope,
            attributes={
                "own": f"{to}@example.com",
                "rcpt_to": f"{to}@example.com",
                **({"problem": problem} if problem else {}),
            },
            **fields,
        )
        return self._step(Out(TOPICS.raw("email"), account.scope.encode(), encode_raw(raw)))

    def close(self, opened: Event, account: str, convseq: int) -> list[Event]:
        conversation = opened.data.conversation
        request = CloseThread(
            conversation_id=conversation.id,
            account=account,
            thread=conversation.thread_key,
            convseq=convseq,
            reason="inactivity",
        )
        return self._step(Out(TOPICS.control, b"", encode_data(request), ts_ms=clock.to_ms(START)))

    def _step(self, out: Out) -> list[Event]:
        specification = spec(TOPICS, ["email"], POLICY)
        result = run(self._stage, specification, _record(out), backing=self._backing, now_ms=clock.to_ms(START))
        assert not result.dead
        return [decode(_record(out)) for out in result.outs if out.topic == TOPICS.events]


def _record(out: Out) -> Record:
    return Record(out.topic, 0, 0, out.ts_ms or 0, out.key, out.value, out.headers)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def a_mail(text: str = "Where is it?", sender: str = "ana@example.org", number: str = "1", **fields: str) -> str:
    lines = {
        "From": f"Ana <{sender}>",
        "Subject": "Kettle",
        "Date": "Mon, 2 Mar 2026 09:59:00 +0000",
        "Message-ID": f"<{number}@example.org>",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items()) + f"\n{text}\n"


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.type.removeprefix("omnibus.").removesuffix(".v1") for event in events]


def message(events: Sequence[Event]) -> Any:
    [found] = [event.data.message for event in events if event.type == "omnibus.message.received.v1"]
    return found


def test_a_mail_in_a_second_mailbox_is_a_delivery_of_the_first(desk: Desk) -> None:
    first = message(desk.mail(a_mail()))
    [copy] = desk.mail(a_mail(Received="from relay.example.net", Subject="[shop] Kettle"), to="sales")

    assert kinds([copy]) == ["message.delivery"]
    assert (copy.subject, copy.data.message_id) == (first.conversation_id, first.id)
    assert (copy.data.recipient, copy.data.delivery.status) == ("sales@example.com", "received")
    assert copy.data.attributes == {"channel_account": "sales"}


def test_a_mail_that_comes_to_the_same_mailbox_again_is_told_once(desk: Desk) -> None:
    desk.mail(a_mail())
    assert len(desk.mail(a_mail(), to="sales")) == 1
    assert [desk.mail(a_mail(), to=each) for each in ("help", "sales", "help")] == [[], [], []]


def test_ids_do_not_depend_on_which_mailbox_was_first(desk: Desk) -> None:
    one, other = message(desk.mail(a_mail())), message(Desk().mail(a_mail(), to="sales"))
    assert (one.id, one.conversation_id) == (other.id, other.conversation_id)


def test_mailboxes_of_different_groups_share_nothing(desk: Desk) -> None:
    one, other = message(desk.mail(a_mail())), message(desk.mail(a_mail(), to="press"))
    assert one.id != other.id
    assert one.conversation_id != other.conversation_id


OTHERS = {
    "sender": a_mail(sender="eve@example.net"),
    "words": a_mail("Where is it?\n\n_____\nTo leave this list write to list-leave@example.net"),
    "date": a_mail(Date="Tue, 3 Mar 2026 08:00:00 +0000"),
    "subject": a_mail(Subject="SPAM? Kettle"),
}


@pytest.mark.parametrize(
    ("other", "mailbox", "joins"),
    [
        ("sender", "help", False),
        ("sender", "sales", False),
        ("words", "help", True),
        ("words", "sales", True),
        ("subject", "sales", True),
        ("date", "help", True),  # by sender and subject, as any mail of hers
        ("date", "sales", False),
    ],
)
def test_two_mails_with_one_id_are_two_messages(desk: Desk, other: str, mailbox: str, joins: bool) -> None:
    """By a list that adds its words, a faulty program, or on purpose: none is lost, and a stranger joins nobody."""
    first = message(desk.mail(a_mail()))
    second = message(desk.mail(OTHERS[other], to=mailbox))
    assert second.id != first.id
    assert second.attributes["id_of_another"] is True
    assert (second.conversation_id == first.conversation_id) is joins
    assert desk.mail(OTHERS[other], to=mailbox) == []


def test_an_answer_to_an_id_that_was_used_twice_goes_where_it_was_first(desk: Desk) -> None:
    first = message(desk.mail(a_mail()))
    desk.mail(a_mail(sender="eve@example.net"))
    answer = a_mail("And?", number="2", In_Reply_To="<1@example.org>", Subject="Re: Kettle")
    assert message(desk.mail(answer, to="sales")).conversation_id == first.conversation_id


def test_one_subject_to_two_mailboxes_is_two_matters(desk: Desk) -> None:
    """Without a reference only sender and subject are left, and they do not reach beyond the mailbox."""
    first = message(desk.mail(a_mail()))
    assert message(desk.mail(a_mail("Another", number="2"))).conversation_id == first.conversation_id
    assert message(desk.mail(a_mail("For you", number="3"), to="sales")).conversation_id != first.conversation_id


def test_a_mail_that_could_not_be_had_at_first_is_not_lost_when_another_mailbox_has_it(desk: Desk) -> None:
    header, _, _ = a_mail().partition("\n\n")
    unread = message(desk.mail(header, problem="too_large"))
    whole = message(desk.mail(a_mail(), to="sales"))
    assert (type(unread.content).__name__, whole.content.text) == ("Unsupported", "Where is it?")
    assert whole.id != unread.id


def test_a_conversation_of_a_group_is_closed_by_its_account(desk: Desk) -> None:
    events = desk.mail(a_mail())
    desk.mail(a_mail(), to="sales")
    [opened] = [event for event in events if event.type == "omnibus.conversation.opened.v1"]
    assert kinds(desk.close(opened, "help", len(events) + 1)) == ["conversation.closed"]
    follow_up = desk.mail(a_mail("Once more", number="2", References="<1@example.org>"), to="sales")
    [again] = [event for event in follow_up if event.type == "omnibus.conversation.opened.v1"]
    assert [each.id for each in again.data.conversation.related] == [opened.subject]


def test_a_copy_from_a_back_fill_is_marked_as_such(desk: Desk) -> None:
    desk.mail(a_mail())
    [copy] = desk.mail(a_mail(), to="sales", origin="backfill")
    assert (kinds([copy]), copy.origin) == (["message.delivery"], "backfill")
