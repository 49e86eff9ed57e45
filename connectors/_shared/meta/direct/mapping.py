"""Messaging events in our words, for pages and profiles alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from connectors._shared.meta.direct import payload
from connectors._shared.meta.direct.contents import said_by
from connectors._shared.meta.direct.payload import Header, Somebody
from connectors._shared.meta.direct.place import APP_ID, Place
from connectors._shared.meta.reading import AnyId
from connectors._shared.reading import LONGEST_NATIVE_TYPE, facts, read
from omnibus import clock
from omnibus.channel.events import AnyEvent, Deletion, Delivery, Edit, Message, Party, Reaction
from omnibus.model.base import Attributes, Timestamp
from omnibus.model.content import Content, FormField, FormResponse, Item, Postback, Product, System, Text, Unsupported
from omnibus.model.entities import Referral
from omnibus.model.raw import RawEvent

METADATA = "omnibus:"
"""Before our message's id in what we give along with a message, and get back with its echo."""
INBOXES = frozenset({"263902037430900", "1217981644879628"})
"""Meta's own inboxes of pages and of profiles: behind these apps there are people.

https://developers.facebook.com/docs/messenger-platform/handover-protocol/pass-thread-control
"""
ABOUT = frozenset({"sender", "recipient", "timestamp", "prior_message"})
"""Fields of an event that do not say what happened."""
MAX_FORM_FIELDS = 200


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """One messaging event, and what its builders need to know of it."""

    raw: RawEvent
    platform: str
    scheme: str
    ours: str
    header: Header
    item: msgspec.Raw
    standby: bool = False

    @property
    def at(self) -> Timestamp:
        return moment(self.header.timestamp) if self.header.timestamp is not None else self.raw.received_at

    @property
    def customer(self) -> Somebody:
        """Whoever of the two is not us."""
        sender = self.header.sender
        is_us = sender.id is not None and str(sender.id) == self.ours
        return self.header.recipient if is_us or (sender.id is None and not sender.user_ref) else sender

    @property
    def place(self) -> Place:
        customer = self.customer
        if customer.id is not None and str(customer.id) != self.ours:
            return Place(ours=self.ours, where="direct", id=str(customer.id))
        if customer.user_ref:
            return Place(ours=self.ours, where="ref", id=customer.user_ref)
        return Place(ours=self.ours, where="account")

    @property
    def party(self) -> Party:
        place = self.place
        if place.where == "direct":
            return Party(scheme=self.scheme, value=place.id, verified="channel")
        if place.where == "ref":
            return Party(scheme="opaque", value=place.id)
        return Party(scheme="opaque", value=self.platform, is_bot=True)

    def us(self, app_id: AnyId | None) -> Party:
        """Our side; an app that is no inbox of Meta's is a program."""
        program = app_id is not None and str(app_id) not in INBOXES
        return Party(scheme="page" if self.scheme == "psid" else "ig_user", value=self.ours, is_bot=program)

    def fingerprint(self, kind: str) -> str:
        """Names what has no id of its own; Meta repeats a request with the same bytes."""
        return f"{kind[:50]}:{hashlib.sha256(bytes(self.item)).hexdigest()[:32]}"


Build = Callable[[Scope, msgspec.Raw], Iterator[AnyEvent]]


def moment(timestamp: int) -> Timestamp:
    """Milliseconds, as documented; the dashboard's own tests send seconds."""
    return clock.from_ms(timestamp if timestamp >= 100_000_000_000 else timestamp * 1000)


def events_of(
    raw: RawEvent, item: msgspec.Raw, *, platform: str, scheme: str, ours: str, standby: bool = False
) -> Iterator[AnyEvent]:
    """Every event of one messaging event; `standby` when another app has the conversation. Raises InvalidPayload."""
    header = read(item, Header, "messaging", lax=True)
    scope = Scope(raw=raw, platform=platform, scheme=scheme, ours=ours, header=header, item=item, standby=standby)
    fields = read(item, dict[str, msgspec.Raw], "messaging")
    for kind, json in fields.items():
        if kind not in ABOUT and bytes(json) != b"null":
            build = BUILDERS.get(kind)
            yield from build(scope, json) if build else _unknown(scope, kind)


# --- messages -----------------------------------------------------------------------------------


