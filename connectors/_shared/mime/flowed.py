"""format=flowed (RFC 3676): lines wrapped for sending become paragraphs again."""

from __future__ import annotations


def unflow(text: str, *, delete_space: bool = False) -> str:
    """Joins soft-broken lines of one quote depth; a signature mark ends a paragraph."""
    out: list[str] = []
    open_depth = -1
    pieces: list[str] = []
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        is_mark = content == "-- "
        if pieces and (depth != open_depth or is_mark):
            out.append(_paragraph(open_depth, pieces))
            pieces = []
        soft = content.endswith(" ") and not is_mark
        pieces.append(content[:-1] if soft and delete_space else content)
        open_depth = depth
        if not soft:
            out.append(_paragraph(depth, pieces))
            pieces = []
    if pieces:
        out.append(_paragraph(open_depth, pieces))
    return "\n".join(out)


def _paragraph(depth: int, pieces: list[str]) -> str:
    marks = ">" * depth + " " if depth else ""
    return marks + "".join(pieces)
