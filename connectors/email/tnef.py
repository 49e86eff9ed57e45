"""Outlook's `winmail.dat` ([MS-OXTNEF]): the files in it, and the text where the mail itself has none.

https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxtnef/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from connectors._shared.mime.charset import decode
from connectors.email.html import html_to_text
from connectors.email.rtf import decompressed, rtf_to_text

MAX_FILES = 100
_MAX_PROPERTIES = 5_000

_SIGNATURE = 0x223E9F78
# Section 2.1.3.3: the attributes that we read.
_RENDERING, _TITLE, _DATA = 0x00069002, 0x00018010, 0x0006800F
_BODY, _CODEPAGE, _PROPERTIES = 0x0002800C, 0x00069007, 0x00069003
_HEADER = struct.Struct("<BII")
# [MS-OXPROPS]: PidTagBody, PidTagHtml, PidTagRtfCompressed.
_PLAIN, _HTML, _RTF = 0x1000, 0x1013, 0x1009
# [MS-OXCDATA] section 2.11.1: bytes of a value, filled up to four; the others say how long they are.
_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_VARIABLE = frozenset({0x0D, 0x1E, 0x1F, 0x102})
_STRING8, _UNICODE = 0x1E, 0x1F
_MULTIPLE = 0x1000


def files_in_tnef(data: bytes) -> list[tuple[str, bytes]]:
    """The files in a TNEF stream with their names; what is damaged ends the list."""
    found: list[tuple[str, bytes]] = []
    name = ""
    for tag, value in _attributes(data):
        if tag == _RENDERING:
            name = ""
        elif tag == _TITLE:
            name = decode(value.rstrip(b"\0"), None)
        elif tag == _DATA and len(found) < MAX_FILES:
            found.append((name or f"file{len(found) + 1}", value))
    return found


def text_in_tnef(data: bytes) -> str:
    """The mail's text: as text, else from its HTML, else from its rich text; '' when there is none."""
    charset, plain, properties = "windows-1252", b"", b""
    for tag, value in _attributes(data):
        if tag == _CODEPAGE and len(value) >= 4:
            charset = f"cp{struct.unpack_from('<I', value)[0]}"
        elif tag == _BODY:
            plain = value.rstrip(b"\0")
        elif tag == _PROPERTIES:
            properties = value
    text = decode(plain, charset)
    return text if text.strip() else _text_in_properties(properties, charset)


def _text_in_properties(data: bytes, charset: str) -> str:
    values = {number: (kind, value) for number, kind, value in _properties(data) if number in (_PLAIN, _HTML, _RTF)}
    if _PLAIN in values:
        kind, value = values[_PLAIN]
        text = value.decode("utf-16-le", "replace") if kind == _UNICODE else decode(value, charset)
        if text.strip("\0 \r\n\t"):
            return text.rstrip("\0").replace("\r\n", "\n")
    if _HTML in values:
        return html_to_text(decode(values[_HTML][1].rstrip(b"\0"), charset))
    return rtf_to_text(decompressed(values[_RTF][1])) if _RTF in values else ""


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        return
    at = 6  # the signature and a key
    while at + _HEADER.size <= len(data):
        _, tag, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if at + length > len(data):
            return
        yield tag, data[at : at + length]
        at += length + 2  # a checksum that nobody needs


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and value of each property (section 2.1.3.4, MsgPropertyList); what is damaged ends them."""
    try:
        yield from _read_properties(data)
    except struct.error:  # shorter than it says
        return


def _read_properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    count, at = struct.unpack_from("<I", data)[0], 4
    for _ in range(min(count, _MAX_PROPERTIES)):
        kind, number = struct.unpack_from("<HH", data, at)
        at += 4
        if number >= 0x8000:
            at = _after_name(data, at)
        base = kind & ~_MULTIPLE
        if base not in _FIXED and base not in _VARIABLE:
            return
        values, at = (struct.unpack_from("<I", data, at)[0], at + 4) if _is_counted(kind) else (1, at)
        for _ in range(min(values, _MAX_PROPERTIES)):
            size, at = (_FIXED[base], at) if base in _FIXED else (struct.unpack_from("<I", data, at)[0], at + 4)
            if at + size > len(data):
                return
            yield number, base, data[at : at + size]
            at += size + -size % 4


def _is_counted(kind: int) -> bool:
    return bool(kind & _MULTIPLE) or kind in _VARIABLE


def _after_name(data: bytes, at: int) -> int:
    """Behind the name of a named property: a GUID, and a number or a string."""
    at += 16
    kind, rest = struct.unpack_from("<II", data, at)
    return at + 8 + (rest + -rest % 4 if kind == 1 else 0)
