"""Mail through the whole pipeline: in by SMTP, routed, answered by SMTP, answered again, bounced."""

from __future__ import annotations

import asyncio
import base64
import smtplib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from omnibus.blobs import open_blobs
from omnibus.model.codec import Event
from omnibus.testing.pipeline import Pipeline, pipeline
from omnibus.testing.ports import free_port

CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  support-mail:
    type: email
    addresses: [help@example.com]
    smtp: {{host: 127.0.0.1, port: {smtp}}}
    outgoing: {{host: 127.0.0.1, port: {outgoing}, tls: none}}
  sales-mail:
    type: email
    addresses: [sales@example.com, orders@example.com]
    smtp: {{host: 127.0.0.1, port: {smtp}}}
queues: {{general: {{}}}}
routes:
  - {{name: everything, to: queue:general}}
"""


class Desk(Pipeline):
    """A running installation with one mailbox."""

    def __init__(self, at: Pipeline, smtp: int) -> None:
        super().__init__(at.url, at.bus, at.session)
        self._smtp = smtp

    async def mail(self, text: str, to: str = "help@example.com", mail_from: str = "ana@example.org") -> None:
        def send() -> None:
            with smtplib.SMTP("127.0.0.1", self._smtp, timeout=10) as server:
                server.sendmail(mail_from, to.split(), text.encode())

        await asyncio.to_thread(send)


@asynccontextmanager
async def desk_with_a_mailbox(folder: Path, outgoing: int) -> AsyncIterator[Desk]:
    port, smtp = free_port(), free_port()
    config = CONFIG.format(folder=folder, port=port, smtp=smtp, outgoing=outgoing)
    async with pipeline(folder, config, port) as at:
        await _listens(smtp)
        yield Desk(at, smtp)


async def _listens(port: int) -> None:
    """Listeners start beside the front door, not before it."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def of_type(events: Sequence[Event], kind: str) -> list[Any]:
    return [event.data for event in events if event.type == f"omnibus.{kind}.v1"]


def received(events: Sequence[Event]) -> list[Any]:
    return [data.message for data in of_type(events, "message.received")]


def by_id(events: Sequence[Event]) -> dict[str, Any]:
    """The messages by their Message-ID: those of two conversations are read in no order."""
    return {message.native.message_id: message for message in received(events)}


async def test_a_mail_its_answer_and_the_answer_to_that_are_one_conversation(tmp_path: Path, mail_server: Any) -> None:
    async with desk_with_a_mailbox(tmp_path, mail_server.port) as desk:
        first = (
            "From: Ana <ana@example.org>\nTo: help@example.com\nSubject: Kettle\nMessage-ID: <1@example.org>\n\nWhere?"
        )
        await desk.mail(first)
        await desk.mail(first)
        [message] = received(await desk.until(lambda events: bool(received(events))))
        assert message.content.text == "Where?"

        await desk.reply(message.conversation_id, "It left yesterday.")
        await desk.until(lambda events: bool(of_type(events, "message.delivery")))
        ours: Message = message_from_bytes(mail_server.mails[0].content)
        assert (ours["To"], ours["Subject"]) == ("Ana <ana@example.org>", "Re: Kettle")

        # One program keeps the headers and not the address, the other the address and not the headers; and the
        # person has two mailboxes, so that neither sender nor subject can help.
        by_id = f"From: a@example.net\nMessage-ID: <2@example.org>\nIn-Reply-To: {ours['Message-ID']}\n\nthanks"
        by_address = "From: b@example.net\nMessage-ID: <3@example.org>\n\nthanks again"
        stranger = "From: eve@example.net\nSubject: Re: Kettle\nMessage-ID: <4@example.org>\n\nlet me in"
        await desk.mail(by_id)
        await desk.mail(by_address, to=str(ours["Reply-To"]))
        await desk.mail(stranger)
        messages = received(await desk.until(lambda events: len(received(events)) == 4))

        threads = {each.native.message_id: each.conversation_id for each in messages}
        assert threads["1@example.org"] == threads["2@example.org"] == threads["3@example.org"]
        assert threads["4@example.org"] != threads["1@example.org"], "the same subject of a stranger joins nobody"


