"""Instagram: direct messages, comments and mentions."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from connectors._shared.meta.direct.limits import MAX_FILE_BYTES, MAX_IMAGE_BYTES
from connectors._shared.meta.direct.place import PUBLIC_THREADS
from connectors._shared.meta.settings import DirectSettings, attributes
from connectors._shared.meta.webhook import RETRY, meta_webhook
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ReplyWindow
from omnibus.channel.events import Deletion, Delivery, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.config.fields import AccessToken, ApiUrl, described

API_URL = "https://graph.instagram.com"
FACEBOOK_URL = "https://graph.facebook.com"
MAX_TEXT_BYTES = 1_000
"""https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api"""


class InstagramSettings(DirectSettings, frozen=True, kw_only=True):
    """One professional profile; further profiles of the same app may share its address (see README)."""

    account_id: Annotated[
        str,
        Meta(pattern=r"^[0-9]{1,32}$"),
        described("Id of the profile as webhooks have it (`user_id` of /me).", example="178410000000101"),
    ]
    access_token: Annotated[
        AccessToken,
        described("Token of the profile, with instagram_business_manage_messages.", example="${IG_TOKEN}"),
    ]
    api_url: Annotated[
        ApiUrl, described("Address of the API: graph.facebook.com for tokens of a linked page; another one for tests.")
    ] = API_URL


def address(settings: InstagramSettings) -> str:
    return settings.account_id


CHANNEL = Channel(
    name="instagram",
    title="Instagram",
    docs="https://developers.facebook.com/docs/instagram-platform/overview",
    settings=InstagramSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "choices", "card", "carousel"}),
        max_text_chars=MAX_TEXT_BYTES,
        splits_text=True,
        attachments=(  # https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api
            AttachmentRule(mime="image/*", max_bytes=MAX_IMAGE_BYTES),
            AttachmentRule(mime="audio/*", max_bytes=MAX_FILE_BYTES),
            AttachmentRule(mime="video/*", max_bytes=MAX_FILE_BYTES),
            AttachmentRule(mime="application/pdf", max_bytes=MAX_FILE_BYTES),
        ),
        supports=frozenset({"edit", "delete", "reaction", "reply_to", "read_receipt", "choices"}),
        reply_window=ReplyWindow(duration=timedelta(hours=24), not_for=PUBLIC_THREADS),
        identity_scope="account",
        provider_retry=RETRY,
        ids="stable",
    ),
    emits=frozenset({Message, Edit, Deletion, Reaction, Delivery}),
    map=Later("connectors.instagram.mapping:map_event"),
    threads=Later("connectors.instagram.mapping:threads"),
    receive={"webhook": meta_webhook(Later("connectors.instagram.mapping:addresses"), address, attributes)},
    send=".send:InstagramSender",
    inactivity=timedelta(days=3),
)
