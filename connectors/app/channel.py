"""Mobile app: a company's own app, over our own protocol."""

from datetime import timedelta

from connectors._shared.live.limits import MAX_TEXT_CHARS
from connectors.app.settings import AppSettings
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later

CHANNEL = Channel(
    name="app",
    title="Mobile app",
    docs="https://www.rfc-editor.org/rfc/rfc6455",
    settings=AppSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "choices", "image", "audio", "video", "file"}),
        max_text_chars=MAX_TEXT_CHARS,
        attachments=(AttachmentRule(mime="*/*", max_bytes=25_000_000),),
        supports=frozenset({"typing", "read_receipt", "delivery_receipt", "choices", "history"}),
        outbound_first=True,
        identity_scope="account",
        ids="stable",
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.app.mapping:map_event"),
    threads=Later("connectors.app.mapping:threads"),
    receive={"line": ".receive:AppReceiver", "push": ".push:AppPusher"},
    send=".send:AppSender",
    inactivity=timedelta(days=3),
    tables=("history", "devices", "seen"),
)
