"""What sending fixtures cannot say: pieces that were sent already, files that are not what they seem, secrets."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from connectors.telegram.place import place_of
from connectors.telegram.plan import MAX_TEXT, calls_for
from connectors.telegram.send import TelegramSender
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.channel.send import SenderTools
from omnibus.errors import RecipientGone, Refused, TryAgain
from omnibus.model.content import Attachment, AttachmentRef, Content, File, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import Outbound

if TYPE_CHECKING:
    from tests.connectors.telegram.conftest import FakeBotApi

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DOWN = (500, {"ok": False, "error_code": 500, "description": "Internal Server Error"})
LONG = "A sentence. " * 900
TOKEN = "7000000900:invented-token"


def outbound(content: Content, *attachments: Attachment, thread: str = "7000000101") -> Outbound:
    message = Message(
        id="msg_1",
        conversation_id="conv_1",
        channel="telegram",
        channel_account_id="support-bot",
        direction="outbound",
        author=Author(type="agent"),
        content=content,
        attachments=attachments,
        status="queued",
        created_at=NOW,
        received_at=NOW,
    )
    conversation = Conversation(
        id="conv_1",
        channel="telegram",
        channel_account_id="support-bot",
        thread_key=thread,
        contact_id="cnt_1",
        status="open",
    )
    person = ChannelIdentity(
        id="idn_1", channel="telegram", scheme="tg_user", value="7000000101", normalized="7000000101"
    )
    return Outbound(message=message, conversation=conversation, recipient=person)


def attachment(data: bytes, **changes: Any) -> Attachment:
    ref = AttachmentRef(scheme="object", uri=blob_uri(data))
    stored = Attachment(id="att_1", mime="application/pdf", state="stored", ref=ref)
    return msgspec.structs.replace(stored, **changes)


FILE = File(attachment_id="att_1")


async def test_only_the_missing_pieces_are_sent_again(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    """Telegram has no idempotency key: what it has taken once must not be sent a second time."""
    sender = TelegramSender(sender_tools)
    telegram.will_answer("sendMessage", (200, {"ok": True, "result": {"message_id": 1}}), DOWN)
    with pytest.raises(TryAgain):
        await sender.send(outbound(Text(text=LONG)))
    sent = await sender.send(outbound(Text(text=LONG)))
    assert sent.native_ids == ("7000000101:1", "7000000101:9001", "7000000101:9002")
    texts = [call.params["text"] for call in telegram.called("sendMessage")]
    assert [texts[1]] == [again for again in texts[2:] if again in texts[:2]]


async def test_a_message_that_was_sent_whole_is_forgotten(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    """Sending it once more is what the operator asked for (a replay)."""
    sender = TelegramSender(sender_tools)
    await sender.send(outbound(Text(text="hi")))
    await sender.send(outbound(Text(text="hi")))
    assert len(telegram.called("sendMessage")) == 2


@pytest.mark.parametrize("text", [LONG, "🚲" * 5_000, "é" * 9_000, "word " * 2_000 + "🚲"])
def test_no_piece_is_longer_than_telegram_takes(text: str) -> None:
    """Counted as Telegram counts, in UTF-16."""
    message = outbound(Text(text=text)).message
    pieces = [str(call.params["text"]) for call in calls_for(message, place_of("7000000101"))]
    assert all(len(piece.encode("utf-16-le")) <= 2 * MAX_TEXT for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


async def test_a_file_is_uploaded_as_it_is(telegram: FakeBotApi, sender_tools: SenderTools, blobs: FolderBlobs) -> None:
    data = bytes(range(256)) * 5_000
    await blobs.put(blob_uri(data), data)
    await TelegramSender(sender_tools).send(outbound(FILE, attachment(data, file_name='fatura "março".pdf')))
    (call,) = telegram.called("sendDocument")
    assert call.files == {"document": ("fatura _março_.pdf", "application/pdf", data)}
    assert call.params == {"chat_id": "7000000101"}


async def test_a_file_name_cannot_write_headers(
    telegram: FakeBotApi, sender_tools: SenderTools, blobs: FolderBlobs
) -> None:
    await blobs.put(blob_uri(b"x"), b"x")
    name = "a\r\nContent-Type: text/html\r\n\r\n.pdf"
    await TelegramSender(sender_tools).send(outbound(FILE, attachment(b"x", file_name=name)))
    (call,) = telegram.called("sendDocument")
    assert call.files["document"][:2] == ("a__Content-Type: text_html____.pdf", "application/pdf")


async def test_a_file_is_measured_and_not_believed(
    telegram: FakeBotApi, sender_tools: SenderTools, blobs: FolderBlobs
) -> None:
    data = bytes(50_000_001)
    await blobs.put(blob_uri(data), data)
    with pytest.raises(Refused, match="MEDIA_TOO_LARGE"):
        await TelegramSender(sender_tools).send(outbound(FILE, attachment(data, size=1)))
    assert telegram.calls == []


async def test_a_file_that_is_not_in_the_store_is_reported(sender_tools: SenderTools) -> None:
    with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
        await TelegramSender(sender_tools).send(outbound(FILE, attachment(b"never stored")))


async def test_a_thread_that_is_no_chat_is_refused(sender_tools: SenderTools) -> None:
    with pytest.raises(Refused, match="expected a Telegram chat"):
        await TelegramSender(sender_tools).send(outbound(Text(text="hi"), thread="updates"))


async def test_a_moved_group_that_moves_again_is_refused(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    """Two numbers that point at each other must not keep us busy for ever."""
    for there in (-1002000000305, -1002000000306):
        moved = {"ok": False, "error_code": 400, "description": "moved", "parameters": {"migrate_to_chat_id": there}}
        telegram.will_answer("sendMessage", (400, moved))
    with pytest.raises(Refused, match="RECIPIENT_NOT_REACHABLE"):
        await TelegramSender(sender_tools).send(outbound(Text(text="hi"), thread="-4000000305"))
    assert len(telegram.called("sendMessage")) == 2


@pytest.mark.parametrize(
    ("code", "description", "kind"),
    [
        (403, "Forbidden: bot was kicked from the supergroup chat", RecipientGone),
        (403, "Forbidden: bot can't initiate conversation with a user", RecipientGone),
        (400, "Bad Request: PEER_ID_INVALID", RecipientGone),
        (403, "Forbidden: something new", Refused),
        (400, "Bad Request: can't parse entities: 'my card is 4111' is odd", Refused),
    ],
)
async def test_a_refusal_names_what_happened_and_never_quotes_the_message(
    telegram: FakeBotApi, sender_tools: SenderTools, code: int, description: str, kind: type[Refused]
) -> None:
    telegram.will_answer("sendMessage", (code, {"ok": False, "error_code": code, "description": description}))
    with pytest.raises(kind) as caught:
        await TelegramSender(sender_tools).send(outbound(Text(text="my card is 4111")))
    assert type(caught.value) is kind
    assert caught.value.native_code == str(code)
    assert "4111" not in str(caught.value)


async def test_the_token_is_in_no_log_line_and_in_no_error(
    telegram: FakeBotApi, sender_tools: SenderTools, caplog: pytest.LogCaptureFixture
) -> None:
    """It is part of every address we call."""
    telegram.will_answer("sendMessage", DOWN)
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines, pytest.raises(TryAgain) as caught:
        await TelegramSender(sender_tools).send(outbound(Text(text="hi")))
    assert lines, "the call itself is logged"
    assert TOKEN not in f"{lines} {caplog.text} {caught.value!r} {caught.value.__context__!r}"


async def test_a_silent_telegram_is_tried_again(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    telegram.will_answer("sendMessage", (200, "<html>not the Bot API</html>"))
    with pytest.raises(TryAgain):
        await TelegramSender(sender_tools).send(outbound(Text(text="hi")))
