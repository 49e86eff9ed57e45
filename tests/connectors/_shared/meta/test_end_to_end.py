"""Through the front door with real signatures, the whole pipeline, and back to a Graph API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omnibus import clock

if TYPE_CHECKING:
    from tests.connectors._shared.meta.conftest import Installation

Say = Callable[[dict[str, str]], dict[str, Any]]


def whatsapp_change(**value: Any) -> dict[str, Any]:
    """A webhook for the number 1055."""
    change = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1055"}, **value}
    changes = [{"field": "messages", "value": change}]
    return {"object": "whatsapp_business_account", "entry": [{"id": "9001", "changes": changes}]}


def direct(kind: str, ours: str, *items: dict[str, Any]) -> dict[str, Any]:
    """A webhook of direct messages between Ana and a page or profile."""
    ana, us, now = {"id": "7001"}, {"id": ours}, clock.now_ms()
    events = [
        {
            "sender": us if item.get("message", {}).get("is_echo") else ana,
            "recipient": ana if item.get("message", {}).get("is_echo") else us,
            "timestamp": now,
            **item,
        }
        for item in items
    ]
    return {"object": kind, "entry": [{"id": ours, "time": now, "messaging": events}]}


async def test_meta_finds_us_by_the_verify_token_of_each_account(installation: Installation) -> None:
    assert await installation.handshake("wa-one", "word") == (200, "1158201444")
    assert await installation.handshake("page", "word") == (200, "1158201444")
    status, _ = await installation.handshake("wa-elsewhere", "word")
    assert status == 401


async def test_a_question_with_a_picture_is_answered_and_the_answer_read(installation: Installation) -> None:
    picture = {"from": "12025550101", "id": "wamid.1", "timestamp": str(clock.now_ms() // 1000), "type": "image"}
    picture["image"] = {"id": "3001", "mime_type": "image/png", "caption": "Is this mine?"}  # type: ignore[assignment]  # JSON
    assert await installation.webhook("wa-one", whatsapp_change(messages=[picture])) == 200
    assert await installation.webhook("wa-one", whatsapp_change(messages=[picture])) == 200

    [received] = await installation.all("message.received")
    [stored] = await installation.all("message.attachment")
    assert received.message.content.caption == "Is this mine?"
    assert (stored.attachment.state, stored.attachment.mime) == ("stored", "image/png")

    native_id = await installation.answered(received.message.conversation_id, "It is.")
    [(token, path, body)] = installation.graph.calls
    assert (token, path) == ("token-one", "1055/messages")
    assert (body["to"], body["text"]["body"]) == ("12025550101", "It is.")

    status = {"id": native_id, "status": "read", "timestamp": str(clock.now_ms() // 1000), "recipient_user_id": "US.1"}
    pricing = {"billable": True, "category": "service"}
    given = {**status, "pricing": pricing, "biz_opaque_callback_data": body["biz_opaque_callback_data"]}
    assert await installation.webhook("wa-one", whatsapp_change(statuses=[given])) == 200
    *_, read = await installation.all("message.delivery", 2)
    assert (read.delivery.status, read.attributes["pricing_category"]) == ("read", "service")


async def test_each_part_of_a_batch_belongs_to_its_own_account(installation: Installation, say: Say) -> None:
    """Two numbers of one app come in one request; a third belongs to an app with another secret."""
    body = say({"1055": "to the first", "2066": "to the second", "3077": "to the third"})
    assert await installation.webhook("wa-one", body) == 200
    messages = [data.message for data in await installation.all("message.received", 3)]
    accounts = {message.content.text: message.channel_account_id for message in messages}
    # The first app's secret proves nothing to the third account: its part stays with the account of the address.
    assert accounts == {"to the first": "wa-one", "to the second": "wa-two", "to the third": "wa-one"}

    second = next(message for message in messages if message.content.text == "to the second")
    await installation.answered(second.conversation_id, "hello")
    assert [(token, path) for token, path, _ in installation.graph.calls] == [("token-two", "2066/messages")]


async def test_a_request_is_proven_with_the_secret_of_its_own_account(installation: Installation, say: Say) -> None:
    assert await installation.webhook("wa-elsewhere", say({"3077": "forged"})) == 401
    own = say({"3077": "genuine"})
    assert await installation.webhook("wa-elsewhere", own, secret="secret-of-another-app") == 200
    [received] = await installation.all("message.received")
    assert (received.message.content.text, received.message.channel_account_id) == ("genuine", "wa-elsewhere")


async def test_a_messenger_answer_is_shown_once_and_read(installation: Installation) -> None:
    assert await installation.webhook("page", direct("page", "4001", {"message": {"mid": "m_1", "text": "hi"}})) == 200
    [received] = await installation.all("message.received")
    native_id = await installation.answered(received.message.conversation_id, "hello")
    [(token, path, body)] = installation.graph.calls
    assert (token, path, body["recipient"], body["message"]["text"]) == (
        "token-page",
        "4001/messages",
        {"id": "7001"},
        "hello",
    )
    echo = {"message": {"mid": native_id, "is_echo": True, "text": "hello", "metadata": body["message"]["metadata"]}}
    seen = {"read": {"watermark": clock.now_ms() + 1_000}}
    assert await installation.webhook("page", direct("page", "4001", echo, seen)) == 200

    *_, read = await installation.all("message.delivery", 2)
    assert (read.delivery.status, read.native_id) == ("read", None)
    assert len(installation.of_type(await installation.events(), "message.sent")) == 1


async def test_a_comment_is_answered_in_public(installation: Installation) -> None:
    value = {
        "item": "comment",
        "verb": "add",
        "from": {"id": "8001", "name": "Ana"},
        "post_id": "4001_1",
        "parent_id": "4001_1",
        "comment_id": "1_1001",
        "message": "Do you ship to Madeira?",
        "created_time": clock.now_ms() // 1000,
    }
    body = {"object": "page", "entry": [{"id": "4001", "time": 1, "changes": [{"field": "feed", "value": value}]}]}
    assert await installation.webhook("page", body) == 200
    [received] = await installation.all("message.received")
    assert received.message.content.kind == "comment"

    await installation.answered(received.message.conversation_id, "Yes, we do!")
    assert installation.graph.calls == [("token-page", "1_1001/comments", {"message": "Yes, we do!"})]


async def test_an_instagram_answer_comes_back_as_an_echo_and_is_shown_once(installation: Installation) -> None:
    """Instagram's echo bears no mark of ours, only the id of what we sent."""
    hello = direct("instagram", "5001", {"message": {"mid": "ig_1", "text": "hi"}})
    assert await installation.webhook("profile", hello) == 200
    [received] = await installation.all("message.received")
    native_id = await installation.answered(received.message.conversation_id, "hello")
    echo = {"message": {"mid": native_id, "is_echo": True, "text": "hello"}}
    again = {"message": {"mid": "ig_2", "text": "thanks"}}
    assert await installation.webhook("profile", direct("instagram", "5001", echo, again)) == 200

    queue = "omnibus.queue.general"
    [thanks] = await installation.all("message.received", 1, queue)
    assert thanks.message.content.text == "thanks"
    shown = installation.of_type(await installation.events(queue), "message.sent")
    assert [sent.message.content.text for sent in shown] == ["hello"]
