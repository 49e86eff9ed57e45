"""What must hold for a condition to hold at all, so that most of a large rule set need not be evaluated.

Only conditions that are joined by ``&&`` at the top are looked at: when one of its parts is false such a condition is
false, whatever the others are, errors included (https://github.com/google/cel-spec/blob/master/doc/langdef.md#logical-operators).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from router.rules.tokens import Token, dotted, tokens_of

HITS = "hits"
Kind = str
"""``equals`` (a variable has this value), ``has`` (a list has this member), ``hit`` (the pattern at this place)."""


class Need(msgspec.Struct, frozen=True):
    """Something without which a condition is false."""

    kind: Kind
    variable: str
    value: str | bool | int


def needs_of(condition: str, type_of: Callable[[str], str | None], literal: Callable[[str], str]) -> list[Need]:
    """What a condition needs, as far as it is plain to see.

    `type_of` gives the type of a variable in words (None when it is none), `literal` the value of a string literal.
    """
    parts = _conjuncts(tokens_of(condition))
    needs = (_need(part, type_of, literal) for part in parts)
    return [need for need in needs if need is not None]


def _conjuncts(tokens: Sequence[Token]) -> list[list[Token]]:
    """The parts joined by ``&&`` at the top; none when something else joins them."""
    parts: list[list[Token]] = [[]]
    depth, at = 0, 0
    while at < len(tokens):
        text = tokens[at].text
        pair = text + tokens[at + 1].text if at + 1 < len(tokens) and tokens[at + 1].start == tokens[at].end else text
        depth += (text in "([{") - (text in ")]}") if tokens[at].kind == "sign" else 0
        if depth == 0 and (pair == "||" or (text == "?" and tokens[at - 1].text != ".")):
            return []
        if depth == 0 and pair == "&&":
            parts.append([])
            at += 2
            continue
        parts[-1].append(tokens[at])
        at += 1
    return parts


def _need(part: Sequence[Token], type_of: Callable[[str], str | None], literal: Callable[[str], str]) -> Need | None:
    words = [token.text for token in part]
    if len(words) == 4 and words[:2] == [HITS, "["] and words[3] == "]":
        return Need("hit", HITS, int(words[2]))
    wanted = words[:1] != ["!"]
    name = dotted(part if wanted else part[1:])
    if name is not None and type_of(name) == "bool":
        return Need("equals", name, wanted)
    if words[-1:] == [")"] and words[-9:-8] == ["exists"]:
        return _member(part, type_of, literal)
    if len(part) > 3 and words[-3:-1] == ["=", "="] and part[-1].kind == "string":
        return _equality(part[:-3], part[-1], type_of, literal)
    if len(part) > 3 and words[1:3] == ["=", "="]:
        return _equality(part[3:], part[0], type_of, literal)
    if len(part) > 2 and words[1] == "in" and part[0].kind == "string":
        name = dotted(part[2:])
        return Need("has", name, literal(words[0])) if name and type_of(name) == "list(string)" else None
    return None


def _member(part: Sequence[Token], type_of: Callable[[str], str | None], literal: Callable[[str], str]) -> Need | None:
    """Of ``conversation.tags.exists(t, t == 'vip')``: that member."""
    name = dotted(part[:-10])
    opening, bound, comma, *comparison, _ = part[-8:]
    one, first, second, value = comparison
    plain = (opening.text, comma.text, first.text, second.text) == ("(", ",", "=", "=")
    if not plain or one.text != bound.text or value.kind != "string" or name is None or part[-10].text != ".":
        return None
    return Need("has", name, literal(value.text)) if type_of(name) == "list(string)" else None


def _equality(
    path: Sequence[Token], value: Token, type_of: Callable[[str], str | None], literal: Callable[[str], str]
) -> Need | None:
    name = dotted(path)
    if name is None or value.kind != "string" or type_of(name) != "string":
        return None
    return Need("equals", name, literal(value.text))
