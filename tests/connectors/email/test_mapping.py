"""What a mail becomes: who wrote it, in which thread, and whether a person did. Whole shapes are in the fixtures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.addressing import conversation_in_address, mint_message_id, minted, reply_address, without_tag
from connectors.email.mail import MAX_TEXT
from connectors.email.mapping import LARGE, MAX_FILES, map_mail
from connectors.email.threads import bare_subject
from omnibus.channel.events import AnyEvent, Delivery, Message, from_json, to_json
from omnibus.model.content import Email
from omnibus.model.raw import RawEvent

MessageOf = Callable[..., Message]
Mapped = Callable[..., list[AnyEvent]]

CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
OURS = "omb.msg_fedcba9876543210fedcba9876543210.0123456789abcdef0123456789abcdef@example.com"


def email_of(message: Message) -> Email:
    assert isinstance(message.content, Email)
    return message.content


# -- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ("From: Ana <Ana@Example.org>", "ana@example.org"),
        ("From: ana@example.org\nReply-To: ana@example.net", "ana@example.net"),
        ("From: help@example.com\nReply-To: ana@example.net", "ana@example.net"),
        ("From: ana@example.org\nReply-To: help@example.com", "ana@example.org"),
        ("From: ana@example.org\nReply-To: a@example.net, b@example.net", "ana@example.org"),
        ("From: ana@example.org\nReply-To: list@example.net\nList-Id: <x>", "ana@example.org"),
        ("Sender: bob@example.org", "bob@example.org"),
        ("Subject: nobody", "ana@example.org"),
    ],
)
def test_the_person_is_who_should_be_answered(message_of: MessageOf, headers: str, who: str) -> None:
    sender = message_of(f"{headers}\n\nx").sender
    assert (sender.scheme, sender.normalized) == ("email", who)


def test_a_mail_from_nobody_has_a_stranger(message_of: MessageOf) -> None:
    sender = message_of("Subject: x\n\nx", mail_from="").sender
    assert (sender.scheme, sender.value) == ("opaque", "no-sender@unknown")


def test_others_who_got_it_take_part_and_we_do_not(message_of: MessageOf) -> None:
    to = "help@example.com, Help+c-0123456789abcdef0123456789abcdef@example.com, Bob <bob@example.net>, ana@example.org"
    message = message_of(f"From: ana@example.org\nTo: {to}\nCc: bob@example.net, Carl <carl@example.net>\n\nx")
    assert [each.value for each in message.participants] == ["bob@example.net", "carl@example.net"]


def test_our_own_mail_is_known_by_its_mark_and_its_sender_together(message_of: MessageOf) -> None:
    ours = f"From: help@example.com\nMessage-ID: <{OURS}>\n\nx"
    forged = f"From: eve@example.net\nMessage-ID: <{OURS}>\nX-Omnibus-Origin: msg_1\n\nx"
    unmarked = "From: help@example.com\nMessage-ID: <1@example.com>\n\nx"

    assert message_of(ours).own
    assert not message_of(forged).own
    assert (message_of(unmarked).own, message_of(unmarked).auto_submitted) == (False, "auto_generated")


# -- when and which ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Mon, 4 May 2026 10:29:41 +0100", datetime(2026, 5, 4, 9, 29, 41, tzinfo=UTC)),
        ("Tue, 4 May 2027 10:29:41 +0100", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
        ("Thu, 1 Jan 1970 00:00:00 +0000", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
        ("sometime", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
        ("Mon, 4 May 99999 10:29:41 +0100", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_senders_clock_is_believed_within_reason(message_of: MessageOf, date: str, at: datetime) -> None:
    assert message_of(f"Date: {date}\n\nx").at == at


def test_a_mail_without_message_id_is_known_by_its_bytes(message_of: MessageOf) -> None:
    one, other = message_of("From: a@example.org\n\nx"), message_of("From: a@example.org\n\ny")
    assert str(one.native_id).startswith("sha256:")
    assert one.native_id != other.native_id
    assert one.names == ()


# -- threads ----------------------------------------------------------------------------------------------------------


def test_links_are_best_first(message_of: MessageOf) -> None:
    message = message_of(
        f"From: a@example.org\nIn-Reply-To: <{OURS}>\nReferences: <root@example.org> <two@example.org>\n\nx",
        rcpt_to="help+c-ffffffffffffffffffffffffffffffff@example.com",
    )
    assert message.links == (
        "c:conv_ffffffffffffffffffffffffffffffff",
        f"c:{CONVERSATION}",
        f"m:{OURS}",
        "m:two@example.org",
        "m:root@example.org",
    )


def test_an_endless_thread_keeps_its_newest_and_oldest_references(message_of: MessageOf) -> None:
    references = " ".join(f"<{number}@example.org>" for number in range(500))
    links = message_of(f"References: {references}\n\nx").links
    assert len(links) == 40
    assert (links[0], links[-1]) == ("m:499@example.org", "m:0@example.org")


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("Re: Fwd: RE: Kettle", "Kettle"),
        ("AW: WG: Kessel", "Kessel"),
        ("RES: ENC: Chaleira", "Chaleira"),
        ("Re[2]: Kettle", "Kettle"),
        ("[list] Re: [list] Kettle", "Kettle"),
        ("回复：水壶", "水壶"),
        ("Automatic reply: Re: Kettle", "Kettle"),
        ("Regarding: Kettle", "Regarding: Kettle"),
        ("Re:" * 1_000, "Re:" * 313 + "R"),
    ],
)
def test_a_subject_without_its_prefixes(subject: str, bare: str) -> None:
    assert bare_subject(subject) == bare


def test_a_subject_links_weakly_and_only_when_it_says_something(message_of: MessageOf) -> None:
    assert message_of("Subject: Re: My Kettle\n\nx").weak_link == "s:my kettle"
    assert message_of("Subject: Re: Hi\n\nx").weak_link is None
    assert message_of("Subject: My Kettle\nList-Id: <x>\n\nx").weak_link is None


def test_reply_addresses_and_message_ids_carry_the_conversation() -> None:
    address = reply_address("help@example.com", CONVERSATION)
    assert address is not None
    assert conversation_in_address(address.upper()) == CONVERSATION
    assert without_tag(address) == "help@example.com"
    assert minted(mint_message_id("msg_" + "a" * 32, CONVERSATION, "example.com")) == ("msg_" + "a" * 32, CONVERSATION)
    assert reply_address("x" * 60 + "@example.com", CONVERSATION) is None
    assert reply_address("help@example.com", "another-id") is None
    assert minted("omb.msg_1.2@example.com") is None


# -- automatic mail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "mail_from", "kind"),
    [
        ("From: a@example.org", "a@example.org", "no"),
        ("From: a@example.org\nAuto-Submitted: no", "a@example.org", "no"),
        ("From: a@example.org\nAuto-Submitted: auto-replied (vacation)", "a@example.org", "auto_reply"),
        ("From: a@example.org\nAuto-Submitted: auto-generated", "a@example.org", "auto_generated"),
        ("From: a@example.org\nX-Autoreply: yes", "a@example.org", "auto_reply"),
        ("From: a@example.org\nPrecedence: bulk", "a@example.org", "bulk"),
        ("From: a@example.org\nPrecedence: bulk\nSubject: Out of office", "a@example.org", "auto_reply"),
        ("From: a@example.org\nList-Unsubscribe: <https://example.org>", "a@example.org", "bulk"),
        ("From: MAILER-DAEMON@example.org", "", "bounce"),
        ("From: a@example.org", "", "auto_generated"),
        ("From: a@example.org\nSubject: Resposta automática: x", "a@example.org", "auto_reply"),
        ("From: a@example.org\nSubject: Abwesenheitsnotiz: x", "a@example.org", "auto_reply"),
        ("From: a@example.org\nX-Auto-Response-Suppress: All", "a@example.org", "auto_generated"),
        ("From: a@example.org\nX-Auto-Response-Suppress: All\nIn-Reply-To: <1@x>", "a@example.org", "no"),
    ],
)
def test_robots_are_told_from_people(message_of: MessageOf, headers: str, mail_from: str, kind: str) -> None:
    message = message_of(f"{headers}\n\nx", mail_from=mail_from)
    assert message.auto_submitted == kind
    assert ("auto_submitted_by" in message.attributes) == (kind != "no")


# -- bounces ----------------------------------------------------------------------------------------------------------

QMAIL = f"""From: MAILER-DAEMON@mx.example.org
To: help@example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.

