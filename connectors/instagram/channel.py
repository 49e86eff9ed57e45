"""Instagram: direct messages, comments and mentions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from connectors._shared.meta.direct.limits import MAX_FILE_BYTES, MAX_IMAGE_BYTES
from connectors._shared.meta.direct.place import APP_ID, PUBLIC_THREADS
from connectors._shared.meta.webhook import RETRY, meta_webhook
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ReplyWindow
from omnibus.channel.events import Deletion, Delivery, Edit, Message, Reaction
from omnibus.channel.later import Later
from omnibus.channel.receive import Request
from omnibus.config.fields import AccessToken, ApiUrl, AppSecret, Settings, VerifyToken, described

API_URL = "https://graph.instagram.com"
FACEBOOK_URL = "https://graph.facebook.com"
API_VERSION = "v24.0"
MAX_TEXT_BYTES = 1_000
"""https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api"""


class InstagramSettings(Settings, frozen=True, kw_only=True):
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
    app_secret: Annotated[
        AppSecret, described("Secret of the Instagram app, which signs the webhooks.", example="${IG_APP_SECRET}")
    ]
    verify_token: Annotated[
        VerifyToken, described("The verify token you entered beside the callback URL.", example="${IG_VERIFY_TOKEN}")
    ]
    app_id: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,32}$")] | None,
        described("Id of the app: what it sends is not shown twice."),
    ] = None
    previous_app_secret: Annotated[
        AppSecret | None, described("Also accepted, while the app secret is being reset.")
    ] = None
    api_version: Annotated[str, Meta(pattern=r"^v[0-9]{1,3}\.[0-9]{1,2}$"), described("Version of the Graph API.")] = (
        API_VERSION
    )
    api_url: Annotated[
        ApiUrl, described("Address of the API: graph.facebook.com for tokens of a linked page; another one for tests.")
    ] = API_URL


def address(settings: InstagramSettings) -> str:
    return settings.account_id


def attributes(_request: Request, settings: InstagramSettings) -> Mapping[str, str]:
    return {} if settings.app_id is None else {APP_ID: settings.app_id}


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
