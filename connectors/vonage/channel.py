"""Vonage: Messages API and SMS API."""

from __future__ import annotations

from datetime import timedelta

from connectors.vonage.settings import MAX_FILE_BYTES, VonageSettings
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Delivery, Message, Reaction
from omnibus.channel.later import Later
from omnibus.channel.receive import Webhook

CHANNEL = Channel(
    name="vonage",
    title="Vonage",
    docs="https://developer.vonage.com/en/api/messages",
    settings=VonageSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "template"}),
        max_text_chars=1_000,  # of a text message, https://developer.vonage.com/en/api/messages
        splits_text=True,
        attachments=(  # WhatsApp's; picture messages of phones take less, as their carriers do
            AttachmentRule(mime="image/*", max_bytes=5_000_000),
            AttachmentRule(mime="audio/*", max_bytes=16_000_000),
            AttachmentRule(mime="video/*", max_bytes=16_000_000),
            AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),
        ),
        supports=frozenset({"reaction", "reply_to", "read_receipt", "delivery_receipt", "templates"}),
        outbound_first=True,
        identity_scope="global",
        # Repeated for 24 hours, but only after no answer, 429 or 5xx; an answer may take 15 seconds:
        # https://api.support.vonage.com/hc/en-us/articles/360028543292
        # https://api.support.vonage.com/hc/en-us/articles/226572227
        provider_retry=ProviderRetry(max_age=timedelta(hours=24), ack_deadline_ms=15_000),
        ids="stable",
    ),
    emits=frozenset({Message, Delivery, Reaction}),
    map=Later("connectors.vonage.mapping:map_event"),
    threads=Later("connectors.vonage.mapping:threads"),
    receive={
        "webhook": Webhook(verify=Later("connectors.vonage.verify:verify"), methods=frozenset({"POST", "GET"})),
        "files": ".files:VonageFiles",
    },
    send=".send:VonageSender",
    media=".media:VonageMedia",
    inactivity=timedelta(days=3),
)
