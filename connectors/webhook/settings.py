"""What an operator sets for a webhook account."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from omnibus.config.fields import Duration, Secret, Settings, Url, WebhookSecret, described

Paths = str | tuple[str, ...]
"""One place in the body or several, the first that has something wins: ``message.text``, or ``/message/text``."""

MAPPING_ATTRIBUTE = "mapping"
"""The attribute of a raw event that holds its account's mapping, where that is not the default."""


class MappingSettings(Settings, frozen=True, kw_only=True):
    """Where things are in the body. A path is dotted (``message.text``) or a JSON Pointer (``/message/text``)."""

    items: Annotated[Paths, described("The list of messages in a batch; without it the body is one.")] = ()
    id: Annotated[Paths, described("Id of the message: the same id again is the same message.")] = (
        "id",
        "message.id",
        "message_id",
        "uuid",
    )
    thread: Annotated[Paths, described("What belongs together; without it, all that one sender writes.")] = (
        "thread",
        "thread_id",
        "conversation_id",
        "conversation.id",
        "message.thread_id",
    )
    text: Annotated[Paths, described("The words.")] = (
        "text",
        "message.text",
        "message",
        "body",
        "content.text",
        "content",
    )
    subject: Annotated[Paths, described("The subject line.")] = ("subject", "title", "message.subject")
    time: Annotated[Paths, described("When it was written: RFC 3339, or seconds or milliseconds since 1970.")] = (
        "time",
        "timestamp",
        "created_at",
        "sent_at",
        "message.timestamp",
    )
    sender_id: Annotated[Paths, described("Who wrote: an id of your own, a mail address or a phone number.")] = (
        "from",
        "sender",
        "from.id",
        "sender.id",
        "user.id",
        "user_id",
        "customer.id",
    )
    sender_name: Annotated[Paths, described("The name of who wrote.")] = (
        "from.name",
        "sender.name",
        "user.name",
        "customer.name",
        "name",
    )
    sender_email: Annotated[Paths, described("The mail address of who wrote.")] = (
        "from.email",
        "sender.email",
        "user.email",
        "customer.email",
        "email",
    )
    sender_phone: Annotated[Paths, described("The phone number of who wrote, with its country code.")] = (
        "from.phone",
        "sender.phone",
        "user.phone",
        "customer.phone",
        "phone",
    )
    attachments: Annotated[Paths, described("Files: addresses, or objects with url, mime and name.")] = (
        "attachments",
        "files",
        "message.attachments",
    )
    attributes: Annotated[Paths, described("An object whose plain values come along as attributes.")] = (
        "attributes",
        "metadata",
    )


class HmacSettings(Settings, frozen=True, kw_only=True):
    """How the sender signs, for `verify: hmac`."""

    header: Annotated[str, described("Header with the signature.")] = "X-Signature"
    prefix: Annotated[str, described("What stands before the signature.", example="sha256=")] = ""
    encoding: Annotated[Literal["hex", "base64"], described("How the signature is written.")] = "hex"
    algorithm: Annotated[Literal["sha1", "sha256", "sha512"], described("The hash.")] = "sha256"
    timestamp_header: Annotated[
        str | None, described("Header with the signed time; without it, only the body is signed.")
    ] = None
    template: Annotated[str, described("What is signed before the body when there is a time.")] = "{timestamp}."
    window: Annotated[Duration, described("How far the signed time may be from now.")] = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if self.timestamp_header and "{timestamp}" not in self.template:
            raise ValueError("template needs {timestamp}, or the time would not be signed")


class WebhookSettings(Settings, frozen=True, kw_only=True):
    """One address that takes messages as HTTP requests."""

    verify: Annotated[
        Literal["loopback", "none", "token", "bearer", "hmac", "standard_webhooks"],
        described("How a sender proves itself; loopback: by running on this machine."),
    ] = "loopback"
    webhook_secret: Annotated[WebhookSecret | None, described("Token, or secret of the signature.")] = None
    previous_secret: Annotated[Secret | None, described("Also accepted, while senders change to the new one.")] = None
    token_header: Annotated[str, described("Header with the token, for verify: token.")] = "X-Webhook-Token"  # noqa: S105 - the name of a header, not a token
    hmac: Annotated[HmacSettings, described("How the sender signs, for verify: hmac.")] = msgspec.field(
        default_factory=HmacSettings
    )
    mapping: Annotated[MappingSettings, described("Where things are in the body.")] = msgspec.field(
        default_factory=MappingSettings
    )
    reply_url: Annotated[Url | None, described("Where replies are posted; without it, nobody can be answered.")] = None
    reply_secret: Annotated[
        Secret | None, described("Signs the replies as Standard Webhooks; without it, they are not signed.")
    ] = None
    allow_private: Annotated[bool, described("Let reply_url be on this machine or in a private network.")] = False

    def __post_init__(self) -> None:
        if self.verify not in ("loopback", "none") and self.webhook_secret is None:
            raise ValueError(f"verify: {self.verify} needs webhook_secret")
