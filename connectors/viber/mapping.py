"""Viber's callbacks in our words; each tells of one thing. https://developers.viber.com/docs/api/rest-bot-api/#callbacks"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors._shared.reading import LONGEST_NATIVE_TYPE, at_ms, facts, read, threads_of
from connectors.viber.contents import said_by
from connectors.viber.payload import Callback, User
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Delivery, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Content, System, Unsupported
from omnibus.model.entities import FailureReason, Referral
from omnibus.model.raw import RawEvent

NOWHERE = "account"
"""The thread of callbacks that name nobody."""
LONGEST_REASON = 200


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """The event of the callback. Raises InvalidPayload."""
    callback = read(raw.body, Callback)
    yield from BUILDERS.get(callback.event, unknown)(callback)


def threads(raw: RawEvent) -> Sequence[str]:
    """The user. Raises InvalidPayload."""
    return threads_of(map_event(raw))


# --- messages and people ------------------------------------------------------------------------


def message(callback: Callback) -> Iterator[AnyEvent]:
    if callback.sender is None or callback.message is None:
        raise InvalidPayload("$", "expected a sender and a message")
    at = at_ms(callback.timestamp)
    sent = callback.message
    said = said_by(sent, at)
    yield events.Message(
        thread=callback.sender.id,
        at=at,
        native_id=_native_id(callback),
        sender=_party(callback.sender),
        content=said.content,
        attachments=said.attachments,
        attributes=facts(
            country=callback.sender.country,
            sticker_id=None if sent.sticker_id is None else str(sent.sticker_id),
            silent=callback.silent or None,
        ),
    )


def subscribed(callback: Callback) -> Iterator[AnyEvent]:
    yield _told(callback, System(code="subscribed"))


def unsubscribed(callback: Callback) -> Iterator[AnyEvent]:
    yield _told(callback, System(code="unsubscribed"))


def conversation_started(callback: Callback) -> Iterator[AnyEvent]:
    """Somebody opened the chat and has not written yet; `context` is what the link they followed says."""
    params = facts(subscribed=callback.subscribed)
    context = callback.context
    referral = Referral(source="viber", type="deep_link", code=context[:LONGEST_REASON]) if context else None
    yield _told(callback, System(code="conversation_started", params=params), referral)


def unknown(callback: Callback) -> Iterator[AnyEvent]:
    """A callback of a kind we do not map: never dropped."""
    yield _told(callback, Unsupported(native_type=callback.event[:LONGEST_NATIVE_TYPE]))


def _told(callback: Callback, content: Content, referral: Referral | None = None) -> AnyEvent:
    token = _native_id(callback)
    return events.Message(
        thread=_user_id(callback),
        at=at_ms(callback.timestamp),
        native_id=None if token is None else f"{callback.event[:LONGEST_NATIVE_TYPE]}:{token}",
        sender=_party(callback.user or callback.sender or User(id=_user_id(callback))),
        content=content,
        referral=referral,
    )


# --- receipts -----------------------------------------------------------------------------------


def delivered(callback: Callback) -> Iterator[AnyEvent]:
    yield _receipt(callback, "delivered")


def seen(callback: Callback) -> Iterator[AnyEvent]:
    yield _receipt(callback, "read")


def failed(callback: Callback) -> Iterator[AnyEvent]:
    """The message left, and the phone refused it. https://developers.viber.com/docs/api/rest-bot-api/#failed-callback"""
    description = (callback.desc or "")[:LONGEST_REASON] or None
    yield _receipt(callback, "failed", FailureReason(code="CHANNEL_FAILURE", description=description))


def _receipt(callback: Callback, status: str, reason: FailureReason | None = None) -> AnyEvent:
    target = _native_id(callback)
    if target is None:
        raise InvalidPayload("$.message_token", "expected the token of a message")
    return Delivery(
        thread=_user_id(callback),
        at=at_ms(callback.timestamp),
        native_id=f"{status}:{target}",
        target=target,
        status=status,
        reason=reason,
        recipient=_user_id(callback),
    )


def _native_id(callback: Callback) -> str | None:
    return None if callback.message_token is None else str(callback.message_token)


def _user_id(callback: Callback) -> str:
    user = callback.user or callback.sender
    return callback.user_id or (user.id if user else NOWHERE)


def _party(user: User) -> Party:
    """User ids are those of one account, and Viber vouches for them."""
    return Party(
        scheme="viber_user",
        value=user.id,
        display_name=user.name or None,
        locale=user.language or None,
        verified="channel",
    )


BUILDERS: Mapping[str, Callable[[Callback], Iterator[AnyEvent]]] = {
    "message": message,
    "subscribed": subscribed,
    "unsubscribed": unsubscribed,
    "conversation_started": conversation_started,
    "delivered": delivered,
    "seen": seen,
    "failed": failed,
}
