"""Reading expressions: names and pattern calls, and nothing inside strings or comments."""

from __future__ import annotations

import pytest

from router.rules.tokens import match_calls, paths_of, tokens_of, variables_in


def names(expression: str) -> list[str]:
    return [path.name for path in paths_of(tokens_of(expression))]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("a.b == 'c.d'", ["a.b"]),
        ("a . b\n.c(x)", ["a.b.c", "x"]),
        ("a.b[0].c + d", ["a.b", "d"]),
        ("m.?k.orValue('')", ["m"]),
        ("r'a' == b // c.d", ["b"]),
        ('"""a "b" c""" == d', ["d"]),
        ("1.5 + x2", ["x2"]),
        ("'it\\'s' + y", ["y"]),
    ],
)
def test_names_of_an_expression(expression: str, found: list[str]) -> None:
    assert names(expression) == found


def test_the_longest_declared_part_of_a_name_is_the_variable() -> None:
    declared = {"m", "m.attributes"}

    assert variables_in("m.attributes.plan == 'x' && m.y == 1", declared.__contains__) == {"m.attributes", "m"}


@pytest.mark.parametrize(
    ("expression", "subjects"),
    [
        ("message.text.matches('a')", ["message.text"]),
        ("message.text.matches(pattern)", []),
        ("xs.exists(message, message.text.matches('a'))", [""]),
        ("f(x).matches('a')", [""]),
        ("'s.matches(\\'a\\')' == x", []),
    ],
)
def test_pattern_calls_and_what_they_look_at(expression: str, subjects: list[str]) -> None:
    assert [call.subject for call in match_calls(expression)] == subjects
