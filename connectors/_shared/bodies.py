"""Reading request bodies of the formats webhooks come in: JSON, forms, multipart, packed or not. Pure and bounded."""

from __future__ import annotations

import zlib
from email.message import Message as Headers
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import orjson

from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

MAX_UNPACKED = 20_000_000
MAX_FIELDS = 1_000
_BOM = b"\xef\xbb\xbf"


class FormPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a multipart/form-data body; a file when it has a file name."""

    name: str
    data: bytes
    file_name: str | None = None
    content_type: str | None = None


def body_of(raw: RawEvent) -> bytes:
    """The body unpacked as its Content-Encoding says. Raises InvalidPayload, also when it unpacks to too much."""
    encoding = (raw.header("content-encoding") or "identity").strip().lower()
    if encoding == "identity":
        return raw.body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise InvalidPayload("headers.content-encoding", "expected gzip, deflate or none")
    inflate = zlib.decompressobj(wbits=47)
    try:
        data = inflate.decompress(raw.body, MAX_UNPACKED)
    except zlib.error:
        raise InvalidPayload("body", "expected packed data, as its Content-Encoding says") from None
    if inflate.unconsumed_tail:
        raise InvalidPayload("body", f"unpacks to more than {MAX_UNPACKED} bytes")
    if not inflate.eof:
        raise InvalidPayload("body", "the packed data is cut short")
    return data


def json_of(body: bytes) -> Any:
    """The body as plain data; read it into a type at once. Raises InvalidPayload."""
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise InvalidPayload("body", f"expected JSON: {error.msg}") from None


def looks_like_json(body: bytes) -> bool:
    """Whether an object or list begins here: `curl -d` calls everything a form."""
    return body.removeprefix(_BOM)[:64].lstrip()[:1] in (b"{", b"[")


def text_of(body: bytes, content_type: str = "") -> str:
    """The body as words: in the charset it names, else UTF-8, else Latin-1, which reads anything."""
    charset = parameter_of(content_type, "charset")
    for name in (charset, "utf-8") if charset else ("utf-8",):
        try:
            return body.decode(name)
        except (UnicodeError, LookupError):
            continue
    return body.decode("latin-1")


def form_of(body: bytes) -> dict[str, Any]:
    """The fields of an application/x-www-form-urlencoded body; a field that comes again becomes a list."""
    try:
        pairs = parse_qsl(text_of(body), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidPayload("body", f"more than {MAX_FIELDS} form fields") from None
    return gathered(pairs)


def gathered(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as a dictionary; a name that comes again has a list of its values."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def multipart_of(body: bytes, content_type: str) -> list[FormPart]:
    """The parts of a multipart/form-data body (RFC 7578). Raises InvalidPayload."""
    boundary = parameter_of(content_type, "boundary")
    if not boundary or len(boundary) > 70:  # RFC 2046, section 5.1.1
        raise InvalidPayload("headers.content-type", "expected a boundary of 1 to 70 characters")
    mark = b"--" + boundary.encode("utf-8", "replace")
    # With a line break before it, the first delimiter is like the others.
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, MAX_FIELDS + 1)
    if len(pieces) < 2:
        raise InvalidPayload("body", "the boundary does not appear")
    if len(pieces) > MAX_FIELDS + 1:
        raise InvalidPayload("body", f"more than {MAX_FIELDS} parts")
    return [_part(piece) for piece in pieces[1:] if not piece.startswith(b"--")]


def parameter_of(header: str, name: str) -> str | None:
    """A parameter of a header value such as Content-Type, unquoted."""
    if not header or len(header) > 1_000:
        return None
    parsed = Headers()
    parsed["content-type"] = header.replace("\r", " ").replace("\n", " ")
    value = parsed.get_param(name)
    return value if isinstance(value, str) else None


def media_type_of(raw: RawEvent) -> str:
    """The media type a request declares, lower case, without parameters; empty when it declares none."""
    return (raw.header("content-type") or "").partition(";")[0].strip().lower()


def _part(piece: bytes) -> FormPart:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator or len(head) > 8_192:
        raise InvalidPayload("body", "a part without headers")
    headers = dict(_header(line) for line in text_of(head).split("\r\n") if ":" in line)
    disposition = headers.get("content-disposition", "")
    return FormPart(
        name=parameter_of(disposition, "name") or "",
        data=data,
        file_name=parameter_of(disposition, "filename"),
        content_type=headers.get("content-type"),
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
