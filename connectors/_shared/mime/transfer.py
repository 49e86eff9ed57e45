"""Content transfer encodings, read leniently: what is damaged is decoded as far as it goes, and nothing raises."""

from __future__ import annotations

import binascii
import re

MAX_PIECES = 10_000
"""Padded pieces of one base64 body: encoders that pad each line exist, and what has more is no file."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_UU_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} [^\r\n]{0,200}\r?$")


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """The bytes behind a Content-Transfer-Encoding; the data itself for identities and unknown names."""
    match encoding:
        case "base64" | "b":
            return decode_base64(data)
        case "quoted-printable" | "quoted_printable" | "q":
            return binascii.a2b_qp(data)
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return decode_uu(data)
        case _:
            return data


def decode_base64(data: bytes) -> bytes:
    """Base64 with stray characters, missing padding or several padded pieces; text after the last piece is left out."""
    try:
        return binascii.a2b_base64(data, strict_mode=False) if b"=" not in data.rstrip(b"=\r\n \t") else _pieces(data)
    except binascii.Error:
        return _pieces(data)


def _pieces(data: bytes) -> bytes:
    out = []
    for index, piece in enumerate(re.split(rb"=+", data, maxsplit=MAX_PIECES)):
        if index and not _is_base64(piece):
            break
        out.append(_unpadded(_NOT_BASE64.sub(b"", piece)))
    return b"".join(out)


def _is_base64(piece: bytes) -> bool:
    return not _NOT_BASE64.sub(b"", piece).strip() or not re.search(rb"[^A-Za-z0-9+/\s]|[^\s] [^\s]", piece)


def _unpadded(digits: bytes) -> bytes:
    # A single digit left over holds fewer than eight bits: nothing.
    usable = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))


def decode_uu(data: bytes) -> bytes:
    """The first file of a uuencoded text, with or without its begin line."""
    begin = _UU_BEGIN.search(data)
    lines = data[begin.end() :].lstrip(b"\r\n").splitlines() if begin else data.splitlines()
    out: list[bytes] = []
    for line in lines:
        stripped = line.strip(b"\r\n")
        if stripped in (b"end", b"`", b"") and (stripped != b"" or out):
            break
        out.append(_uu_line(stripped))
    return b"".join(out)


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders count the padding as data: take as much as the length byte says.
        wanted = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
        try:
            return binascii.a2b_uu(line[:wanted])
        except binascii.Error:
            return b""
