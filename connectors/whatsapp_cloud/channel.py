"""WhatsApp Business Platform, Cloud API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from connectors._shared.meta.settings import MetaSettings
from connectors._shared.meta.webhook import meta_webhook
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry, ReplyWindow
from omnibus.channel.events import CallEvent, Deletion, Delivery, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.config.fields import AccessToken, ApiUrl, described

API_URL = "https://graph.facebook.com"
MEGABYTE = 1_000_000


class WhatsAppSettings(MetaSettings, frozen=True, kw_only=True):
    """One phone number; further numbers of the same business may share its address (see README)."""

    phone_number_id: Annotated[
        str,
        Meta(pattern=r"^[0-9]{1,32}$"),
        described("Id of the phone number (not the number itself), from the app's WhatsApp page.", example="1055"),
    ]
    access_token: Annotated[
        AccessToken, described("Token of a system user with whatsapp_business_messaging.", example="${WA_TOKEN}")
    ]
    list_button: Annotated[
        str,
        Meta(min_length=1, max_length=20),
        described("What the button says that opens a list of more than three choices."),
    ] = "Options"
    app_secret_proof: Annotated[
        bool, described("Prove each call with the app secret; for apps that require it (Advanced, Require App Secret).")
    ] = False
    api_url: Annotated[ApiUrl, described("Address of the Graph API; another one for tests and proxies.")] = API_URL


def address(settings: WhatsAppSettings) -> str:
    return settings.phone_number_id


CHANNEL = Channel(
    name="whatsapp_cloud",
    title="WhatsApp (Cloud API)",
    docs="https://developers.facebook.com/documentation/business-messaging/whatsapp/overview",
    settings=WhatsAppSettings,
    capabilities=Capabilities(
        sends=frozenset(
            {"text", "image", "audio", "video", "file", "sticker", "location", "choices", "template", "contact_card"}
        ),
        max_text_chars=4_096,
        splits_text=True,
        attachments=(  # https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
            # What is too large or of the wrong kind for a picture, sound or film goes as a document.
            AttachmentRule(mime="*/*", max_bytes=100 * MEGABYTE),
        ),
        supports=frozenset(
            {
                "edit",
                "delete",
                "reaction",
                "reply_to",
                "read_receipt",
                "delivery_receipt",
                "templates",
                "group",
                "choices",
            }
        ),
        reply_window=ReplyWindow(duration=timedelta(hours=24), template_after=True),
        outbound_first=False,
        identity_scope="business",
        # https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview: up to 7 days
        provider_retry=ProviderRetry(max_age=timedelta(days=7), ack_deadline_ms=5_000),
        ids="stable",
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction, Delivery, CallEvent}),
    map=Later("connectors.whatsapp_cloud.mapping:map_event"),
    threads=Later("connectors.whatsapp_cloud.mapping:threads"),
    receive={"webhook": meta_webhook(Later("connectors.whatsapp_cloud.mapping:addresses"), address)},
    send=".send:WhatsAppSender",
    media=".media:WhatsAppMedia",
)
