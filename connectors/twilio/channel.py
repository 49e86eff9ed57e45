"""Twilio: text messages, phone calls and voicemail."""

from __future__ import annotations

from datetime import timedelta

from connectors.twilio.settings import MAX_FILE_BYTES, TwilioSettings
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel, ProviderRetry
from omnibus.channel.events import CallEvent, Delivery, Message
from omnibus.channel.later import Later
from omnibus.channel.receive import Webhook

CHANNEL = Channel(
    name="twilio",
    title="Twilio",
    docs="https://www.twilio.com/docs/messaging/guides/webhook-request",
    settings=TwilioSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "image", "audio", "video", "file", "template"}),
        max_text_chars=1_600,  # https://www.twilio.com/docs/api/errors/21617
        splits_text=True,
        # 5 MB for all of a message; carriers take less of anything but pictures.
        # https://www.twilio.com/docs/messaging/guides/accepted-mime-types
        attachments=(AttachmentRule(mime="*/*", max_bytes=MAX_FILE_BYTES),),
        supports=frozenset({"delivery_receipt", "templates"}),
        outbound_first=True,
        identity_scope="global",
        # 15 seconds, once more when nothing was heard: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
        provider_retry=ProviderRetry(max_age=timedelta(minutes=1), ack_deadline_ms=15_000),
        ids="stable",
    ),
    emits=frozenset({Message, Delivery, CallEvent}),
    map=Later("connectors.twilio.mapping:map_event"),
    threads=Later("connectors.twilio.mapping:threads"),
    receive={
        "webhook": Webhook(
            verify=Later("connectors.twilio.verify:verify"),
            answer_with=Later("connectors.twilio.twiml:answer"),
            methods=frozenset({"POST", "GET"}),
        ),
        "files": ".files:TwilioFiles",
    },
    send=".send:TwilioSender",
    media=".media:TwilioMedia",
    inactivity=timedelta(days=3),
)
