"""The parts of messaging events that we read; fields we do not know are left aside.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
https://developers.facebook.com/documentation/business-messaging/instagram-messaging/webhooks
"""

from __future__ import annotations

import msgspec

from connectors._shared.meta.reading import AnyId
from connectors._shared.reading import Foreign, Milliseconds, Name, Number


class Change(Foreign, frozen=True, kw_only=True):
    """Of a page's feed, or of a profile's comments."""

    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class Entry(Foreign, frozen=True, kw_only=True):
    """`id` is that of the page or profile. Instagram also puts a single change right here."""

    id: AnyId
    time: Number | None = None
    messaging: tuple[msgspec.Raw, ...] = ()
    standby: tuple[msgspec.Raw, ...] = ()
    changes: tuple[Change, ...] = ()
    field: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class Envelope(Foreign, frozen=True, kw_only=True):
    object: str
    entry: tuple[Entry, ...]


class Somebody(Foreign, frozen=True, kw_only=True):
    id: AnyId | None = None
    user_ref: str | None = None


class Header(Foreign, frozen=True, kw_only=True):
    """What every messaging event has."""

    sender: Somebody = Somebody()
    recipient: Somebody = Somebody()
    timestamp: Milliseconds | None = None


# --- messages -----------------------------------------------------------------------------------


class Coordinates(Foreign, frozen=True, kw_only=True):
    lat: float
    long: float


class Element(Foreign, frozen=True, kw_only=True):
    """A product of a shop, or a card of a template."""

    id: AnyId | None = None
    retailer_id: str | None = None
    title: str | None = None


class ProductShare(Foreign, frozen=True, kw_only=True):
    elements: tuple[Element, ...] = ()


class Payload(Foreign, frozen=True, kw_only=True):
    url: str | None = None
    title: str | None = None
    text: str | None = None
    sticker_id: AnyId | None = None
    coordinates: Coordinates | None = None
    template_type: str | None = None
    product: ProductShare | None = None


class Attachment(Foreign, frozen=True, kw_only=True):
    """`url` and `title` stand here in links of old."""

    type: str = "unknown"
    payload: Payload | None = None
    url: str | None = None
    title: str | None = None


class QuickReply(Foreign, frozen=True, kw_only=True):
    payload: str


class Story(Foreign, frozen=True, kw_only=True):
    id: AnyId | None = None
    url: str | None = None


class ReplyTo(Foreign, frozen=True, kw_only=True):
    """What a message answers: a message, or a story of ours."""

    mid: str | None = None
    story: Story | None = None


class AdsContext(Foreign, frozen=True, kw_only=True):
    ad_title: str | None = None
    post_id: str | None = None


class Referral(Foreign, frozen=True, kw_only=True):
    """Where somebody came from: an ad, a link, the shop."""

    source: str | None = None
    type: str | None = None
    ref: str | None = None
    ad_id: AnyId | None = None
    referer_uri: str | None = None
    ads_context_data: AdsContext | None = None
    product: Element | None = None


class Message(Foreign, frozen=True, kw_only=True):
    mid: Name
    text: str | None = None
    attachments: tuple[Attachment, ...] = ()
    quick_reply: QuickReply | None = None
    reply_to: ReplyTo | None = None
    referral: Referral | None = None
    is_echo: bool = False
    is_deleted: bool = False
    is_unsupported: bool = False
    app_id: AnyId | None = None
    metadata: str | None = None


class MessageEdit(Foreign, frozen=True, kw_only=True):
    mid: Name
    text: str
    num_edit: Number = 1


class Postback(Foreign, frozen=True, kw_only=True):
    payload: str = ""
    title: str | None = None
    mid: str | None = None
    referral: Referral | None = None


class Optin(Foreign, frozen=True, kw_only=True):
    """Somebody agreed to be written to. The token that comes with it is a secret, and stays in the raw event."""

    type: str | None = None
    ref: str | None = None
    user_ref: str | None = None
    payload: str | None = None
    title: str | None = None
    topic: str | None = None
    notification_messages_status: str | None = None
    notification_messages_frequency: str | None = None


class Reaction(Foreign, frozen=True, kw_only=True):
    mid: Name
    action: str = "react"
    emoji: str | None = None
    reaction: str | None = None


# --- reports ------------------------------------------------------------------------------------


class Read(Foreign, frozen=True, kw_only=True):
    """Messenger says until when everything was read, Instagram which message."""

    watermark: Milliseconds | None = None
    mid: str | None = None


class Delivery(Foreign, frozen=True, kw_only=True):
    watermark: Milliseconds | None = None
    mids: tuple[Name, ...] = ()


class Handover(Foreign, frozen=True, kw_only=True):
    """Which app may answer now, or would like to."""

    previous_owner_app_id: AnyId | None = None
    new_owner_app_id: AnyId | None = None
    requested_owner_app_id: AnyId | None = None
    metadata: str | None = None


class Linking(Foreign, frozen=True, kw_only=True):
    """Somebody linked their account with us; the authorization code stays in the raw event."""

    status: str = "unknown"


class Policy(Foreign, frozen=True, kw_only=True):
    action: str = "unknown"
    reason: str | None = None


class FollowUp(Foreign, frozen=True, kw_only=True):
    type: str | None = None
    payload: str | None = None


class Question(Foreign, frozen=True, kw_only=True):
    type: str | None = None
    payload: str | None = None
    follow_up: FollowUp | None = None


class Response(Foreign, frozen=True, kw_only=True):
    key: str = ""
    value: str | None = None


class Screen(Foreign, frozen=True, kw_only=True):
    """A page of a form: of customer feedback (`questions`), or of customer information (`responses`)."""

    questions: dict[str, Question] = {}
    responses: tuple[Response, ...] = ()


class Form(Foreign, frozen=True, kw_only=True):
    feedback_screens: tuple[Screen, ...] = ()
    screens: tuple[Screen, ...] = ()
