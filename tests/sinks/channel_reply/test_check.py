"""A channel's limits are checked before anything is sent, and failures are named in the one vocabulary."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from omnibus.channel.declaration import AttachmentRule, Capabilities, ReplyWindow
from omnibus.errors import Refused
from omnibus.model.content import (
    Attachment,
    AttachmentRef,
    Choices,
    Content,
    Image,
    Option,
    SingleCard,
    Template,
    Text,
)
from omnibus.model.entities import Author
from omnibus.model.events import Outbound
from sinks.channel_reply.check import LAST_INBOUND_AUTO, adapted, check, numbered

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

TEXT_ONLY = Capabilities(sends=frozenset({"text"}), max_text_chars=20)
HOUR = timedelta(hours=1)


@pytest.fixture
def outbound(make: type[Installation]) -> Any:
    def made(content: Content | None = None, *, talk: dict[str, Any] | None = None, **more: Any) -> Outbound:
        given: dict[str, Any] = {"author": Author(type="agent"), "direction": "outbound", "status": "queued", **more}
        return Outbound(
            message=make.message(1, content=content or Text(text="hello"), **given),
            conversation=make.conversation(**(talk or {})),
            recipient=make.identity(),
        )

    return made


def refusal(outbound: Outbound, capabilities: Capabilities, after: timedelta = HOUR) -> str:
    last = outbound.message.created_at
    with pytest.raises(Refused) as caught:
        check(outbound, capabilities, last + after)
    return caught.value.code


def passes(outbound: Outbound, capabilities: Capabilities, after: timedelta = HOUR) -> None:
    check(outbound, capabilities, outbound.message.created_at + after)


def attachment(mime: str, size: int | None = 10, state: str = "stored") -> Attachment:
    return Attachment(id="att_1", mime=mime, state=state, size=size, ref=AttachmentRef(scheme="object", uri="blob:x"))


def test_a_kind_the_channel_does_not_send_is_refused(outbound: Any) -> None:
    passes(outbound(), TEXT_ONLY)
    assert refusal(outbound(Image(attachment_id="att_1")), TEXT_ONLY) == "MEDIA_TYPE_UNSUPPORTED"
    assert refusal(outbound(SingleCard(items=())), TEXT_ONLY) == "UNSUPPORTED_OPERATION"
    assert refusal(outbound(), Capabilities()) == "UNSUPPORTED_OPERATION"


def test_a_text_too_long_is_refused_unless_the_sender_splits_it(outbound: Any) -> None:
    long = outbound(Text(text="x" * 21))
    assert refusal(long, TEXT_ONLY) == "UNSUPPORTED_OPERATION"
    passes(outbound(Text(text="x" * 20)), TEXT_ONLY)
    passes(long, msgspec.structs.replace(TEXT_ONLY, splits_text=True))


def test_the_most_exact_attachment_rule_decides(outbound: Any) -> None:
    capabilities = Capabilities(
        sends=frozenset({"text"}),
        attachments=(
            AttachmentRule(mime="*/*", max_bytes=100),
            AttachmentRule(mime="image/*", max_bytes=50),
            AttachmentRule(mime="image/png", max_bytes=10),
        ),
    )
    passes(outbound(attachments=(attachment("image/png", 10),)), capabilities)
    passes(outbound(attachments=(attachment("image/png", None),)), capabilities)
    passes(outbound(attachments=(attachment("IMAGE/JPEG; q=1", 50),)), capabilities)
    passes(outbound(attachments=(attachment("text/plain", 100),)), capabilities)
    assert refusal(outbound(attachments=(attachment("image/png", 11),)), capabilities) == "MEDIA_TOO_LARGE"
    assert refusal(outbound(attachments=(attachment("image/gif", 51),)), capabilities) == "MEDIA_TOO_LARGE"
    assert refusal(outbound(attachments=(attachment("video/mp4"),)), TEXT_ONLY) == "MEDIA_TYPE_UNSUPPORTED"


@pytest.mark.parametrize("state", ["expired", "blocked", "too_large"])
def test_a_file_we_do_not_have_cannot_be_sent(outbound: Any, state: str) -> None:
    capabilities = Capabilities(sends=frozenset({"text"}), attachments=(AttachmentRule(mime="*/*", max_bytes=100),))
    assert refusal(outbound(attachments=(attachment("image/png", 1, state),)), capabilities) == "MEDIA_NOT_REACHABLE"


def test_an_answer_in_public_has_no_window(outbound: Any) -> None:
    """One channel may hold direct messages, which have a window, and comments, which have none."""
    day = Capabilities(
        sends=frozenset({"text"}), reply_window=ReplyWindow(duration=timedelta(days=1), not_for=(":comment:",))
    )
    passes(outbound(talk={"thread_key": "page:comment:17"}), day, timedelta(days=2))
    assert refusal(outbound(), day, timedelta(days=2)) == "OUTSIDE_ALLOWED_SENDING_WINDOW"


def test_a_reply_after_the_window_is_refused(outbound: Any) -> None:
    day = Capabilities(sends=frozenset({"text", "template"}), reply_window=ReplyWindow(duration=timedelta(days=1)))
    passes(outbound(), day, timedelta(hours=23, minutes=59))
    assert refusal(outbound(), day, timedelta(days=1)) == "OUTSIDE_ALLOWED_SENDING_WINDOW"
    template = outbound(Template(name="hello", language="pt"))
    assert refusal(template, day, timedelta(days=2)) == "OUTSIDE_ALLOWED_SENDING_WINDOW"
    with_templates = msgspec.structs.replace(
        day, reply_window=ReplyWindow(duration=timedelta(days=1), template_after=True)
    )
    passes(template, with_templates, timedelta(days=2))


def test_the_first_word_is_the_contacts_unless_the_channel_allows_ours(outbound: Any) -> None:
    silent = outbound(talk={"last_inbound_at": None})
    assert refusal(silent, TEXT_ONLY) == "OUTSIDE_ALLOWED_SENDING_WINDOW"
    passes(silent, msgspec.structs.replace(TEXT_ONLY, outbound_first=True))


def test_machines_do_not_answer_machines(outbound: Any) -> None:
    """RFC 3834: no automatic answer to an automatic message, and none at all to a bounce."""
    away = {"attributes": {LAST_INBOUND_AUTO: "auto_reply"}}
    bounced = {"attributes": {LAST_INBOUND_AUTO: "bounce"}}
    passes(outbound(talk=away), TEXT_ONLY)
    assert refusal(outbound(talk=away, author=Author(type="bot")), TEXT_ONLY) == "DELIVERY_REJECTED_DUE_TO_POLICY"
    assert refusal(outbound(talk=away, auto_submitted="auto_reply"), TEXT_ONLY) == "DELIVERY_REJECTED_DUE_TO_POLICY"
    assert refusal(outbound(talk=bounced), TEXT_ONLY) == "DELIVERY_REJECTED_DUE_TO_POLICY"
    passes(outbound(author=Author(type="bot")), TEXT_ONLY)


def test_a_blocked_recipient_gets_nothing(outbound: Any) -> None:
    made = outbound()
    blocked = msgspec.structs.replace(made, recipient=msgspec.structs.replace(made.recipient, blocked=True))
    assert refusal(blocked, TEXT_ONLY) == "DELIVERY_REJECTED_DUE_TO_POLICY"


def test_choices_become_numbered_lines_where_the_channel_has_no_buttons(outbound: Any) -> None:
    choices = Choices(
        text="Which one?",
        options=(
            Option(id="a", title="Invoice"),
            Option(id="b", title="Parcel", description="where is it"),
            Option(id="c", title="Help", url="https://help.example.com/"),
        ),
    )
    asked = outbound(choices)
    expected = "Which one?\n\n1. Invoice\n2. Parcel – where is it\n3. Help – https://help.example.com/"
    assert adapted(asked, TEXT_ONLY).message.content == Text(text=expected)
    assert adapted(asked, Capabilities(sends=frozenset({"text", "choices"}))) is asked
    assert adapted(asked, Capabilities(sends=frozenset({"text"}), supports=frozenset({"choices"}))) is asked
    assert numbered(Choices(text="", options=(Option(id="a", title="Yes"),))) == "1. Yes"