<ana@example.org>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 user unknown

<bob@example.org>:
192.0.2.7 failed after I sent the message.
Remote host said: 552 5.2.2 mailbox full

--- Below this line is a copy of the message.

Return-Path: <help@example.com>
Message-ID: <{OURS}>
To: ana@example.org, bob@example.org
"""


def test_a_bounce_in_words_reports_on_each_recipient(mapped: Mapped) -> None:
    events = [event for event in mapped(QMAIL, mail_from="") if isinstance(event, Delivery)]
    assert [(event.recipient, event.reason.native_code if event.reason else None) for event in events] == [
        ("ana@example.org", "5.1.1"),
        ("bob@example.org", "5.2.2"),
    ]
    assert {(event.target, event.status, event.links[0]) for event in events} == {(OURS, "failed", f"c:{CONVERSATION}")}


def test_a_bounce_that_names_nothing_of_ours_stays_a_message(message_of: MessageOf) -> None:
    message = message_of(QMAIL.replace(OURS, "1@desktop.example.net"), mail_from="")
    assert message.auto_submitted == "bounce"
    assert "m:1@desktop.example.net" in message.links


@pytest.mark.parametrize(
    "words",
    [
        "Subject: Delivery failed\n\nYou were unable to deliver my kettle. The courier said no such user.",
        "Subject: Order not delivered\n\nMy parcel was rejected. Original message: see below",
        f"Subject: Re: Delivery problem\nIn-Reply-To: <{OURS}>\n\nIt could not be delivered again.",
    ],
)
def test_a_complaint_about_a_delivery_is_no_bounce(message_of: MessageOf, words: str) -> None:
    """Shops' customers use the words of mail servers."""
    assert message_of(f"From: Ana <ana@example.org>\n{words}").auto_submitted == "no"


