"""Bytes to text: declared charset, then strict UTF-8, then what a sibling part declared, then a guess.

A guess never overrides what a mail declares. Nothing here raises: what cannot be decoded becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from resiliparse.parse.encoding import detect_encoding

ALIASES = {
    # Supersets under the name of their subset, as the Encoding Standard reads them: https://encoding.spec.whatwg.org/
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "euc-kr": "cp949",
    "ks_c_5601": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    # Names that Python does not know.
    "windows-874": "cp874",
    "tis-620": "cp874",
    "iso-8859-11": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-greek": "mac_greek",
    "x-mac-turkish": "mac_turkish",
    "x-mac-ce": "mac_latin2",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "x-unicode-2-0-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "unicode": "utf-16",
    "ucs-2": "utf-16",
}
# Python's codecs that are no charsets of mail: slow on hostile input (idna, punycode) or transformations.
_NO_CHARSET = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
# Mailers write these when they do not know.
_NOT_SAID = frozenset(
    {"", "unknown", "unknown-8bit", "x-unknown", "default", "8bit", "default_charset", "x-user-defined"}
)
_NAME = re.compile(r"[A-Za-z0-9_.:+-]{1,40}")
_DETECT_BYTES = 16_384
_SURROGATE = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=512)
def codec_of(name: str) -> str | None:
    """The codec for a charset's name as mails write it; None when it says nothing or nobody knows it."""
    match = _NAME.search(name)
    wanted = match.group().lower().strip(".:") if match else ""
    wanted = wanted.removeprefix("charset").lstrip("=")
    if wanted in _NOT_SAID:
        return None
    for candidate in (wanted, wanted.replace("_", "-"), wanted.removeprefix("x-"), wanted.replace("windows", "cp", 1)):
        found = _known(ALIASES.get(candidate, candidate))
        if found is not None:
            return found
    return None


def _known(name: str) -> str | None:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    # `_is_text_encoding` is how CPython itself keeps bytes.decode from running zlib or rot13.
    if info.name.replace("-", "_") in _NO_CHARSET or not getattr(info, "_is_text_encoding", True):
        return None
    return ALIASES.get(info.name, info.name)


def decode(data: bytes, declared: str | None = None, hint: str | None = None) -> str:
    """`data` as text without NUL and lone surrogates. `hint` is what a sibling part or the mail declares."""
    if data.isascii() and b"\x1b" not in data and not _is_shifted(declared):
        return data.decode("ascii").replace("\0", "")
    return clean(_decode(data, declared, hint))


def clean(text: str) -> str:
    """Without NUL characters and with U+FFFD for each lone surrogate: what every database and JSON parser takes."""
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii() and _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_shifted(declared: str | None) -> bool:
    """Whether ASCII bytes may mean something else in that charset."""
    codec = codec_of(declared) if declared else None
    return codec is not None and codec.startswith(("utf-7", "utf-16", "utf-32", "hz", "cp037", "cp500", "cp1140"))


def _decode(data: bytes, declared: str | None, hint: str | None) -> str:
    said = codec_of(declared) if declared else None
    vague = said is None or (declared or "").lower().strip() in ("us-ascii", "ascii")
    if not vague and said is not None and (text := _strict(data, said)) is not None:
        return text
    if vague and (text := _strict(data, "utf-8-sig" if b"\x1b" not in data else "iso2022_jp_ext")) is not None:
        return text
    if (text := _strict(data, "utf-8-sig") or _nearly_utf8(data)) is not None:
        return text
    if not vague and said is not None:
        return _loosely(data, said)
    hinted = codec_of(hint) if hint else None
    for codec in (hinted, _detected(data), said):
        if codec is not None and (text := _strict(data, codec)) is not None:
            return text
    return _loosely(data, hinted or said or "cp1252")


def _strict(data: bytes, codec: str) -> str | None:
    try:
        text = data.decode(codec)
    except (UnicodeError, ValueError):
        return None
    return text.removeprefix("\ufeff")


def _nearly_utf8(data: bytes) -> str | None:
    """UTF-8 with a few characters cut in half, as length limits do; None when too little of it is UTF-8."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(character > "\x7f" for character in text) - broken
    return text if whole >= 8 * broken else None


def _loosely(data: bytes, codec: str) -> str:
    """What can be read, with U+FFFD for the rest; of the single-byte code pages the C1 controls stay what they are."""
    if codec == "cp1252":
        return data.decode("latin-1") if _mostly_defined(data) else data.decode("cp1252", "replace")
    try:
        return data.decode(codec, "replace")
    except (UnicodeError, ValueError):
        return data.decode("latin-1")


def _mostly_defined(data: bytes) -> bool:
    return not re.search(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]", data)


def _detected(data: bytes) -> str | None:
    guess = detect_encoding(data[: 2 * _DETECT_BYTES], max_len=_DETECT_BYTES, html5_compatible=False)
    return codec_of(guess) if guess else None
