"""Coverage-guided fuzzing of the parser and the reply splitter: any bytes are a mail, and no mail raises.

python tests/connectors/email/fuzz_mail.py [-max_total_time=60] [FOLDER]; needs `pip install atheris`.

Bytes alone rarely become a mail with parts. Half of what is tried is built from them: a tree of parts with fields,
encodings and charsets that mails have, so that what the fuzzer changes is what stands in them. The executions and the
coverage reached are in connectors/email/README.md.
"""

from __future__ import annotations

import base64
import quopri
import struct
import sys
from datetime import UTC, datetime

import atheris  # type: ignore  # optional: absent or without types

with atheris.instrument_imports(include=["connectors"]):
    from connectors.email.mapping import map_mail
    from connectors.email.reply import split_reply
    from connectors.email.reply_html import split_html_reply
    from omnibus.model.raw import RawEvent

FIELDS = (
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Thread-Index",
    "Thread-Topic",
    "Auto-Submitted",
    "Precedence",
    "List-Id",
    "Return-Path",
    "Authentication-Results",
    "X-Failed-Recipients",
    "Delivered-To",
)
VALUES = (
    "Ana <ana@example.org>",
    "=?utf-8?B?w6k=?= <ana@example.org>, b@example.net",
    "Re: [list] AW: Kettle",
    "Delivery Status Notification (Failure)",
    "Mon, 2 Mar 2026 10:00:00 +0100",
    "<1@example.org> <2@example.org>",
    "auto-replied",
    "bulk",
    "mx.example.com; dkim=pass header.d=example.org; spf=fail",
    "help+c-0123456789abcdef0123456789abcdef@example.com",
)
TYPES = (
    "text/plain",
    "text/plain; format=flowed; delsp=yes",
    "text/html",
    "text/calendar",
    "text/enriched",
    "message/rfc822",
    "message/delivery-status",
    "message/disposition-notification",
    "message/feedback-report",
    "text/rfc822-headers",
    "application/ms-tnef",
    "application/octet-stream; name*0*=utf-8''%C3; name*1=a.pdf",
    "image/png",
)
CHARSETS = (
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "shift_jis",
    "iso-2022-jp",
    "utf-7",
    "utf-16",
    "gb18030",
    "unknown-8bit",
)
MULTIPARTS = ("mixed", "alternative", "related", "digest", "signed", "report; report-type=delivery-status", "form-data")
TEXTS = (
    "On Mon, 2 Mar 2026 at 10:00, Ana <ana@example.org> wrote:\n> hello\n",
    "-----Original Message-----\nFrom: Ana\nSent: Monday\nTo: help\nSubject: Kettle\n\nhello\n",
    "---------- Forwarded message ---------\nFrom: Ana <ana@example.org>\nDate: Mon\nSubject: x\nTo: help\n\nhi\n",
    "-- \nAna\n",
    "Sent from my phone\n",
    "<div>hi<blockquote>On Monday<div>old</div></blockquote></div>",
    "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; a@example.org\nAction: failed\nStatus: 5.1.1\n",
    "begin 644 a.txt\n#0V%T\n`\nend\n",
    "<a@example.org>:\n550 5.1.1 no such user\n\n--- Below this line is a copy\n",
)


