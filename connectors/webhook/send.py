"""Replies, posted to the account's reply_url."""

from __future__ import annotations

import msgspec

from connectors.webhook.settings import WebhookSettings
from omnibus import clock
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Misconfigured, RecipientGone
from omnibus.http import expect_ok
from omnibus.model.base import Timestamp
from omnibus.model.content import Content
from omnibus.model.entities import Author
from omnibus.model.events import Outbound
from omnibus.standard_webhooks import lenient_key, signed_headers

GONE = 410


class ReplyBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is posted: `id` is the same when a reply is sent again, so a receiver can drop the copy."""

    id: str
    conversation_id: str
    thread: str
    to: str
    content: Content
    author: Author
    created_at: Timestamp
    in_reply_to: str | None = None


class WebhookSender:
    """Posts each reply as JSON, signed as Standard Webhooks when a secret is set. Any 2xx means it was taken."""

    def __init__(self, tools: SenderTools) -> None:
        self._http = tools.http
        self._settings: WebhookSettings = tools.account.settings

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain for 408, 425, 429, 5xx and silence, RecipientGone for 410, Refused for other answers."""
        if self._settings.reply_url is None:
            raise Misconfigured("reply_url", "without it replies have nowhere to go")
        body = msgspec.json.encode(reply_body(outbound))
        answer = await self._http.request(
            "POST",
            self._settings.reply_url,
            headers={"Content-Type": "application/json", **self._signature(outbound.message.id, body)},
            body=body,
            allow_private=self._settings.allow_private,
        )
        if answer.status == GONE:
            raise RecipientGone("the receiver says so (HTTP 410)", native_code=str(GONE))
        expect_ok(answer)
        return Sent(native_ids=(outbound.message.id,))

    async def close(self) -> None:
        """Nothing is held."""

    def _signature(self, message_id: str, body: bytes) -> dict[str, str]:
        secret = self._settings.reply_secret
        if secret is None:
            return {"webhook-id": message_id}
        return signed_headers([lenient_key(secret.reveal())], message_id, clock.now_ms() // 1000, body)


def reply_body(outbound: Outbound) -> ReplyBody:
    """The JSON a receiver gets."""
    message = outbound.message
    return ReplyBody(
        id=message.id,
        conversation_id=message.conversation_id,
        thread=outbound.conversation.thread_key,
        to=outbound.recipient.value,
        content=message.content,
        author=message.author,
        created_at=message.created_at,
        in_reply_to=None if message.in_reply_to is None else message.in_reply_to.native_id,
    )
