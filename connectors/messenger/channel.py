"""Facebook Messenger, and what people write on a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from connectors._shared.meta.direct.limits import MAX_FILE_BYTES
from connectors._shared.meta.direct.place import PUBLIC_THREADS
from connectors._shared.meta.settings import DirectSettings, attributes
from connectors._shared.meta.webhook import RETRY, meta_webhook
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ReplyWindow
from omnibus.channel.events import Deletion, Delivery, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.config.fields import AccessToken, ApiUrl, described

API_URL = "https://graph.facebook.com"
MAX_TEXT = 2_000
"""https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/send-api"""


class MessengerSettings(DirectSettings, frozen=True, kw_only=True):
    """One page; further pages of the same app may share its address (see README)."""

    page_id: Annotated[str, Meta(pattern=r"^[0-9]{1,32}$"), described("Id of the page.", example="100000000000101")]
    access_token: Annotated[
        AccessToken, described("Access token of the page, with pages_messaging.", example="${PAGE_TOKEN}")
    ]
    app_secret_proof: Annotated[
        bool, described("Prove each call with the app secret; for apps that require it (Advanced, Require App Secret).")
    ] = False
    api_url: Annotated[ApiUrl, described("Address of the Graph API; another one for tests and proxies.")] = API_URL


def address(settings: MessengerSettings) -> str:
    return settings.page_id


CHANNEL = Channel(
    name="messenger",
    title="Facebook Messenger and pages",
    docs="https://developers.facebook.com/documentation/business-messaging/messenger-platform/overview",
    settings=MessengerSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "choices", "card", "carousel"}),
        max_text_chars=MAX_TEXT,
        splits_text=True,
        # https://developers.facebook.com/docs/messenger-platform/reference/attachment-upload-api: pictures above 8 MB
        # go as files
        attachments=(AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),),
        supports=frozenset({"edit", "delete", "reaction", "reply_to", "read_receipt", "delivery_receipt", "choices"}),
        # https://developers.facebook.com/documentation/business-messaging/messenger-platform/policy
        reply_window=ReplyWindow(duration=timedelta(hours=24), not_for=PUBLIC_THREADS),
        identity_scope="account",
        provider_retry=RETRY,
        ids="stable",
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction, Delivery}),
    map=Later("connectors.messenger.mapping:map_event"),
    threads=Later("connectors.messenger.mapping:threads"),
    receive={"webhook": meta_webhook(Later("connectors.messenger.mapping:addresses"), address, attributes)},
    send=".send:MessengerSender",
    inactivity=timedelta(days=3),
)