class Mail:
    """Builds a mail from the fuzzer's bytes."""

    def __init__(self, data: bytes) -> None:
        self._given = atheris.FuzzedDataProvider(data)

    def build(self) -> bytes:
        fields = "".join(f"{self._one(FIELDS)}: {self._value()}\n" for _ in range(self._number(8)))
        return fields.encode("utf-8", "surrogatepass") + self._part(0)

    def _number(self, largest: int) -> int:
        return int(self._given.ConsumeIntInRange(0, largest))

    def _one(self, choices: tuple[str, ...]) -> str:
        return choices[self._number(len(choices) - 1)]

    def _free(self, largest: int) -> str:
        return str(self._given.ConsumeUnicode(self._number(largest)))

    def _value(self) -> str:
        return self._free(60) if self._given.ConsumeBool() else self._one(VALUES) + self._free(4)

    def _part(self, depth: int) -> bytes:
        if depth < 4 and self._number(2) == 0:
            return self._multipart(depth)
        kind = self._one(TYPES)
        head = f"Content-Type: {kind}; charset={self._one(CHARSETS)}\n"
        if self._given.ConsumeBool():
            head += f"Content-Disposition: {self._one(('inline', 'attachment'))}; filename={self._free(12)}\n"
        if kind == "application/ms-tnef":
            body = self._winmail()
        else:
            body = self._part(depth + 1) if kind == "message/rfc822" and depth < 4 else self._body()
        return (head + self._encoding).encode("utf-8", "surrogatepass") + b"\n" + self._encoded(body)

    def _multipart(self, depth: int) -> bytes:
        boundary = self._one(("b", "bb", "b--", "=_x", " "))
        line = f"--{boundary}\n".encode()
        parts = b"".join(line + self._part(depth + 1) + b"\n" for _ in range(self._number(4)))
        end = f"--{boundary}--\n".encode() if self._given.ConsumeBool() else b""
        return f'Content-Type: multipart/{self._one(MULTIPARTS)}; boundary="{boundary}"\n\n'.encode() + parts + end

    def _winmail(self) -> bytes:
        """A stream of attributes (TNEF), with a list of properties whose rich text is packed or free."""
        rich = bytes(self._given.ConsumeBytes(self._number(200)))
        packed = struct.pack("<IIII", 0, self._number(5_000), 0x75465A4C, 0) + rich
        kind = (0x102, 0x1E, 0x1F, 0x1102, 3)[self._number(4)]
        value = struct.pack("<HHII", kind, (0x1009, 0x1013, 0x1000)[self._number(2)], self._number(2), len(packed))
        listed = struct.pack("<I", self._number(3)) + value + packed + bytes(-len(packed) % 4)
        attributes = [(0x69003, listed), (0x69002, b"x"), (0x18010, rich[:20]), (0x6800F, rich), (0x2800C, rich)]
        chosen = attributes[: self._number(5)]
        stream = [struct.pack("<BII", 1, tag, len(data)) + data + b"\0\0" for tag, data in chosen]
        return struct.pack("<IH", 0x223E9F78, 1) + b"".join(stream)

    def _body(self) -> bytes:
        if self._number(3) == 0:
            return bytes(self._given.ConsumeBytes(self._number(300)))
        pieces = [self._one(TEXTS) if self._given.ConsumeBool() else self._free(60) for _ in range(self._number(4))]
        return "".join(pieces).encode("utf-8", "surrogatepass")

    def _encoded(self, body: bytes) -> bytes:
        match self._way:
            case "base64":
                return base64.encodebytes(body)
            case "quoted-printable":
                return quopri.encodestring(body)
            case _:
                return body

    @property
    def _encoding(self) -> str:
        self._way = self._one(("7bit", "base64", "quoted-printable", "x-uuencode", "8bit"))
        return f"Content-Transfer-Encoding: {self._way}\n"


def read(data: bytes) -> None:
    body = Mail(data[1:]).build() if data[:1] < b"\x80" else data[1:]
    raw = RawEvent(
        id="raw_1",
        channel="email",
        account="support-mail",
        received_at=datetime(2026, 5, 4, tzinfo=UTC),
        body=body,
        transport="smtp",
        attributes={"own": "help@example.com", "authserv": "mx.example.com"},
    )
    assert list(map_mail(raw))
    text = data.decode("utf-8", "replace")
    split_reply(text)
    split_html_reply(text)


if __name__ == "__main__":
    # Long inputs from the start: a mail with parts takes some hundred bytes.
    atheris.Setup([sys.argv[0], "-len_control=0", "-max_len=4096", *sys.argv[1:]], read)
    atheris.Fuzz()