def message(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    sent = read(json, payload.Message, "messaging.message", lax=True)
    sender = scope.us(sent.app_id) if sent.is_echo else scope.party
    if sent.is_deleted:
        native_id = f"{sent.mid}:deleted"
        yield Deletion(thread=scope.place.thread, at=scope.at, native_id=native_id, target=sent.mid, sender=sender)
        return
    said = said_by(sent, scope.at)
    unsupported = Unsupported(native_type="message", summary=sent.text)
    story = sent.reply_to.story if sent.reply_to else None
    yield Message(
        thread=scope.place.thread,
        at=scope.at,
        native_id=sent.mid,
        sender=sender,
        participants=(scope.party,) if sent.is_echo else (),
        direction="outbound" if sent.is_echo else "inbound",
        own=sent.is_echo and _is_own(scope, sent),
        content=unsupported if sent.is_unsupported else _asked_about(sent, said.content),
        attachments=said.attachments,
        in_reply_to=sent.reply_to.mid if sent.reply_to else None,
        referral=_referral(scope, sent.referral),
        attributes={
            **_about_ad(sent.referral),
            **facts(
                standby=scope.standby or None,
                story_id=str(story.id) if story and story.id is not None else None,
                app_id=str(sent.app_id) if sent.app_id is not None else None,
            ),
        },
    )


def _asked_about(sent: payload.Message, content: Content) -> Content:
    """A question from the page of a product is about that product."""
    product = sent.referral.product if sent.referral else None
    if product is None or product.id is None or not isinstance(content, Text):
        return content
    return Product(item=Item(native_id=str(product.id), name=product.title), text=content.text)


def _is_own(scope: Scope, sent: payload.Message) -> bool:
    """Whether Omnibus sent it: our mark is on it, or our app is named."""
    if (sent.metadata or "").startswith(METADATA):
        return True
    ours = scope.raw.attributes.get(APP_ID)
    return ours is not None and sent.app_id is not None and str(sent.app_id) == ours


def message_edit(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/message-edits"""
    edited = read(json, payload.MessageEdit, "messaging.message_edit", lax=True)
    yield Edit(
        thread=scope.place.thread,
        at=scope.at,
        native_id=f"{edited.mid}:{edited.num_edit}",
        target=edited.mid,
        content=Text(text=edited.text),
        revision=edited.num_edit,
        sender=scope.party,
    )


def postback(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """A button, an entry of the menu, or "Get started"."""
    pressed = read(json, payload.Postback, "messaging.postback", lax=True)
    content = Postback(payload=pressed.payload, title=pressed.title)
    native_id = pressed.mid or scope.fingerprint("postback")
    yield _said(scope, native_id, content, _referral(scope, pressed.referral), _about_ad(pressed.referral))


def referral(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """Somebody came into a conversation there was already, from an ad or a link."""
    found = read(json, payload.Referral, "messaging.referral", lax=True)
    content = System(code="referral", params=facts(source=found.source, type=found.type, ref=found.ref))
    about = _about_ad(found)
    yield _said(scope, scope.fingerprint("referral"), content, _referral(scope, found), about, told=True)


def optin(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """Somebody agreed to be written to; from a plugin they are only known by our reference."""
    agreed = read(json, payload.Optin, "messaging.optin", lax=True)
    if agreed.user_ref and scope.place.where == "account":
        reference = Somebody(user_ref=agreed.user_ref)
        scope = msgspec.structs.replace(scope, header=msgspec.structs.replace(scope.header, sender=reference))
    params = facts(
        type=agreed.type,
        ref=agreed.ref,
        payload=agreed.payload,
        title=agreed.title,
        topic=agreed.topic,
        status=agreed.notification_messages_status,
        frequency=agreed.notification_messages_frequency,
    )
    yield _said(scope, scope.fingerprint("optin"), System(code="opted_in", params=params), told=True)


def reaction(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    found = read(json, payload.Reaction, "messaging.reaction", lax=True)
    yield Reaction(
        thread=scope.place.thread,
        at=scope.at,
        native_id=scope.fingerprint("reaction"),
        target=found.mid,
        reaction=found.emoji or found.reaction or "",
        removed=found.action == "unreact",
        sender=scope.party,
    )


def _said(
    scope: Scope,
    native_id: str,
    content: Content,
    came_from: Referral | None = None,
    attributes: Attributes | None = None,
    *,
    told: bool = False,
) -> AnyEvent:
    """The person did something; `told` when it is the platform that tells us, and nobody waits for an answer."""
    return Message(
        thread=scope.place.thread,
        at=scope.at,
        native_id=native_id,
        sender=scope.party,
        content=content,
        referral=came_from,
        auto_submitted="auto_generated" if told else "no",
        attributes={**(attributes or {}), **facts(standby=scope.standby or None)},
    )


def _referral(scope: Scope, found: payload.Referral | None) -> Referral | None:
    """https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messaging_referrals"""
    if found is None:
        return None
    ad = None if found.ad_id is None else str(found.ad_id)
    return Referral(source=scope.platform, type=found.source, ad_id=ad, code=found.ref, url=found.referer_uri)


def _about_ad(found: payload.Referral | None) -> Attributes:
    context = found.ads_context_data if found else None
    return facts(ad_title=context.ad_title, ad_post_id=context.post_id) if context else {}


# --- reports ------------------------------------------------------------------------------------


def seen(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    found = read(json, payload.Read, "messaging.read", lax=True)
    if found.mid:
        yield _report(scope, "read", found.mid)
    elif found.watermark is not None:
        yield _report(scope, "read", "", moment(found.watermark))


def delivery(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """Messages by name, where Messenger names them, otherwise everything until some time."""
    found = read(json, payload.Delivery, "messaging.delivery", lax=True)
    for mid in dict.fromkeys(found.mids):
        yield _report(scope, "delivered", mid)
    if not found.mids and found.watermark is not None:
        yield _report(scope, "delivered", "", moment(found.watermark))


def _report(scope: Scope, status: str, target: str, up_to: Timestamp | None = None) -> AnyEvent:
    about = target or f"{scope.place.thread}:{clock.to_ms(up_to) if up_to else ''}"
    return Delivery(
        thread=scope.place.thread,
        at=scope.at,
        native_id=f"{about}:{status}",
        target=target,
        status=status,
        up_to=up_to,
        recipient=scope.place.id or None,
    )


# --- the platform -------------------------------------------------------------------------------


def handover(kind: str, code: str) -> Build:
    """https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/
    messaging_handovers
    """

    def build(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
        found = read(json, payload.Handover, f"messaging.{kind}", lax=True)
        params = facts(
            previous_owner_app_id=_text(found.previous_owner_app_id),
            new_owner_app_id=_text(found.new_owner_app_id),
            requested_owner_app_id=_text(found.requested_owner_app_id),
            metadata=found.metadata,
        )
        yield _said(scope, scope.fingerprint(kind), System(code=code, params=params), told=True)

    return build


def _text(identifier: AnyId | None) -> str | None:
    return None if identifier is None else str(identifier)


def app_roles(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    roles = read(json, dict[str, tuple[str, ...]], "messaging.app_roles")
    params = facts(**{f"app_{app[:40]}": ", ".join(names) for app, names in list(roles.items())[:8]})
    yield _said(scope, scope.fingerprint("app_roles"), System(code="app_roles_changed", params=params), told=True)


def account_linking(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    found = read(json, payload.Linking, "messaging.account_linking")
    content = System(code=f"account_{found.status}"[:100])
    yield _said(scope, scope.fingerprint("account_linking"), content, told=True)


def policy_enforcement(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    found = read(json, payload.Policy, "messaging.policy_enforcement")
    content = System(code=f"policy_{found.action}"[:100], params=facts(reason=found.reason))
    yield _said(scope, scope.fingerprint("policy"), content, told=True)


def form(scope: Scope, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """Customer feedback, or customer information, filled in.

    https://developers.facebook.com/docs/messenger-platform/send-messages/templates/customer-feedback-template
    """
    found = read(json, payload.Form, "messaging.form", lax=True)
    fields = [field for screen in (*found.feedback_screens, *found.screens) for field in _fields(screen)]
    content = FormResponse(fields=tuple(fields[:MAX_FORM_FIELDS]))
    yield _said(scope, scope.fingerprint("form"), content)


def _fields(screen: payload.Screen) -> Iterator[FormField]:
    for name, question in screen.questions.items():
        yield FormField(name=name, type=question.type or "text", value=question.payload)
        if (more := question.follow_up) is not None:
            yield FormField(name=f"{name}.follow_up", type=more.type or "text", value=more.payload)
    for response in screen.responses:
        yield FormField(name=response.key, value=response.value)


def _unknown(scope: Scope, kind: str) -> Iterator[AnyEvent]:
    """Something Meta invented since: never dropped."""
    content = Unsupported(native_type=kind[:LONGEST_NATIVE_TYPE] or "event")
    yield _said(scope, scope.fingerprint(kind), content, told=True)


BUILDERS: Mapping[str, Build] = {
    "message": message,
    "message_edit": message_edit,
    "postback": postback,
    "referral": referral,
    "optin": optin,
    "reaction": reaction,
    "read": seen,
    "delivery": delivery,
    "pass_thread_control": handover("pass_thread_control", "thread_control_passed"),
    "take_thread_control": handover("take_thread_control", "thread_control_taken"),
    "request_thread_control": handover("request_thread_control", "thread_control_requested"),
    "app_roles": app_roles,
    "account_linking": account_linking,
    "policy_enforcement": policy_enforcement,
    "policy-enforcement": policy_enforcement,
    "messaging_feedback": form,
    "messaging_customer_information": form,
}
