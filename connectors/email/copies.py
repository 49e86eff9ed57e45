"""Copies of one mail: where each was brought to, and what they have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from connectors.email.addressing import without_tag
from connectors.email.mail import Mail
from connectors.email.threads import bare_subject
from omnibus.channel.events import Media
from omnibus.model.raw import RawEvent

_MAX_MAILBOXES = 500


def fingerprint_of(mail: Mail, files: Sequence[Media] = ()) -> str:
    """What two copies of a mail have in common and two mails with one Message-ID have not: sender, date, words, files.

    Not in it is what changes on the way: trace fields, encodings, lists' marks in the subject.
    """
    sender = mail.sender.normalized if mail.sender is not None else ""
    date = mail.date.isoformat() if mail.date is not None else ""
    words = " ".join(mail.text.split())
    said = [sender, date, bare_subject(mail.subject), words, *(f"{file.file_name} {file.size}" for file in files)]
    digest = hashlib.blake2b(digest_size=12)
    for each in said:
        digest.update(each.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()


def mailbox_of(raw: RawEvent, mail: Mail) -> str | None:
    """The addresses this copy was brought to: by the envelope, or as the server noted them, or the account's first."""
    envelope = raw.attributes.get("rcpt_to", "").split()
    noted = [address.email for name in ("delivered-to", "x-original-to") for address in mail.addresses(name)[:1]]
    own = raw.attributes.get("own", "").split()
    found = [without_tag(address) for address in envelope or noted[:1] or own[:1]]
    return ", ".join(dict.fromkeys(found))[:_MAX_MAILBOXES] or None


def recipients_of(raw: RawEvent, mail: Mail) -> list[str]:
    """Every address the mail was sent to: envelope first, then what the fields say."""
    fields = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
    named = [address.email for field in fields for address in mail.addresses(field)]
    return [*raw.attributes.get("rcpt_to", "").split(), *named]
