"""Content transfer encodings, read leniently: what is damaged is decoded as far as it goes, and nothing raises."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

MAX_PIECES = 10_000
"""Padded pieces of one base64 body: encoders that pad each line exist, and what has more is no file."""

PIECE = 1024 * 1024
"""Bytes of the mail that are decoded at a time."""
_BLANKS = b" \t\r\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64 = frozenset({"base64", "b"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_UU_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} [^\r\n]{0,200}\r?$")


class Pieces:
    """A large body that is decoded anew, piece by piece, each time it is gone through. `size` is that of all of it."""

    def __init__(self, source: bytes, start: int, end: int, size: int, step: int, *, base64: bool) -> None:
        self._source = source
        self._places = [(at, min(at + step, end)) for at in range(start, end, step)]
        self._base64 = base64
        self.size = size

    def __iter__(self) -> Iterator[bytes]:
        left = b""
        for start, end in self._places:
            piece = self._source[start:end]
            if not self._base64:
                yield piece
                continue
            digits = left + piece.translate(None, _BLANKS)
            whole = len(digits) // 4 * 4
            left = digits[whole:]
            yield binascii.a2b_base64(digits[:whole])
        if left:
            yield _unpadded(left.rstrip(b"="))


def in_pieces(source: bytes, start: int, end: int, encoding: str, step: int = PIECE) -> Pieces | None:
    """A body as pieces; None where only the whole can be decoded: other encodings, base64 with anything odd in it."""
    if is_identity(encoding):
        return Pieces(source, start, end, end - start, step, base64=False)
    if encoding not in _BASE64:
        return None
    padding = source.find(b"=", start, end)
    digits_end = end if padding < 0 else padding
    if end - digits_end > PIECE or source[digits_end:end].translate(None, _BLANKS + b"="):
        return None
    digits = 0
    for at in range(start, digits_end, step):
        piece = source[at : min(at + step, digits_end)].translate(None, _BLANKS)
        if piece.translate(None, _ALPHABET):
            return None
        digits += len(piece)
    return Pieces(source, start, digits_end, digits // 4 * 3 + max(0, digits % 4 - 1), step, base64=True)


def is_identity(encoding: str) -> bool:
    """Whether a body is what it says, without any decoding."""
    return encoding not in _ENCODINGS


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """The bytes behind a Content-Transfer-Encoding; the data itself for identities and unknown names."""
    decode = _ENCODINGS.get(encoding)
    return data if decode is None else decode(data)


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


_ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    **dict.fromkeys(_BASE64, decode_base64),
    **dict.fromkeys(("quoted-printable", "quoted_printable", "q"), binascii.a2b_qp),
    **dict.fromkeys(("x-uuencode", "uuencode", "x-uue", "uue"), decode_uu),
}
