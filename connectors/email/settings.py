"""What one mailbox needs to know."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta

from omnibus.config.fields import (
    Duration,
    EmailAddress,
    FilePath,
    Host,
    Password,
    Port,
    Settings,
    Size,
    between,
    described,
)


class ListenSettings(Settings, frozen=True, kw_only=True):
    """A listener that other mail servers hand mail to. Accounts with the same host and port share one."""

    host: Annotated[Host, described("Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, described("Port to listen on.")] = 8025
    lmtp: Annotated[bool, described("Speak LMTP (RFC 2033) instead of SMTP, one answer for each recipient.")] = False
    tls_cert: Annotated[FilePath | None, described("Certificate chain (PEM): offers STARTTLS.")] = None
    tls_key: Annotated[FilePath | None, described("Private key (PEM) of the certificate.")] = None
    require_tls: Annotated[bool, described("Take mail over STARTTLS only.")] = False
    max_size: Annotated[Size, described("Largest mail taken; announced to the sender.", example="25MB")] = 25_000_000
    max_connections: Annotated[
        int, Meta(ge=1, le=10_000), described("Connections at a time; more are asked to come back.")
    ] = 200
    timeout: Annotated[
        Duration, between("1s", "1h"), described("How long a silent connection stays open.", example="5m")
    ] = timedelta(minutes=5)


class OutgoingSettings(Settings, frozen=True, kw_only=True):
    """The server that takes our mail."""

    host: Annotated[Host, described("Submission server.", example="smtp.example.com")]
    port: Annotated[Port, described("Port of the submission server.")] = 587
    tls: Annotated[
        Literal["starttls", "tls", "none"], described("Encryption; `none` is for servers on this machine.")
    ] = "starttls"
    user: Annotated[str | None, described("Login name, where the server wants one.")] = None
    password: Annotated[Password | None, described("Password or app password of that login.")] = None
    address: Annotated[
        EmailAddress | None, described("Sender address; the first of the account's addresses if not given.")
    ] = None
    name: Annotated[str | None, described("Sender name people see.", example="Example Support")] = None
    reply_tag: Annotated[
        bool, described("Put a reply address with a token (help+c-...@) into answers; the mailbox must accept it.")
    ] = True
    connections: Annotated[int, Meta(ge=1, le=20), described("Connections at a time.")] = 2
    timeout: Annotated[Duration, between("1s", "10m"), described("How long to wait for the server.", example="30s")] = (
        timedelta(seconds=30)
    )


class EmailSettings(Settings, frozen=True, kw_only=True):
    """One mailbox: who it is, how mail comes in, and how answers leave."""

    addresses: Annotated[
        tuple[EmailAddress, ...],
        Meta(min_length=1, max_length=500),
        described("Addresses of this mailbox; mail to others is refused.", example="help@example.com"),
    ]
    smtp: Annotated[ListenSettings | None, described("Take mail by SMTP or LMTP.")] = None
    outgoing: Annotated[OutgoingSettings | None, described("Send answers through this server.")] = None
