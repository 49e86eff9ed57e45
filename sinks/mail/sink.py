"""Ticket mailbox: every message of a conversation as a mail, one mail thread for each conversation."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from omnibus.config.fields import Duration, EmailAddress, FilePath, Host, Password, Port, Size, Timeout, described
from sinks._engine.declaration import EventName, Sink, SinkSettings


class MailSettings(SinkSettings, frozen=True, kw_only=True):
    """The mail server, and how the mails are addressed."""

    host: Annotated[Host, described("Mail server that takes the mails.", example="smtp.example.com")]
    port: Annotated[Port, described("Its port: 587 for starttls, 465 for tls.")] = 587
    tls: Annotated[
        Literal["starttls", "tls", "none"], described("How the connection is protected; none only on this machine.")
    ] = "starttls"
    ca_file: Annotated[FilePath | None, described("PEM file with the authority to trust, for a private one.")] = None
    username: Annotated[str | None, described("Account at the mail server; empty sends without login.")] = None
    password: Annotated[Password | None, described("Password of the account at the mail server.")] = None
    sender: Annotated[EmailAddress, described("Address the mails come from.", example="omnibus@example.com")]
    to: Annotated[EmailAddress, described("Mailbox of the ticket system.", example="tickets@example.com")]
    reply_to: Annotated[EmailAddress | None, described("Address that answers should go to.")] = None
    domain: Annotated[Host | None, described("Domain of the Message-IDs; empty takes that of the sender.")] = None
    max_attachment_bytes: Annotated[
        Size, described("Attachments of one mail together; what is beyond is listed by name.", example="10MB")
    ] = 10_000_000
    timeout: Annotated[Timeout, described("How long the mail server may take for one step.")] = timedelta(seconds=30)
    idle_close: Annotated[Duration, described("Close the connection when nothing was sent for so long.")] = timedelta(
        seconds=30
    )
    events: Annotated[tuple[EventName, ...], described("The kinds of events that become mails.")] = (
        "conversation.assigned",
        "message.received",
        "message.sent",
        "message.edited",
        "message.attachment",
    )


SINK = Sink(
    name="mail",
    title="Ticket mailbox",
    docs="https://www.rfc-editor.org/rfc/rfc5322",
    settings=MailSettings,
    make=".deliver:MailSink",
    concurrency=8,
    needs=frozenset({"smtp", "blobs"}),
)
