"""Reads a CEL expression as tokens: which names it uses, and which `matches` calls can be worked out beforehand.

CEL's lexis: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}))
    | (?P<short>(?:[rR][bB]?|[bB][rR]?)?(?:\"(?:\\.|[^\\\"\n])*\"|'(?:\\.|[^\\'\n])*'))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9][0-9A-Za-z_.]*)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(msgspec.Struct, frozen=True):
    """A piece of an expression; `start` and `end` are character offsets."""

    kind: str
    text: str
    start: int
    end: int


class Path(msgspec.Struct, frozen=True):
    """A dotted name (`conversation.attributes.plan`); `at` is the index of its first token."""

    name: str
    at: int
    after: int


class MatchCall(msgspec.Struct, frozen=True):
    """``subject.matches(literal)``: the subject's dotted name ('' for anything else), the literal as written."""

    subject: str
    literal: str
    start: int
    end: int


def tokens_of(expression: str) -> list[Token]:
    """The tokens of an expression without blanks and comments. Never fails: what is no CEL the compiler refuses."""
    found: list[Token] = []
    for match in _TOKEN.finditer(expression):
        kind = match.lastgroup or "sign"
        if kind != "space":
            found.append(Token("string" if kind == "short" else kind, match[0], match.start(), match.end()))
    return found


def paths_of(tokens: Sequence[Token]) -> Iterator[Path]:
    """Every dotted name that begins an operand; the fields behind a call or an index are not names."""
    index = 0
    while index < len(tokens):
        if tokens[index].kind != "name" or (index and tokens[index - 1].text in (".", "?")):
            index += 1
            continue
        first, parts = index, [tokens[index].text]
        while _dotted(tokens, index):
            index += 2
            parts.append(tokens[index].text)
        index += 1
        yield Path(".".join(parts), first, index)


def _dotted(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1 : index + 3]
    return len(following) == 2 and following[0].text == "." and following[1].kind == "name"


def variables_in(expression: str, is_variable: Callable[[str], bool]) -> set[str]:
    """The declared variables an expression uses: of each dotted name, the longest part that is declared."""
    used = set()
    for path in paths_of(tokens_of(expression)):
        parts = path.name.split(".")
        for size in range(len(parts), 0, -1):
            if is_variable(".".join(parts[:size])):
                used.add(".".join(parts[:size]))
                break
    return used


def match_calls(expression: str) -> list[MatchCall]:
    """Every ``x.matches('literal')`` in the expression, in order."""
    tokens = tokens_of(expression)
    by_end = {path.after: path for path in paths_of(tokens)}
    bare = {path.name for path in by_end.values() if "." not in path.name}
    calls = []
    for index in range(1, len(tokens) - 3):
        words = [token.text for token in tokens[index - 1 : index + 2]]
        literal, closing = tokens[index + 2], tokens[index + 3]
        if words != [".", "matches", "("] or literal.kind != "string" or closing.text != ")":
            continue
        path = by_end.get(index + 1)
        subject = "" if path is None else path.name.removesuffix(".matches")
        # A bare `message` can only be the variable of a comprehension, which hides ours of that name.
        if subject.partition(".")[0] in bare and "." in subject:
            subject = ""
        start = literal.start if path is None else tokens[path.at].start
        calls.append(MatchCall(subject, literal.text, start, closing.end))
    return calls


def replaced(expression: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """The expression with each (start, end) replaced; spans are in order and do not overlap."""
    pieces, at = [], 0
    for start, end, text in spans:
        pieces += [expression[at:start], text]
        at = end
    return "".join([*pieces, expression[at:]])


def dotted(tokens: Sequence[Token]) -> str | None:
    """The dotted name that these tokens are and nothing else, None when they are not one."""
    names, dots = tokens[::2], tokens[1::2]
    if len(tokens) % 2 and all(token.kind == "name" for token in names) and all(token.text == "." for token in dots):
        return ".".join(token.text for token in names)
    return None