async def test_a_bounce_is_the_failed_delivery_of_our_answer(tmp_path: Path, mail_server: Any) -> None:
    async with desk_with_a_mailbox(tmp_path, mail_server.port) as desk:
        await desk.mail("From: Ana <ana@example.org>\nSubject: Kettle\nMessage-ID: <1@example.org>\n\nWhere?")
        [message] = received(await desk.until(lambda events: bool(received(events))))
        await desk.reply(message.conversation_id, "It left yesterday.")
        await desk.until(lambda events: bool(of_type(events, "message.delivery")))
        ours: Message = message_from_bytes(mail_server.mails[0].content)

        await desk.mail(
            "From: MAILER-DAEMON@mx.example.org\nSubject: failure notice\nMessage-ID: <b@mx.example.org>\n\n"
            "<ana@example.org>:\n550 5.1.1 no such user\n\n--- Below this line is a copy.\n\n"
            f"Message-ID: {ours['Message-ID']}\n",
            mail_from="",
        )

        def failed(events: Sequence[Event]) -> list[Any]:
            return [data for data in of_type(events, "message.delivery") if data.delivery.status == "failed"]

        [delivery, *_] = failed(await desk.until(lambda events: bool(failed(events))))
        assert delivery.conversation_id == message.conversation_id
        assert delivery.delivery.reason.code == "RECIPIENT_NOT_REACHABLE"
        assert delivery.native_id == str(ours["Message-ID"]).strip("<>")


async def test_one_mail_to_two_mailboxes_is_one_message_with_two_deliveries(tmp_path: Path, mail_server: Any) -> None:
    """In one transaction, in two, and by way of another server: nobody is answered twice."""
    async with desk_with_a_mailbox(tmp_path, mail_server.port) as desk:
        first = (
            "From: Ana <ana@example.org>\nTo: help@example.com, sales@example.com\nSubject: Kettle\n"
            "Date: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n\nWhere?"
        )
        await desk.mail(first, to="help@example.com sales@example.com")
        await desk.mail("Received: from relay.example.net by mx.example.com\n" + first, to="orders@example.com")
        await desk.mail(first, to="sales@example.com")
        await desk.mail("From: bob@example.net\nSubject: the last one\nMessage-ID: <2@example.net>\n\nbye")
        # The normalizer tells of both copies, and the router passes that on to the owner of the conversation.
        events = await desk.until(
            lambda events: len(received(events)) == 2 and len(of_type(events, "message.delivery")) == 4
        )
        owner = await desk.events("omnibus.queue.general")
        assert [len(of_type(owner, kind)) for kind in ("message.received", "message.delivery")] == [0, 2]

        message = by_id(events)["1@example.org"]
        copies = [data for data in of_type(events, "message.delivery") if data.message_id == message.id]
        from_normalizer = {(data.recipient, data.attributes["channel_account"]) for data in copies}
        assert message.channel_account_id == "support-mail"
        assert from_normalizer == {("sales@example.com", "sales-mail"), ("orders@example.com", "sales-mail")}
        assert {data.delivery.status for data in copies} == {"received"}
        assert len(of_type(events, "conversation.opened")) == 2

        # Whoever answers to the other mailbox alone is in the same conversation.
        answer = "From: ana@example.org\nMessage-ID: <3@example.org>\nReferences: <1@example.org>\n\nAny news?"
        await desk.mail(answer, to="sales@example.com")
        late = by_id(await desk.until(lambda events: len(received(events)) == 3))["3@example.org"]
        assert late.conversation_id == message.conversation_id


async def test_a_large_file_of_a_mail_is_in_the_blob_store(tmp_path: Path, mail_server: Any) -> None:
    """Its mail is a blob of its own; the file is decoded into another, piece by piece."""
    data = bytes(range(256)) * 12_000
    lines = base64.encodebytes(data).decode()
    async with desk_with_a_mailbox(tmp_path, mail_server.port) as desk:
        head = "From: ana@example.org\nMessage-ID: <1@example.org>\nContent-Type: application/pdf; name=plan.pdf\n"
        await desk.mail(f"{head}Content-Transfer-Encoding: base64\n\n{lines}")
        [message] = received(await desk.until(lambda events: bool(received(events))))

    [file] = message.attachments
    assert (file.state, file.size, file.file_name) == ("stored", len(data), "plan.pdf")
    assert await open_blobs(f"file:{tmp_path}/data/blobs").get(file.ref.uri) == data
