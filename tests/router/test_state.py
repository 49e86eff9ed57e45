"""A conversation's entry stays small, whatever arrives."""

from __future__ import annotations

from typing import Any

import pytest

from omnibus.model.content import ContactCard, Content, Email, FormField, FormResponse, Image, MailAddress, Text
from omnibus.model.entities import Author
from omnibus.model.events import Note, Reply, Tag, Transfer
from router.rehearsal import Rehearsal, a_reply
from router.state import MAX_RECENT

BIG = "x" * 200_000
MANY = tuple(MailAddress(address=f"{n}@example.com") for n in range(5_000))


@pytest.mark.parametrize(
    "content",
    [
        Text(text=BIG),
        Email(
            subject="s",
            text=BIG,
            headers={"h": BIG},
            cc=tuple(MailAddress(address=f"{n}@example.com") for n in range(5_000)),
        ),
        Image(attachment_id="att_1", caption=BIG),
        ContactCard(vcards=(BIG,)),
        FormResponse(fields=tuple(FormField(name=f"f{n}", value=BIG[:1_000]) for n in range(150))),
    ],
    ids=lambda content: str(content.__struct_config__.tag),
)
def test_recent_messages_are_few_and_small(router: Rehearsal, content: Content) -> None:
    router.step(router.opened(), *(router.received("c1", content) for _ in range(MAX_RECENT + 10)))

    [entry] = [value for _, value in router.backing.scan(b"\x10", b"\x11", 10)]
    assert len(entry) < MAX_RECENT * 17_000
    assert max(len(out.value or b"") for out in router.written) < 900_000


def test_a_display_name_of_a_hundred_thousand_letters(router: Rehearsal) -> None:
    router.says("hi", author=Author(type="contact", display_name=BIG))
    router.says("again")

    [entry] = [value for _, value in router.backing.scan(b"\x10", b"\x11", 10)]
    assert len(entry) < 20_000


def test_a_message_nearly_too_large_for_a_record_is_handed_over_cut(router: Rehearsal) -> None:
    """A record that the topic does not take would stop the partition for everybody."""
    router.says("x" * 900_000)

    assert max(len(out.value or b"") for out in router.written) < 100_000


@pytest.mark.parametrize(
    "command",
    [
        a_reply("x" * 400_000),
        Note(text="x" * 400_000),
        Tag(add=("x" * 101,)),
        Tag(add=tuple(f"t{n}" for n in range(51))),
        Tag(attributes={"a": "x" * 5_000}),
        Tag(priority="extreme"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_commands_of_any_size_are_answered(router: Rehearsal, command: Any) -> None:
    router.says("hi")
    router.commands(command)

    failed = router.on("omnibus.events")[-1].data
    code = failed.delivery.reason.code if isinstance(command, Reply) else failed.code
    assert code == "INVALID_COMMAND"


def test_a_long_reason_is_cut(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(Transfer(to="queue:billing", reason="r" * 5_000, summary="s" * 50_000))

    [assigned, passed] = router.on("omnibus.queue.billing")
    assert (len(assigned.data.summary), len(passed.data.reason)) == (10_000, 500)
