"""One mail, read: its fields, its text, its files. What the mapping, the corpus run and the bounce reader share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from connectors._shared.mime.addresses import Address, names_without_address, parse_addresses
from connectors._shared.mime.dates import parse_date
from connectors._shared.mime.flowed import unflow
from connectors._shared.mime.headers import Headers
from connectors._shared.mime.parse import Part, parse
from connectors._shared.mime.structure import Bodies, bodies_of, text_of_part
from connectors.email.enclosed import Enclosed, without_uuencoded
from connectors.email.forward import Forward, read_forward
from connectors.email.html import html_to_text
from connectors.email.reply import Reply, split_reply
from connectors.email.reply_html import split_html_reply
from connectors.email.tnef import files_in_tnef, text_in_tnef

MAX_TEXT = 200_000
"""Characters of text kept in an event; the raw event has all of it."""
MAX_READ = 1_000_000
"""Characters of text looked at: nobody writes more by hand, and answers are at the top or at the bottom of less."""
_MAX_ID = 900
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_BRACKETED = re.compile(r"<([^<>]{1,900})>")


@dataclass
class Mail:
    """A parsed mail. Fields are read when asked for, and never raise."""

    root: Part
    _addresses: dict[str, list[Address]] = field(default_factory=dict)

    @property
    def headers(self) -> Headers:
        return self.root.headers

    @cached_property
    def bodies(self) -> Bodies:
        return bodies_of(self.root)

    def addresses(self, field: str) -> list[Address]:
        """Every mailbox of the fields with that name."""
        if field not in self._addresses:
            self._addresses[field] = parse_addresses(self.headers.every_raw(field))
        return self._addresses[field]

    def bare_names(self, field: str) -> list[str]:
        """What the fields of that name say where they name no mailbox."""
        return names_without_address(self.headers.every_raw(field))

    @cached_property
    def sender(self) -> Address | None:
        """From, else Sender."""
        return next(iter([*self.addresses("from"), *self.addresses("sender")]), None)

    @cached_property
    def subject(self) -> str:
        return (self.headers.get("subject") or "").strip()

    @cached_property
    def message_id(self) -> str | None:
        return next(iter(message_ids(self.headers.every_raw("message-id"))), None)

    @cached_property
    def in_reply_to(self) -> list[str]:
        return list(message_ids(self.headers.every_raw("in-reply-to")))

    @cached_property
    def references(self) -> list[str]:
        return list(message_ids(self.headers.every_raw("references")))

    @cached_property
    def date(self) -> datetime | None:
        """The first Date field that makes sense."""
        return next(filter(None, map(parse_date, self.headers.every_raw("date"))), None)

    @cached_property
    def html(self) -> str | None:
        """The HTML body, its parts one after the other; None when the mail has none."""
        parts = [text_of_part(part) for part in self.bodies.html if part.content_type == "text/html"]
        return "\n".join(parts) if parts else None

    @cached_property
    def plain(self) -> str | None:
        """The plain text body; None when the mail has none or it is blank beside an HTML body."""
        parts = [self._own_text(part) for part in self.bodies.text if part.content_type == "text/plain"]
        joined = "\n".join(part for part in parts if part.strip())
        return joined if joined.strip() or (parts and not self.html) else None

    @cached_property
    def text(self) -> str:
        """All that was written, as plain text; parts of HTML are converted where they stand."""
        return self._whole_text()[:MAX_READ]

    def _whole_text(self) -> str:
        if self.plain is not None and not any(part.content_type == "text/html" for part in self.bodies.text):
            return self.plain.strip("\n") or self._text_in_tnef()
        texts = [
            html_to_text(text_of_part(part)) if part.content_type == "text/html" else self._own_text(part).strip("\n")
            for part in self.bodies.text
        ]
        return "\n\n".join(text for text in texts if text.strip()) or self._text_in_tnef()

    def _text_in_tnef(self) -> str:
        """Outlook may send all it has to say in `winmail.dat`."""
        found = (text_in_tnef(part.decoded()) for part in self.bodies.files if part.content_type in _TNEF)
        return next((text for text in found if text.strip()), "")

    def _own_text(self, part: Part) -> str:
        return without_uuencoded(plain_text(part)[:MAX_READ])[0]

    @cached_property
    def enclosed(self) -> list[Enclosed]:
        """Files that are no parts: uuencoded in the text, and what is in Outlook's `winmail.dat`."""
        found = [
            file
            for part in self.bodies.text
            if part.content_type == "text/plain"
            for file in without_uuencoded(plain_text(part)[:MAX_READ])[1]
        ]
        for part in self.bodies.files:
            if part.content_type in _TNEF:
                found += [Enclosed(name, data) for name, data in files_in_tnef(part.decoded())]
        return found

    @cached_property
    def reply(self) -> Reply:
        """What its author wrote this time. HTML says better than text where a quotation is, but only if it is alone."""
        if self.plain is None and self.html is not None:
            return split_html_reply(self.html)
        return split_reply(self.text)

    @cached_property
    def forward(self) -> Forward | None:
        """The mail that this one forwards in its text."""
        return read_forward(self.text, self.subject)


def read_mail(data: bytes) -> Mail:
    """The mail in these bytes. Anything is a mail: what has no headers is all text."""
    return Mail(parse(data))


def plain_text(part: Part) -> str:
    """A plain part's text, lines that were only wrapped for sending joined again (RFC 3676)."""
    text = text_of_part(part)
    if part.params.get("format", "").lower() == "flowed":
        return unflow(text, delete_space=part.params.get("delsp", "").lower() == "yes")
    return text


def message_ids(values: Iterable[str]) -> Iterator[str]:
    """The ids in these fields, without brackets, each once; a bare word with an @ counts as one."""
    seen: set[str] = set()
    for value in values:
        found = _BRACKETED.findall(value) or [word for word in re.split(r"[\s,<>]+", value) if "@" in word]
        for each in found:
            name = re.sub(r"\s+", "", each)
            if name and len(name) <= _MAX_ID and name not in seen:
                seen.add(name)
                yield name
