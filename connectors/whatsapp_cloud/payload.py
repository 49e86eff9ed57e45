"""The parts of the Cloud API's webhooks that we read; fields we do not know are left aside.

Facts: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
Numbers are often written as text there, so all of it is read with `lax`.
"""

from __future__ import annotations

import msgspec

from connectors._shared.meta.reading import AnyId
from connectors._shared.reading import Foreign, Name, Number, Seconds

OBJECT = "whatsapp_business_account"


class Change(Foreign, frozen=True, kw_only=True):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class Entry(Foreign, frozen=True, kw_only=True):
    """`id` is that of the WhatsApp Business account."""

    id: AnyId = "0"
    time: Number | None = None
    changes: tuple[Change, ...] = ()


class Envelope(Foreign, frozen=True, kw_only=True):
    object: str
    entry: tuple[Entry, ...]


class Metadata(Foreign, frozen=True, kw_only=True):
    """The number of ours that all of this is about."""

    phone_number_id: Name
    display_phone_number: str | None = None


class Profile(Foreign, frozen=True, kw_only=True):
    name: str | None = None
    username: str | None = None


class Contact(Foreign, frozen=True, kw_only=True):
    """Somebody of this change. `wa_id` is a phone number, and absent for people who go by a username.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
    """

    profile: Profile = Profile()
    wa_id: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None


class ErrorData(Foreign, frozen=True, kw_only=True):
    details: str | None = None


