"""Webhooks of the Cloud API in our words.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from connectors._shared.meta.reading import is_for
from connectors._shared.reading import LONGEST_NATIVE_TYPE, at_seconds, each, facts, read, threads_of
from connectors.whatsapp_cloud import payload
from connectors.whatsapp_cloud.contents import said_by
from connectors.whatsapp_cloud.payload import OBJECT, Change, Entry, Envelope, Value
from connectors.whatsapp_cloud.place import WHATSAPP, Person, Place, person_of
from connectors.whatsapp_cloud.reports import call, preference, status, user_id_update
from connectors.whatsapp_cloud.scope import Scope
from omnibus.channel.events import AnyEvent, Deletion, Edit, Message, Party, Reaction
from omnibus.channel.receive import Request
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes
from omnibus.model.content import Content, Item, Product, System, Text, Unsupported
from omnibus.model.entities import Referral
from omnibus.model.raw import RawEvent

Build = Callable[[Scope, msgspec.Raw], Iterator[AnyEvent]]


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request that this copy of it is for. Raises InvalidPayload, after what can be read."""
    envelope = _envelope(raw.body)
    changes = ((entry, change) for entry in envelope.entry for change in entry.changes)
    yield from each(changes, lambda pair: _change(raw, *pair))


def threads(raw: RawEvent) -> Sequence[str]:
    """The conversations a request belongs to. Raises InvalidPayload."""
    return threads_of(map_event(raw))


def addresses(request: Request) -> Sequence[str]:
    """The numbers of ours that a request speaks of; none when it cannot be read."""
    try:
        entries = _envelope(request.body).entry
        return [_address(entry, _value(change)) for entry in entries for change in entry.changes]
    except InvalidPayload:
        return ()


def _envelope(body: bytes) -> Envelope:
    envelope = read(body, Envelope)
    if envelope.object != OBJECT:
        raise InvalidPayload("object", f"expected {OBJECT}")
    return envelope


def _value(change: Change) -> Value:
    return read(change.value, Value, "changes.value", lax=True) if bytes(change.value) != b"null" else Value()


def _address(entry: Entry, value: Value) -> str:
    return value.metadata.phone_number_id if value.metadata else str(entry.id)


def _change(raw: RawEvent, entry: Entry, change: Change) -> Iterator[AnyEvent]:
    value = _value(change)
    number = _address(entry, value)
    if not is_for(raw, number):
        return
    scope = Scope(raw=raw, entry=entry, change=change, value=value, number=number)
    lists = [(build, parts) for name, build in LISTS.items() if (parts := getattr(value, name))]
    if not lists:
        yield from _about_the_account(scope)
        return
    pairs = ((build, part) for build, parts in lists for part in parts)
    yield from each(pairs, lambda pair: pair[0](scope, pair[1]))


# --- messages -----------------------------------------------------------------------------------


