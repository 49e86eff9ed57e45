"""Structured header values: `type/subtype; name=value; ...`, with RFC 2231 and everything mailers do instead."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from connectors._shared.mime import charset
from connectors._shared.mime.words import decode_words

MAX_PARAMS = 100
_PARAM = re.compile(
    r"""(?P<name>[^\s=;"()]{1,80})\s{0,20}=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<plain>[^;]*))""", re.DOTALL
)
_COMMENT = re.compile(r"\([^()]*\)")
_SECTION = re.compile(r"^(?P<name>[^*]+)(?:\*(?P<index>\d{1,3}))?(?P<encoded>\*)?$")
_TYPE = re.compile(r"\s*([A-Za-z0-9!#$&^_.+*-]+)\s*/\s*([A-Za-z0-9!#$&^_.+*-]+)")


def media_type(value: str | None) -> str | None:
    """`type/subtype` in lower case; None when the value has none."""
    match = _TYPE.match(value or "")
    return f"{match.group(1)}/{match.group(2)}".lower() if match else None


def first_token(value: str | None) -> str:
    """The word before the parameters, in lower case (`attachment`, `quoted-printable`)."""
    return (value or "").partition(";")[0].partition("(")[0].strip(" \t\"'").lower()


def parameters(value: str | None, hint: str | None = None) -> dict[str, str]:
    """The parameters by lower-case name; continuations joined, percent-encoding and encoded words decoded."""
    if not value or "=" not in value:
        return {}
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, text in _pairs(value):
        section = _SECTION.match(name)
        if section is not None:
            place = (int(section.group("index") or 0), section.group("encoded") is not None, text)
            sections.setdefault(section.group("name"), []).append(place)
    return {name: _joined(parts, hint) for name, parts in sections.items()}


def _pairs(value: str) -> list[tuple[str, str]]:
    _, semicolon, rest = value.partition(";")
    text = rest if semicolon else value
    found: list[tuple[str, str]] = []
    at = 0
    while len(found) < MAX_PARAMS and (match := _PARAM.search(text, at)) is not None:
        quoted = match.group("quoted")
        plain = match.group("plain")
        found.append((match.group("name").lower(), _unquoted(quoted) if quoted is not None else _plain(plain or "")))
        at = max(match.end(), at + 1)
    return found


def _unquoted(text: str) -> str:
    # Windows paths (`C:\temp\x.doc`) are not escapes: only quotes and backslashes are.
    return re.sub(r'\\(["\\])', r"\1", text)


def _plain(text: str) -> str:
    return _COMMENT.sub("", text).strip(" \t\r\n'\"") if "(" in text and "=?" not in text else text.strip(' \t\r\n"')


def _joined(parts: list[tuple[int, bool, str]], hint: str | None) -> str:
    parts.sort(key=lambda part: part[0])
    if len(parts) > 1 and parts[0][0] == parts[1][0]:
        # The same name plain and encoded (`filename` and `filename*`): the encoded one knows its charset.
        parts = [next((part for part in parts if part[1]), parts[0])]
    if not any(encoded for _, encoded, _ in parts):
        return decode_words("".join(text for _, _, text in parts))
    declared, data = None, b""
    for index, (_, encoded, text) in enumerate(parts):
        if encoded and index == 0 and text.count("'") >= 2:
            declared, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return charset.decode(data, declared or "utf-8", hint)