class Error(Foreign, frozen=True, kw_only=True):
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"""

    code: Number = 0
    title: str | None = None
    message: str | None = None
    error_data: ErrorData | None = None


class Value(Foreign, frozen=True, kw_only=True):
    """What a change holds; each of the lists is read part by part."""

    metadata: Metadata | None = None
    contacts: tuple[Contact, ...] = ()
    messages: tuple[msgspec.Raw, ...] = ()
    message_echoes: tuple[msgspec.Raw, ...] = ()
    statuses: tuple[msgspec.Raw, ...] = ()
    calls: tuple[msgspec.Raw, ...] = ()
    user_preferences: tuple[msgspec.Raw, ...] = ()
    user_id_update: tuple[msgspec.Raw, ...] = ()
    errors: tuple[Error, ...] = ()


# --- messages -----------------------------------------------------------------------------------


class Text(Foreign, frozen=True, kw_only=True):
    body: str


class MediaFile(Foreign, frozen=True, kw_only=True):
    """What image, audio, video, document and sticker have in common."""

    id: Name
    mime_type: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool = False


class Location(Foreign, frozen=True, kw_only=True):
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


class CardName(Foreign, frozen=True, kw_only=True):
    formatted_name: str = ""


class CardPhone(Foreign, frozen=True, kw_only=True):
    phone: str | None = None
    wa_id: str | None = None
    type: str | None = None


class CardEmail(Foreign, frozen=True, kw_only=True):
    email: str | None = None
    type: str | None = None


class CardOrg(Foreign, frozen=True, kw_only=True):
    company: str | None = None
    title: str | None = None


class Card(Foreign, frozen=True, kw_only=True):
    """A contact that somebody shares; `vcard` when it is their own."""

    name: CardName = CardName()
    phones: tuple[CardPhone, ...] = ()
    emails: tuple[CardEmail, ...] = ()
    org: CardOrg | None = None
    vcard: str | None = None


class Choice(Foreign, frozen=True, kw_only=True):
    """What a button or a row of a list sends back."""

    id: str
    title: str | None = None
    description: str | None = None


class FlowReply(Foreign, frozen=True, kw_only=True):
    """A form filled in: a Flow, or an address."""

    response_json: str
    name: str | None = None
    body: str | None = None


class CallPermission(Foreign, frozen=True, kw_only=True):
    response: str
    is_permanent: bool = False
    expiration_timestamp: Seconds | None = None


class Interactive(Foreign, frozen=True, kw_only=True):
    type: str = ""
    button_reply: Choice | None = None
    list_reply: Choice | None = None
    nfm_reply: FlowReply | None = None
    call_permission_reply: CallPermission | None = None


class Button(Foreign, frozen=True, kw_only=True):
    """A quick reply button of a template."""

    text: str = ""
    payload: str | None = None


class OrderItem(Foreign, frozen=True, kw_only=True):
    product_retailer_id: Name
    quantity: Number = 1
    item_price: float | str | None = None
    currency: str | None = None


class Order(Foreign, frozen=True, kw_only=True):
    catalog_id: str | None = None
    text: str | None = None
    product_items: tuple[OrderItem, ...] = ()


class Reaction(Foreign, frozen=True, kw_only=True):
    """Without an emoji the reaction was taken off."""

    message_id: Name
    emoji: str | None = None


class System(Foreign, frozen=True, kw_only=True):
    body: str | None = None
    type: str = "system"
    wa_id: str | None = None
    new_wa_id: str | None = None
    user_id: str | None = None
    previous_user_id: str | None = None


class Unsupported(Foreign, frozen=True, kw_only=True):
    type: str | None = None


class Parts(Foreign, frozen=True, kw_only=True):
    """What a message says: `type` names the field that holds it."""

    type: str = "unknown"
    text: Text | None = None
    image: MediaFile | None = None
    audio: MediaFile | None = None
    video: MediaFile | None = None
    document: MediaFile | None = None
    sticker: MediaFile | None = None
    location: Location | None = None
    contacts: tuple[Card, ...] | None = None
    interactive: Interactive | None = None
    button: Button | None = None
    order: Order | None = None
    system: System | None = None
    unsupported: Unsupported | None = None
    errors: tuple[Error, ...] = ()


class Edited(Foreign, frozen=True, kw_only=True):
    original_message_id: Name
    message: Parts


class Revoked(Foreign, frozen=True, kw_only=True):
    original_message_id: Name


class ReferredProduct(Foreign, frozen=True, kw_only=True):
    product_retailer_id: Name
    catalog_id: str | None = None


class Context(Foreign, frozen=True, kw_only=True):
    """What a message answers, or where it comes from."""

    id: str | None = None
    forwarded: bool = False
    frequently_forwarded: bool = False
    referred_product: ReferredProduct | None = None


class Referral(Foreign, frozen=True, kw_only=True):
    """The ad or post that somebody came from."""

    source_url: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    headline: str | None = None
    body: str | None = None
    ctwa_clid: str | None = None


class Identity(Foreign, frozen=True, kw_only=True):
    """For accounts with the identity change check."""

    hash: str | None = None


class Message(Parts, frozen=True, kw_only=True):
    """Of a person (`sender`), or of ours from the WhatsApp Business app (`to`)."""

    id: Name
    timestamp: Seconds
    sender: str | None = msgspec.field(default=None, name="from")
    from_user_id: str | None = None
    from_parent_user_id: str | None = None
    to: str | None = None
    to_user_id: str | None = None
    group_id: str | None = None
    context: Context | None = None
    referral: Referral | None = None
    identity: Identity | None = None
    reaction: Reaction | None = None
    edit: Edited | None = None
    revoke: Revoked | None = None


# --- reports ------------------------------------------------------------------------------------


class ConversationOrigin(Foreign, frozen=True, kw_only=True):
    type: str | None = None


class BilledConversation(Foreign, frozen=True, kw_only=True):
    """The conversation Meta bills, which is none of ours."""

    id: str | None = None
    expiration_timestamp: Seconds | None = None
    origin: ConversationOrigin | None = None


class Pricing(Foreign, frozen=True, kw_only=True):
    billable: bool | None = None
    pricing_model: str | None = None
    category: str | None = None
    type: str | None = None


class Status(Foreign, frozen=True, kw_only=True):
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status"""

    id: Name
    status: Name
    timestamp: Seconds
    type: str | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    recipient_type: str | None = None
    recipient_participant_id: str | None = None
    recipient_participant_user_id: str | None = None
    conversation: BilledConversation | None = None
    pricing: Pricing | None = None
    errors: tuple[Error, ...] = ()
    biz_opaque_callback_data: str | None = None


class Call(Foreign, frozen=True, kw_only=True):
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/calling/reference"""

    id: Name
    event: Name
    timestamp: Seconds
    sender: str | None = msgspec.field(default=None, name="from")
    from_user_id: str | None = None
    to: str | None = None
    to_user_id: str | None = None
    direction: str | None = None
    status: str | None = None
    duration: float | None = None


class Preference(Foreign, frozen=True, kw_only=True):
    """Somebody wants marketing messages no more, or again."""

    value: Name
    timestamp: Seconds
    category: str = "marketing_messages"
    detail: str | None = None
    wa_id: str | None = None
    user_id: str | None = None


class Moved(Foreign, frozen=True, kw_only=True):
    previous: str | None = None
    current: str | None = None


class UserIdUpdate(Foreign, frozen=True, kw_only=True):
    """Somebody changed their phone number, and with it their id."""

    timestamp: Seconds
    user_id: Moved
    wa_id: str | None = None
    detail: str | None = None
