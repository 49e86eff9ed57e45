"""E-mail: the oldest channel, and the one where most is lost or garbled elsewhere."""

from __future__ import annotations

from datetime import timedelta

from connectors.email.settings import EmailSettings, scope_of
from omnibus.channel.declaration import AttachmentRule, Capabilities, Channel
from omnibus.channel.events import Delivery, Message
from omnibus.channel.later import Later

CHANNEL = Channel(
    name="email",
    title="E-mail",
    docs="https://www.rfc-editor.org/rfc/rfc5322",
    settings=EmailSettings,
    capabilities=Capabilities(
        sends=frozenset({"text", "email", "image", "audio", "video", "file"}),
        # Most servers refuse mails above 25 MB; base64 makes a file a third larger.
        attachments=(AttachmentRule(mime="*/*", max_bytes=18_000_000),),
        supports=frozenset({"reply_to", "delivery_receipt", "group"}),
        outbound_first=True,
        identity_scope="global",
        ids="weak",
    ),
    emits=frozenset({Message, Delivery}),
    map=Later("connectors.email.mapping:map_mail"),
    threads=Later("connectors.email.mapping:threads"),
    receive={"smtp": ".receive:SmtpListener", "imap": ".imap.receive:ImapReceiver"},
    send=".send:EmailSender",
    scope=scope_of,
    inactivity=timedelta(days=14),
)
