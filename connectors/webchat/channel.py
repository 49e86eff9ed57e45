"""Web chat: our own widget, over our own protocol."""

from datetime import timedelta

from connectors._shared.live.limits import MAX_TEXT_CHARS
from connectors.webchat.settings import WebchatSettings
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later

CHANNEL = Channel(
    name="webchat",
    title="Web chat",
    docs="https://www.rfc-editor.org/rfc/rfc6455",
    settings=WebchatSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "choices", "image", "audio", "video", "file"}),
        max_text_chars=MAX_TEXT_CHARS,
        attachments=(AttachmentRule(mime="*/*", max_bytes=25_000_000),),
        supports=frozenset({"typing", "read_receipt", "delivery_receipt", "choices", "history"}),
        outbound_first=False,
        identity_scope="account",
        ids="stable",
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.webchat.mapping:map_event"),
    threads=Later("connectors.webchat.mapping:threads"),
    receive={"socket": ".receive:WebchatReceiver"},
    send=".send:WebchatSender",
    inactivity=timedelta(days=1),
    tables=("history",),
)
