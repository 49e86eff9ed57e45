"""What WhatsApp reports: how far messages and calls came, and what people allow us.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from connectors._shared.reading import at_seconds, facts, read
from connectors.whatsapp_cloud import payload
from connectors.whatsapp_cloud.errors import reason_of
from connectors.whatsapp_cloud.payload import Status
from connectors.whatsapp_cloud.place import CALLBACK, GROUP, Person, Place, person_of
from connectors.whatsapp_cloud.scope import Scope
from omnibus.channel.events import AnyEvent, CallEvent, Delivery, Message
from omnibus.model.base import Attributes, MessageStatus
from omnibus.model.content import Content, System

STATUSES: Mapping[str, MessageStatus] = {"played": "read"}
"""Statuses that are called otherwise here; sent, delivered, read, failed and deleted are not."""


def status(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """How far a message of ours came; for calls, how far the call came."""
    found = read(json, Status, "statuses", lax=True)
    person, place = _recipient(scope, found)
    if found.type == "call":
        yield _call_status(found, person, place)
        return
    yield Delivery(
        thread=place.thread,
        at=at_seconds(found.timestamp),
        native_id=f"{found.id}:{found.status}",
        target=found.id,
        status=STATUSES.get(found.status, found.status),
        reason=reason_of(found.errors[0]) if found.errors else None,
        recipient=person.key,
        attributes=_costs(found),
    )


def _recipient(scope: Scope, found: Status) -> tuple[Person, Place]:
    """Whom we sent it to, and in which conversation: we gave that along, because a report may name another of the
    person's ids than their messages do, or none.
    """
    group = found.recipient_id if found.recipient_type == "group" else None
    user_id = found.recipient_participant_user_id if group else found.recipient_user_id
    phone = found.recipient_participant_id if group else found.recipient_id
    given = (found.biz_opaque_callback_data or "").partition(CALLBACK)[2]
    known = given.removeprefix(GROUP) if given else None
    person = person_of(
        user_id, phone or (known if not user_id else None), scope.value.contacts, "statuses.recipient_id"
    )
    return person, Place(number=scope.number, other=given) if given else scope.place(person, group)


def _costs(found: Status) -> Attributes:
    billed, pricing = found.conversation, found.pricing
    origin = billed.origin if billed else None
    return facts(
        conversation_id=billed.id if billed else None,
        conversation_origin=origin.type if origin else None,
        conversation_expires_at=at_seconds(billed.expiration_timestamp).isoformat()
        if billed and billed.expiration_timestamp
        else None,
        billable=pricing.billable if pricing else None,
        pricing_model=pricing.pricing_model if pricing else None,
        pricing_category=pricing.category if pricing else None,
        pricing_type=pricing.type if pricing else None,
    )


CALL_STATUSES: Mapping[str, str] = {"RINGING": "ringing", "ACCEPTED": "answered", "REJECTED": "ended"}


def _call_status(found: Status, person: Person, place: Place) -> AnyEvent:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/calling/business-initiated-calls"""
    verb = CALL_STATUSES.get(found.status, "ended")
    return CallEvent(
        thread=place.thread,
        at=at_seconds(found.timestamp),
        native_id=f"{found.id}:{found.status}",
        call_id=found.id,
        verb=verb,
        sender=person.party,
        direction="outbound",
        reason=found.status.lower() if verb == "ended" else None,
    )


def call(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/calling/user-initiated-calls"""
    found = read(json, payload.Call, "calls", lax=True)
    ours = found.direction == "BUSINESS_INITIATED"
    user_id, phone = (found.to_user_id, found.to) if ours else (found.from_user_id, found.sender)
    person = person_of(user_id, phone, scope.value.contacts, "calls.from")
    ended = found.event == "terminate"
    yield CallEvent(
        thread=scope.place(person).thread,
        at=at_seconds(found.timestamp),
        native_id=f"{found.id}:{found.event}",
        call_id=found.id,
        # What connects is the line, for which a call of ours has been answered.
        verb="ended" if ended else "answered" if ours else "ringing",
        sender=person.party,
        direction="outbound" if ours else "inbound",
        duration_s=found.duration,
        reason=_why_ended(scope, found) if ended else None,
    )


def _why_ended(scope: Scope, found: payload.Call) -> str | None:
    error = scope.value.errors[0] if scope.value.errors else None
    return (error.title or error.message if error else None) or (found.status or "").lower() or None


def preference(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences"""
    found = read(json, payload.Preference, "user_preferences", lax=True)
    person = person_of(found.user_id, found.wa_id, scope.value.contacts, "user_preferences.wa_id")
    code = f"{found.category}_{found.value}"[:100]
    native_id = f"preference:{person.key}:{code}:{found.timestamp}"
    params = facts(text=found.detail)
    yield _told(scope.place(person), person, found.timestamp, native_id, System(code=code, params=params))


def user_id_update(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """In the conversation of the id that is no more, so that people see where the next messages come from."""
    found = read(json, payload.UserIdUpdate, "user_id_update", lax=True)
    person = person_of(found.user_id.previous, found.wa_id, scope.value.contacts, "user_id_update.user_id.previous")
    params = facts(text=found.detail, previous_user_id=found.user_id.previous, user_id=found.user_id.current)
    native_id = f"user_id:{person.key}:{found.user_id.current}:{found.timestamp}"
    content = System(code="user_id_changed", params=params)
    yield _told(scope.place(person), person, found.timestamp, native_id, content)


def _told(place: Place, person: Person, seconds: int, native_id: str, content: Content) -> AnyEvent:
    """Something the platform says of a person; nobody waits for an answer."""
    return Message(
        thread=place.thread,
        at=at_seconds(seconds),
        native_id=native_id,
        sender=person.party,
        content=content,
        auto_submitted="auto_generated",
        attributes=person.attributes,
    )