def test_a_forwarded_bounce_is_a_persons_message(message_of: MessageOf) -> None:
    mail = (
        "From: ana@example.org\nSubject: what is this?\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nlook\n"
        "--a\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
        "Final-Recipient: rfc822; b@example.org\nAction: failed\nStatus: 5.1.1\n--a--\n"
    )
    assert message_of(mail).auto_submitted == "no"


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_text_without_end_is_cut_and_says_so(message_of: MessageOf) -> None:
    message = message_of("From: a@example.org\n\n" + "long line\n" * 30_000)
    assert len(email_of(message).text) == MAX_TEXT
    assert message.attributes["text_cut"] is True


def test_files_are_counted_and_the_rest_is_told(message_of: MessageOf) -> None:
    part = "--a\nContent-Type: application/pdf\n\nx\n"
    message = message_of(f"Content-Type: multipart/mixed; boundary=a\n\n{part * (MAX_FILES + 5)}--a--")
    assert len(message.attachments) == MAX_FILES
    assert message.attributes["files_not_shown"] == 5


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\\temp\\a.pdf", "a.pdf"),
        ("a\u0000b\u202e.pdf", "ab.pdf"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_file_name_is_only_a_name(message_of: MessageOf, name: str, kept: str) -> None:
    part = f'Content-Disposition: attachment; filename="{name}"\n\nx'
    assert (
        message_of(f"Content-Type: multipart/mixed; boundary=a\n\n--a\n{part}\n--a--").attachments[0].file_name == kept
    )


PIECES = st.sampled_from(
    [
        "From: a@b.example\n",
        "Reply-To: ",
        "Message-ID: <",
        OURS,
        ">\n",
        "Subject: Re: \n",
        "Auto-Submitted: x\n",
        "\n",
        "x",
        "Content-Type: multipart/report; boundary=a\n",
        "--a\n",
        "Content-Type: message/delivery-status\n",
        "Status: 5.1.1\n",
        "Final-Recipient: rfc822; a@b.example\n",
        "Action: failed\n",
        "--a--\n",
        "\ud800",
        "\0",
        "é",
        "Date: x\n",
        "Thread-Index: AQ\n",
    ]
)


# What TMDA sends, and services of its kind (https://en.wikipedia.org/wiki/Challenge-response_spam_filtering).
TMDA_TEXT = (
    "This message was created automatically by mail delivery software (TMDA).\n\n"
    "Your message attached below is being held because the address\n<help@example.com> has not been verified.\n\n"
    "To release your message for delivery, please send an empty message to the following address.\n"
)
CHALLENGES = {
    "field": "X-Delivery-Agent: TMDA/1.1.12\nSubject: Hello\n\nx",
    "address": "Reply-To: ana-confirm-accept.1042.5e3f.a1b2c3@example.org\nSubject: Hello\n\nx",
    "english": f"Subject: Please confirm your message\n\n{TMDA_TEXT}",
    "pt": "Subject: Confirmação de envio de mensagem\n\nSua mensagem está retida até que o remetente confirme o envio.",
    "es": "Subject: Confirme su mensaje\n\nSu mensaje fue retenido hasta que confirme que es una persona.",
    "fr": "Subject: Confirmez votre message\n\nVotre message est retenu tant que vous ne confirmez pas.",
    "de": "Subject: Bitte bestätigen Sie Ihre E-Mail\n\nIhre Nachricht wird erst zugestellt, wenn Sie klicken.",
}


@pytest.mark.parametrize("mail", CHALLENGES.values(), ids=CHALLENGES)
def test_a_robot_that_asks_for_a_person_is_not_answered(message_of: MessageOf, mail: str) -> None:
    message = message_of(f"From: ana@example.org\n{mail}")
    assert message.auto_submitted == "auto_reply"
    assert str(message.attributes["auto_submitted_by"]).startswith("challenge-response")


@pytest.mark.parametrize(
    "mail",
    [
        "Subject: Please confirm your delivery\n\nHi, when will you deliver the kettle? Please confirm.",
        "Subject: Action required\n\nOur order has not arrived. Please verify the address.",
        "Subject: Kettle\n\nMy mail was held because your server has not been verified.",
        "Subject: Waiting list\n\nPlease put me on the list for the new kettle.",
        "Reply-To: ana-confirm@example.org\nSubject: Hi\n\nx",
    ],
)
def test_a_person_who_asks_for_a_confirmation_is_a_person(message_of: MessageOf, mail: str) -> None:
    assert message_of(f"From: ana@example.org\n{mail}").auto_submitted == "no"


def test_a_large_file_is_handed_on_piece_by_piece(message_of: MessageOf) -> None:
    data = bytes(range(256)) * 8_000
    lines = base64.encodebytes(data)
    head = b"From: ana@example.org\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n"
    [file] = message_of(head + lines).attachments
    assert file.data is None
    assert file.chunks is not None
    assert (b"".join(file.chunks), file.size) == (data, len(data))
    assert max(map(len, file.chunks)) <= LARGE


@given(st.lists(PIECES, max_size=40))
def test_any_mail_gives_events_that_can_be_stored(pieces: list[str]) -> None:
    body = "".join(pieces).encode("utf-8", "surrogatepass")
    received = datetime(2026, 5, 4, tzinfo=UTC)
    raw = RawEvent(id="raw_1", channel="email", account="a", received_at=received, body=body)
    events = list(map_mail(raw))
    assert events
    assert from_json(to_json(events)) == events