def message(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    sent = read(json, payload.Message, "messages", lax=True)
    person = _sender(scope, sent)
    place = scope.place(person, sent.group_id)
    yield KINDS.get(sent.type, said)(scope, sent, person, place)


def _sender(scope: Scope, sent: payload.Message) -> Person:
    """System messages name who changed only inside: https://developers.facebook.com/documentation/business-messaging/
    whatsapp/webhooks/reference/messages/system
    """
    before = sent.system.previous_user_id if sent.system else None
    return person_of(sent.from_user_id or before, sent.sender, scope.value.contacts, "messages.from")


def said(scope: Scope, sent: payload.Message, person: Person, place: Place) -> AnyEvent:
    """Somebody wrote."""
    # Where Meta could not tell us what was said, the reason stands beside the message.
    parts = sent if sent.errors else msgspec.structs.replace(sent, errors=scope.value.errors)
    found = said_by(parts)
    return Message(
        thread=place.thread,
        at=at_seconds(sent.timestamp),
        native_id=sent.id,
        sender=person.party,
        content=_asked_about(sent, found.content),
        attachments=found.attachments,
        in_reply_to=sent.context.id if sent.context else None,
        auto_submitted="auto_generated" if sent.type == "system" else "no",
        referral=_referral(sent.referral),
        attributes=_attributes(sent, person),
    )


def _asked_about(sent: payload.Message, content: Content) -> Content:
    """A question from the page of a product is about that product."""
    product = sent.context.referred_product if sent.context else None
    if product is None or not isinstance(content, Text):
        return content
    return Product(item=Item(native_id=product.product_retailer_id), text=content.text)


def _referral(found: payload.Referral | None) -> Referral | None:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text"""
    if found is None:
        return None
    ad = found.source_id if found.source_type == "ad" else None
    return Referral(source="whatsapp", type=found.source_type, ad_id=ad, code=found.ctwa_clid, url=found.source_url)


def _attributes(sent: payload.Message, person: Person) -> Attributes:
    """What WhatsApp knows of a message and the model has no field for."""
    context, referral, product = sent.context, sent.referral, sent.context and sent.context.referred_product
    return {
        **person.attributes,
        **facts(
            forwarded="often" if context and context.frequently_forwarded else "yes" if _forwarded(context) else None,
            catalog_id=product.catalog_id if product else sent.order.catalog_id if sent.order else None,
            referral_headline=referral.headline if referral else None,
            referral_body=referral.body if referral else None,
            identity_hash=sent.identity.hash if sent.identity else None,
        ),
    }


def _forwarded(context: payload.Context | None) -> bool:
    return context is not None and context.forwarded


def reaction(scope: Scope, sent: payload.Message, person: Person, place: Place) -> AnyEvent:
    found = sent.reaction
    if found is None:
        return said(scope, sent, person, place)
    return Reaction(
        thread=place.thread,
        at=at_seconds(sent.timestamp),
        native_id=sent.id,
        target=found.message_id,
        reaction=found.emoji or "",
        removed=not found.emoji,
        sender=person.party,
    )


def edit(scope: Scope, sent: payload.Message, person: Person, place: Place) -> AnyEvent:
    found = sent.edit
    if found is None:
        return said(scope, sent, person, place)
    now = said_by(found.message)
    return Edit(
        thread=place.thread,
        at=at_seconds(sent.timestamp),
        native_id=sent.id,
        target=found.original_message_id,
        content=now.content,
        attachments=now.attachments,
        revision=sent.timestamp,
        sender=person.party,
    )


def revoke(scope: Scope, sent: payload.Message, person: Person, place: Place) -> AnyEvent:
    found = sent.revoke
    if found is None:
        return said(scope, sent, person, place)
    return Deletion(
        thread=place.thread,
        at=at_seconds(sent.timestamp),
        native_id=sent.id,
        target=found.original_message_id,
        sender=person.party,
    )


def echo(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """Written on our side in the WhatsApp Business app, which shares the number with us.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes
    """
    sent = read(json, payload.Message, "message_echoes", lax=True)
    person = person_of(sent.to_user_id, sent.to, scope.value.contacts, "message_echoes.to")
    place = scope.place(person, sent.group_id)
    event = KINDS.get(sent.type, said)(scope, sent, person, place)
    us = Party(scheme="e164", value=sent.sender or scope.number, verified="channel")
    if isinstance(event, Message):
        event = msgspec.structs.replace(event, direction="outbound", sender=us, participants=(person.party,))
    else:
        event = msgspec.structs.replace(event, sender=us)
    yield event


# --- the account --------------------------------------------------------------------------------


def _about_the_account(scope: Scope) -> Iterator[AnyEvent]:
    """Errors that belong to no message, and changes of fields we do not map: never dropped."""
    contents: list[Content] = [_error(error) for error in scope.value.errors]
    if not contents:
        contents = [Unsupported(native_type=scope.change.field[:LONGEST_NATIVE_TYPE] or "change")]
    at = scope.entry.time
    # Some fields have their time in seconds, as documented, and some in milliseconds.
    known = at is not None and 0 < at <= 253_402_300_799
    for index, content in enumerate(contents):
        yield Message(
            thread=scope.account.thread,
            at=at_seconds(at) if known and at is not None else scope.raw.received_at,
            native_id=f"{scope.change.field[:50]}:{scope.fingerprint}:{index}",
            sender=WHATSAPP,
            content=content,
            auto_submitted="auto_generated",
        )


def _error(error: payload.Error) -> Content:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/errors"""
    details = error.error_data.details if error.error_data else None
    return System(code="error", params=facts(code=error.code, title=error.title or error.message, details=details))


KINDS: Mapping[str, Callable[[Scope, payload.Message, Person, Place], AnyEvent]] = {
    "reaction": reaction,
    "edit": edit,
    "revoke": revoke,
}

LISTS: Mapping[str, Build] = {
    "messages": message,
    "message_echoes": echo,
    "statuses": status,
    "calls": call,
    "user_preferences": preference,
    "user_id_update": user_id_update,
}
