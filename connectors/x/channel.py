"""X (Twitter)."""

from datetime import timedelta

from connectors.x.settings import XSettings
from connectors.x.webhook import X_WEBHOOK
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later

CHANNEL = Channel(
    name="x",
    title="X (Twitter)",
    docs="https://docs.x.com/x-api/account-activity/introduction",
    settings=XSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "video"}),
        max_text_chars=10_000,  # of a direct message; a post has 280, https://docs.x.com/fundamentals/counting-characters
        splits_text=True,
        attachments=(  # https://docs.x.com/x-api/media/quickstart/best-practices#size-and-duration-limits
            AttachmentRule(mime="image/jpeg", max_bytes=5_000_000),
            AttachmentRule(mime="image/png", max_bytes=5_000_000),
            AttachmentRule(mime="image/webp", max_bytes=5_000_000),
            AttachmentRule(mime="image/gif", max_bytes=15_000_000),
            AttachmentRule(mime="video/mp4", max_bytes=512_000_000),
        ),
        supports=frozenset({"reply_to", "read_receipt"}),
        identity_scope="global",
        # Three times within five minutes, where the contract has that. Older requests come when a replay is ordered,
        # which goes back five days.
        # https://developer.x.com/en/docs/x-api/enterprise/account-activity-api/guides/activity-retries
        # https://docs.x.com/x-api/account-activity/create-replay-job
        # https://docs.x.com/x-api/webhooks/introduction#webhook-requirements
        provider_retry=ProviderRetry(max_age=timedelta(minutes=5), ack_deadline_ms=10_000),
        ids="stable",
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.x.mapping:map_event"),
    threads=Later("connectors.x.mapping:threads"),
    receive={"webhook": X_WEBHOOK},
    send=".send:XSender",
    media=".media:XMedia",
    inactivity=timedelta(days=3),
)
