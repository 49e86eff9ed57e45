"""What kind of file some bytes are, by how they begin; pure."""

from __future__ import annotations

OCTETS = "application/octet-stream"
HEAD_BYTES = 512
_GENERIC = frozenset({"", OCTETS, "binary/octet-stream", "application/unknown"})

_MAGIC = (  # https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern and the sections after it
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS\x00", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
)
_ACTIVE = (  # what may run when somebody opens it, whatever it calls itself
    (b"<!doctype html", "text/html"),
    (b"<html", "text/html"),
    (b"<script", "text/html"),
    (b"<svg", "image/svg+xml"),
    (b"mz", "application/x-msdownload"),
    (b"\x7felf", "application/x-executable"),
    (b"#!", "text/x-shellscript"),
)


def mime_of(declared: str, offered: str | None, head: bytes) -> str:
    """The declared type; where that says nothing, what the server said, then what the bytes look like."""
    for given in (declared, (offered or "").partition(";")[0].strip().lower()):
        if given.partition(";")[0].strip().lower() not in _GENERIC:
            return given
    return _seen(head) or OCTETS


def doubt(declared: str, head: bytes) -> str | None:
    """A warning when something that can run calls itself something else; None when there is nothing to say."""
    begin = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, kind in _ACTIVE:
        if begin.startswith(magic) and kind != declared.partition(";")[0].strip().lower():
            return f"declared as {declared[:100]}, looks like {kind}"
    return None


def _seen(head: bytes) -> str | None:
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    return None
