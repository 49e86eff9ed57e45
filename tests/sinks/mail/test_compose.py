"""The mail a ticket system gets: readable, threaded by conversation, marked as automatic."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from omnibus.model import codec
from omnibus.model.content import Attachment, AttachmentRef, Content, Email, Image, Location, Text
from omnibus.model.entities import Author, Controller
from omnibus.model.events import ConversationAssigned, MessageAttachment, MessageDeleted, MessageEdited
from sinks.mail.compose import mail_of
from sinks.mail.letter import letter_of
from sinks.mail.sink import MailSettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

Make = type["Installation"]


def settings(**more: Any) -> MailSettings:
    given = {"host": "smtp.example.com", "sender": "omnibus@example.com", "to": "tickets@example.com", **more}
    return MailSettings(**given)


def mail(event: codec.Event, files: dict[str, bytes] | None = None, **more: Any) -> EmailMessage:
    letter = letter_of(event)
    assert letter is not None
    return mail_of(event, letter, files or {}, settings(**more))


def body(of: EmailMessage) -> str:
    part = of.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").strip()


def attachment(name: str | None = "invoice.pdf", state: str = "stored", **more: Any) -> Attachment:
    given: dict[str, Any] = {
        "id": f"att_{name}",
        "mime": "application/pdf",
        "state": state,
        "file_name": name,
        "size": 12_000,
        "ref": AttachmentRef(scheme="object", uri="blob:x"),
    }
    return Attachment(**{**given, **more})


def test_a_message_becomes_a_readable_mail(make: Make) -> None:
    sent = mail(make.received(1, content=Text(text="Olá, onde está o meu pacote? 📦")))
    assert sent["From"] == "omnibus@example.com"
    assert sent["To"] == "tickets@example.com"
    assert sent["Subject"] == "[#conv_1] Conversation on fake"
    assert body(sent) == "Ana Example, fake, 2026-01-05 09:00 UTC:\n\nOlá, onde está o meu pacote? 📦"
    assert sent["Date"] == "Mon, 05 Jan 2026 09:00:00 +0000"


def test_every_mail_of_a_conversation_is_in_its_thread(make: Make) -> None:
    first, second = mail(make.received(1)), mail(make.received(2))
    assert first["Message-ID"] == "<evt_conv_1_1@example.com>"
    assert first["In-Reply-To"] == first["References"] == second["References"] == "<conv_1@example.com>"


def test_no_machine_answers_the_mail(make: Make) -> None:
    assert mail(make.received(1))["Auto-Submitted"] == "auto-generated"


def test_answers_go_where_the_settings_say(make: Make) -> None:
    sent = mail(make.received(1), reply_to="help@example.com", domain="id.example.com")
    assert sent["Reply-To"] == "help@example.com"
    assert sent["Message-ID"].endswith("@id.example.com>")


def test_a_mail_keeps_its_subject(make: Make) -> None:
    sent = mail(make.received(1, content=Email(subject="Order 77", text="Where is it?")))
    assert sent["Subject"] == "[#conv_1] Order 77"


@pytest.mark.parametrize("subject", ["a\r\nBcc: all@example.com", "a\nb", "a\x00b", "a\u2028b", "\ud800", "x" * 900])
def test_a_subject_cannot_break_the_headers(make: Make, subject: str) -> None:
    sent = mail(make.received(1, content=Email(subject=subject, text="hi")))
    assert sent["Bcc"] is None
    assert len(sent["Subject"]) <= 200
    assert sent.as_bytes().count(b"\r\nSubject:") == 1


def test_files_go_along_or_are_listed_with_the_reason(make: Make) -> None:
    files = (
        attachment("invoice.pdf"),
        attachment("film.mp4", "pending", mime="video/mp4", size=None),
        attachment("old.zip", "expired"),
        attachment("large.bin", size=99_000_000),
        attachment(None, "blocked"),
    )
    event = make.received(1, content=Text(text="Here"), attachments=files)
    sent = mail(event, {"att_invoice.pdf": b"%PDF-1.7"})
    assert body(sent).split("Attachments:\n")[1].split("\n") == [
        "- invoice.pdf (application/pdf, 12KB)",
        "- film.mp4 (video/mp4, still being fetched)",
        "- old.zip (application/pdf, 12KB, no longer available)",
        "- large.bin (application/pdf, 99MB, not attached)",
        "- attachment (application/pdf, 12KB, blocked)",
    ]
    assert [(part.get_filename(), part.get_content()) for part in sent.iter_attachments()] == [
        ("invoice.pdf", b"%PDF-1.7")
    ]


@pytest.mark.parametrize("mime", ["message/rfc822", "multipart/mixed", "nonsense", "", "text/html; x\r\ny: z", "a/b/c"])
def test_no_file_type_breaks_the_mail(make: Make, mime: str) -> None:
    file = attachment("../../etc/pass\r\nwd", mime=mime)
    sent = mail(make.received(1, attachments=(file,)), {file.id: b"Subject: no\r\n\r\n"})
    (part,) = sent.iter_attachments()
    assert part.get_content_type() in ("application/octet-stream", "text/html")
    assert "/" not in str(part.get_filename())


def test_a_new_owner_gets_the_conversation_so_far(make: Make) -> None:
    talk = make.conversation(subject="Parcel", participants=(make.identity("Ana Example"),))
    data = ConversationAssigned(
        conversation=talk,
        to=Controller(type="queue", id="billing"),
        recent=(
            make.message(1, author=Author(type="contact")),
            make.message(
                2,
                content=Text(text="She is waiting"),
                author=Author(type="agent", display_name="Bo Example"),
                visibility="internal",
                direction="internal",
                created_at=make.message().created_at + timedelta(minutes=5),
            ),
        ),
    )
    sent = mail(make.event(data, "conversation.assigned", id="evt_a"))
    assert sent["Subject"] == "[#conv_1] Parcel"
    assert body(sent) == (
        "Conversation on fake (main), now with queue billing.\n\n"
        "Ana Example <visitor-1>, fake, 2026-01-05 09:00 UTC:\n\nmessage 1\n\n"
        "Bo Example, fake, 2026-01-05 09:05 UTC (internal note):\n\nShe is waiting"
    )


def test_a_file_that_came_later_follows_in_the_thread(make: Make) -> None:
    stored = MessageAttachment(message_id="msg_1", conversation_id="conv_1", attachment=attachment())
    sent = mail(make.event(stored, "message.attachment", id="evt_f"), {"att_invoice.pdf": b"%PDF"})
    assert [part.get_filename() for part in sent.iter_attachments()] == ["invoice.pdf"]
    gone = MessageAttachment(message_id="msg_1", conversation_id="conv_1", attachment=attachment(state="expired"))
    assert letter_of(make.event(gone, "message.attachment", id="evt_g")) is None


def test_a_change_is_a_mail_and_other_kinds_are_not(make: Make) -> None:
    at = make.message().created_at
    edited = MessageEdited(
        message_id="msg_1", conversation_id="conv_1", content=Text(text="Order 78"), revision=1, edited_at=at
    )
    assert body(mail(make.event(edited, "message.edited", id="evt_e"))) == (
        "An earlier message was changed. It now says:\n\nOrder 78"
    )
    deleted = MessageDeleted(message_id="msg_1", conversation_id="conv_1", deleted_at=at)
    assert letter_of(make.event(deleted, "message.deleted", id="evt_d")) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Image(attachment_id="att_1"), "[image]"),
        (Image(attachment_id="att_1", caption="my parcel"), "my parcel"),
        (Location(lat=1.5, lon=2.5, name="Office"), "Office [1.5, 2.5]"),
        (Location(lat=1.5, lon=2.5), "[1.5, 2.5]"),
    ],
)
def test_content_without_words_says_what_it_is(make: Make, content: Content, words: str) -> None:
    assert body(mail(make.received(1, content=content))).endswith(f":\n\n{words}")


def test_the_same_event_is_the_same_mail_again(make: Make) -> None:
    assert mail(make.received(1)).as_bytes() == mail(make.received(1)).as_bytes()
