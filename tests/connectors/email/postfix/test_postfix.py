"""Answers through a real mail server, and the bounce it writes when a recipient's server refuses one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from connectors.email.mapping import map_mail
from omnibus.channel.events import Delivery
from omnibus.model.content import Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import Outbound

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def answer(number: int, to: str) -> Outbound:
    conversation = f"conv_{number:032x}"
    return Outbound(
        message=Message(
            id=f"msg_{number:032x}",
            conversation_id=conversation,
            channel="email",
            channel_account_id="support-mail",
            direction="outbound",
            author=Author(type="agent", id="agent_1"),
            content=Text(text="It left yesterday."),
            status="queued",
            created_at=AT,
            received_at=AT,
        ),
        conversation=Conversation(
            id=conversation,
            channel="email",
            channel_account_id="support-mail",
            thread_key="msg_root",
            contact_id="cnt_1",
            status="open",
            subject="Where is my kettle?",
            first_inbound_at=AT,
        ),
        recipient=ChannelIdentity(
            id="idn_1", channel="email", scheme="email", value=to, normalized=to, first_seen=AT, last_seen=AT
        ),
    )


async def until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)


async def test_an_answer_arrives_and_a_refused_one_comes_back_as_its_failed_delivery(
    postfix: Any, mailbox: Any, listening: Any, mail_server: Any, sender: Any
) -> None:
    box = mailbox()
    async with listening(box) as ours:
        port = await asyncio.to_thread(postfix, ours, mail_server.port)
        through = sender(port=port)
        await through.send(answer(1, "ana@example.org"))
        await until(lambda: mail_server.mails)
        assert mail_server.mails[0].rcpt_tos == ["ana@example.org"]

        mail_server.rcpt_answers.append("550 5.1.1 No such user here")
        sent = await through.send(answer(2, "bea@example.org"))
        await until(lambda: box.published)

    [bounce] = map_mail(box.published[0])
    assert isinstance(bounce, Delivery)
    assert (bounce.target, bounce.status, bounce.recipient) == (sent.native_ids[0], "failed", "bea@example.org")
    assert bounce.reason is not None
    assert (bounce.reason.code, bounce.reason.native_code) == ("RECIPIENT_NOT_REACHABLE", "5.1.1")
    assert f"c:conv_{2:032x}" in bounce.links
