"""Any SMS gateway that speaks plain HTTP, described by its settings."""

from __future__ import annotations

from datetime import timedelta

from connectors.sms_gateway.settings import GatewaySettings
from omnibus.channel.declaration import Capabilities, Channel, ProviderRetry
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later
from omnibus.channel.receive import Webhook

CHANNEL = Channel(
    name="sms_gateway",
    title="SMS gateway",
    docs="https://docs.jasminsms.com/en/latest/apis/ja-http/index.html",
    settings=GatewaySettings,
    capabilities=Capabilities(
        sends=frozenset({"text"}),
        max_text_chars=765,  # five parts of 153 septets; outgoing.max_parts changes it, and UCS-2 halves it
        splits_text=True,
        supports=frozenset({"delivery_receipt"}),
        outbound_first=True,
        identity_scope="global",
        # Jasmin's defaults, three times after 30 seconds: https://docs.jasminsms.com/en/latest/apis/ja-http/index.html
        provider_retry=ProviderRetry(max_age=timedelta(minutes=2), ack_deadline_ms=30_000),
        ids="weak",
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.sms_gateway.mapping:map_event"),
    threads=Later("connectors.sms_gateway.mapping:threads"),
    receive={
        "webhook": Webhook(
            verify=Later("connectors.sms_gateway.receive:verify"),
            answer_with=Later("connectors.sms_gateway.receive:answer"),
            attributes=Later("connectors.sms_gateway.receive:kept"),
            secret_headers_of=Later("connectors.sms_gateway.receive:secret_headers"),
            secret_params_of=Later("connectors.sms_gateway.receive:secret_params"),
            methods=frozenset({"GET", "POST"}),
        )
    },
    send=".send:GatewaySender",
    inactivity=timedelta(days=3),
)
