"""LINE Messaging API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from connectors._shared.receivers import webhook_with_hmac
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Deletion, Message
from omnibus.channel.later import Later
from omnibus.config.fields import AccessToken, ApiUrl, AppSecret, Duration, Settings, between, described

API_URL = "https://api.line.me"
DATA_URL = "https://api-data.line.me"
MAX_FILE_BYTES = 100_000_000
"""Of a file that goes out as a link; LINE itself sets no limit to those."""


class LineSettings(Settings, frozen=True, kw_only=True):
    """One official account."""

    app_secret: Annotated[
        AppSecret, described("Channel secret, from Basic settings of the channel.", example="${LINE_SECRET}")
    ]
    access_token: Annotated[
        AccessToken, described("Channel access token (long-lived), from Messaging API.", example="${LINE_TOKEN}")
    ]
    reply_within: Annotated[
        Duration,
        between("0s", "1m"),
        described(
            "So long after a message an answer goes out as a reply, which costs nothing; later it is pushed. "
            "LINE takes replies for one minute. 0s always pushes."
        ),
    ] = timedelta(seconds=50)
    api_url: Annotated[ApiUrl, described("Address of the Messaging API; another one for tests and proxies.")] = API_URL
    data_url: Annotated[ApiUrl, described("Address that files come from; another one for tests and proxies.")] = (
        DATA_URL
    )


CHANNEL = Channel(
    name="line",
    title="LINE",
    docs="https://developers.line.biz/en/reference/messaging-api/",
    settings=LineSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "location", "choices"}),
        max_text_chars=5_000,  # https://developers.line.biz/en/reference/messaging-api/#text-message
        splits_text=True,
        attachments=(AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),),
        supports=frozenset({"delete", "reply_to", "group", "choices"}),
        outbound_first=True,
        identity_scope="business",
        # Wanted within two seconds; for how long redelivery goes on is not disclosed, so we assume little.
        # https://developers.line.biz/en/docs/messaging-api/check-webhook-error-statistics
        # https://developers.line.biz/en/docs/messaging-api/receiving-messages/#webhook-redelivery
        provider_retry=ProviderRetry(max_age=timedelta(hours=1), ack_deadline_ms=2_000),
    ),
    emits=frozenset({Message, Deletion}),
    map=Later("connectors.line.mapping:map_event"),
    threads=Later("connectors.line.mapping:threads"),
    receive={
        # https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
        "webhook": webhook_with_hmac(
            "x-line-signature",
            "app_secret",
            encoding="base64",
            challenge=Later("connectors.line.webhook:challenge"),
        ),
        "files": ".files:LineFiles",
    },
    send=".send:LineSender",
    media=".media:LineMedia",
    inactivity=timedelta(days=3),
)
