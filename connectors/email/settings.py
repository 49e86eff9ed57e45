"""What one mailbox needs to know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal

from msgspec import Meta

from omnibus.config.fields import (
    ClientSecret,
    Duration,
    EmailAddress,
    FilePath,
    Host,
    Password,
    PollEvery,
    Port,
    RefreshToken,
    Settings,
    Size,
    Url,
    between,
    described,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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


class DkimSettings(Settings, frozen=True, kw_only=True):
    """How answers are signed (RFC 6376): with RSA or Ed25519, by the kind of the key."""

    domain: Annotated[Host, described("Signing domain, that of the sender address.", example="example.com")]
    selector: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"), described("Selector of the published key.")
    ]
    key: Annotated[FilePath, described("Private key (PEM).")]


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
    quote: Annotated[bool, described("Quote the mail that is answered below the answer.")] = True
    dkim: Annotated[DkimSettings | None, described("Sign answers (DKIM), where the server does not.")] = None
    timeout: Annotated[Duration, between("1s", "10m"), described("How long to wait for the server.", example="30s")] = (
        timedelta(seconds=30)
    )


class OauthSettings(Settings, frozen=True, kw_only=True):
    """How a token for XOAUTH2 is had: a refresh token that was granted once, and where it is exchanged."""

    token_url: Annotated[
        Url, described("Where tokens are issued.", example="https://login.example.com/oauth2/v2.0/token")
    ]
    client_id: Annotated[str, described("OAuth client id.")]
    client_secret: Annotated[ClientSecret | None, described("OAuth client secret, where the client has one.")] = None
    refresh_token: Annotated[RefreshToken, described("OAuth refresh token of the mailbox.")]
    scope: Annotated[str | None, described("Scope to ask for, where the provider wants one.")] = None


class BackfillSettings(Settings, frozen=True, kw_only=True):
    """Mail that was there before: taken once, marked `origin=backfill`. Give one of both bounds."""

    since: Annotated[date | None, described("Mail that arrived on this day or later.", example="2026-01-31")] = None
    count: Annotated[Annotated[int, Meta(ge=1, le=10_000_000)] | None, described("So many of the newest mails.")] = None

    def __post_init__(self) -> None:
        if (self.since is None) == (self.count is None):
            raise ValueError("give either since or count")


class ImapSettings(Settings, frozen=True, kw_only=True):
    """A mailbox that is read by IMAP (the extra `omnibus[imap]`)."""

    host: Annotated[Host, described("IMAP server.", example="imap.example.com")]
    port: Annotated[Port, described("Port of the IMAP server.")] = 993
    tls: Annotated[bool, described("Encrypt the connection; `false` is for servers on this machine.")] = True
    user: Annotated[str, described("Login name.", example="help@example.com")]
    password: Annotated[Password | None, described("Password or app password; not with `oauth`.")] = None
    oauth: Annotated[OauthSettings | None, described("Log in with XOAUTH2 (Google, Microsoft).")] = None
    folders: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=50), described("Folders to read; the first is watched.")
    ] = ("INBOX",)
    after: Annotated[
        str,
        Meta(pattern=r"^(?:leave|flag|delete|move:.{1,200})$"),
        described("What happens to a mail once the log has it: leave, flag (as read), delete, or move:FOLDER."),
    ] = "leave"
    backfill: Annotated[BackfillSettings | None, described("Take mail that was there before, once.")] = None
    max_size: Annotated[
        Size, between("1KB", "1GB"), described("Larger mails are recorded without their body.", example="50MB")
    ] = 50_000_000
    idle: Annotated[
        Duration, between("1s", "29m"), described("How often to renew the wait for news (IDLE).", example="9m")
    ] = timedelta(minutes=9)
    poll_every: Annotated[PollEvery, between("1s", "1d")] = timedelta(minutes=1)
    timeout: Annotated[Duration, between("1s", "10m"), described("How long to wait for the server.", example="1m")] = (
        timedelta(minutes=1)
    )

    def __post_init__(self) -> None:
        if (self.password is None) == (self.oauth is None):
            raise ValueError("give either password or oauth")
        if any(_CONTROL.search(name) for name in (*self.folders, self.after, self.user)):
            raise ValueError("names have no control characters")

    @property
    def move_to(self) -> str | None:
        """The folder that mails go to once the log has them."""
        return self.after.removeprefix("move:") if self.after.startswith("move:") else None


class EmailSettings(Settings, frozen=True, kw_only=True):
    """One mailbox: who it is, how mail comes in, and how answers leave."""

    addresses: Annotated[
        tuple[EmailAddress, ...],
        Meta(min_length=1, max_length=500),
        described("Addresses of this mailbox; mail to others is refused.", example="help@example.com"),
    ]
    smtp: Annotated[ListenSettings | None, described("Take mail by SMTP or LMTP.")] = None
    trusted_authserv: Annotated[
        tuple[str, ...],
        Meta(max_length=20),
        described("Servers whose Authentication-Results are believed.", example="mx.example.com"),
    ] = ()
    follow_up_on_new_subject: Annotated[
        bool, described("An answer with another subject begins a conversation of its own.")
    ] = False
    group: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        described("A mail to several accounts of one group is one message; one worker does the mail of a group."),
    ] = "default"
    imap: Annotated[ImapSettings | None, described("Read a mailbox by IMAP.")] = None
    outgoing: Annotated[OutgoingSettings | None, described("Send answers through this server.")] = None

    @property
    def receive(self) -> Sequence[str]:
        """The ways in that this mailbox uses."""
        return [name for name in ("smtp", "imap") if getattr(self, name) is not None]


def scope_of(settings: EmailSettings) -> str:
    """What mailboxes share their threads in: a colon is in no account's name."""
    return f"email:{settings.group}"
