"""Any JSON, form or CloudEvents request as a message."""

from __future__ import annotations

from connectors.webhook.settings import WebhookSettings
from connectors.webhook.verify import secret_headers, stored_mapping, verify
from omnibus.channel.declaration import Capabilities, Channel
from omnibus.channel.events import Message
from omnibus.channel.later import Later
from omnibus.channel.receive import Webhook

CHANNEL = Channel(
    name="webhook",
    title="Webhook",
    docs="https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md",
    settings=WebhookSettings,
    capabilities=Capabilities(sends=frozenset({"text", "choices"}), supports=frozenset({"choices"}), ids="weak"),
    emits=frozenset({Message}),
    map=Later("connectors.webhook.mapping:map_event"),
    threads=Later("connectors.webhook.mapping:threads"),
    receive={"webhook": Webhook(verify=verify, attributes=stored_mapping, secret_headers_of=secret_headers)},
    send=".send:WebhookSender",
)
