"""Documents are read by the rules of YAML 1.2, with bounds that no input gets around."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.config.convert import plain
from omnibus.config.document import MAX_BYTES, parse
from omnibus.config.errors import ConfigErrors


def read(text: str | bytes, **env: str) -> Any:
    node, errors = parse(text, "a.yaml", env)
    assert errors == []
    return plain(node)


def refusal(text: str | bytes) -> str:
    """What parsing says, whether it could go on or not."""
    try:
        return "\n".join(map(str, parse(text, "a.yaml", {})[1]))
    except ConfigErrors as error:
        return str(error)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
        ("", None), ("~", None), ("null", None), ("None", "None"),
        ("12", 12), ("-3", -3), ("+4", 4), ("012", 12), ("0o14", 12), ("0xff", 255), ("1_000", "1_000"),
        ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("190:20:30", "190:20:30"), ("0b11", "0b11"),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("1.", 1.0), ("-.inf", float("-inf")), ("inf", "inf"),
        ("2026-01-05", "2026-01-05"), ("=", "="), ("'12'", "12"), ('"true"', "true"),
        ("!!str 12", "12"), ("! 12", "12"),
        ("9" * 33, "9" * 33), ("|\n  a\n  b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    assert read(f"key: {written}") == {"key": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NAME}", "Ada"), ("'${NAME}'", "Ada"), ("a ${NAME} b ${NAME}", "a Ada b Ada"),
        ("${GONE:-Bob}", "Bob"), ("${EMPTY:-Bob}", "Bob"), ("'${GONE:-}'", ""), ("$${NAME}", "${NAME}"),
        ("'^a$'", "^a$"), ("$NAME", "$NAME"), ("$5 $$ $$$$", "$5 $ $$"), ("${PORT}", 8080), ("'${PORT}'", "8080"),
        ("'${EMPTY}'", ""), ("'${TRICK}'", "${NAME}: [x"),
    ],
)  # fmt: skip
def test_references_are_replaced_from_the_environment(written: str, value: object) -> None:
    env = {"NAME": "Ada", "EMPTY": "", "PORT": "8080", "TRICK": "${NAME}: [x"}
    assert read(f"key: {written}", **env) == {"key": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ${GONE}", "a.yaml:1:4: a: environment variable GONE is not set"),
        ("a: '${not ok}'", "a: expected ${NAME} or ${NAME:-default}; write $$ for a dollar"),
        ("a: '${'", "a: expected ${NAME}"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: a: key 'a' appears twice"),
        ("a: {b: 1, b: 2}", "a.yaml:1:11: a.b: key 'b' appears twice"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "a.yaml:3:3: c.<<: merge keys (<<) are not used here"),
        ("a: !!python/object/stem [ls]", "a: tags such as tag:yaml.org,2002:python/object/"),
        ("a: !!int '3'", "tags such as tag:yaml.org,2002:int are not used here"),
        ("[a, b]: 1", "a key must be text"),
        ("a: *gone", "a.yaml:1:4: a: alias *gone has no anchor before it"),
        ("a: &x [*x]", "alias *x has no anchor before it"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: a second document; expected one"),
        ("a: [1, 2", "not valid YAML"),
        ("a: b: c", "a.yaml:1:5: not valid YAML: mapping values are not allowed in this context"),
        ("a: \x00", "not valid YAML"),
        (b"a: \xff\xfe", "a.yaml:1:1: not UTF-8 text"),
        (b"a: 1\nb: \xff", "a.yaml:2:1: not UTF-8 text"),
        ("a" * (MAX_BYTES + 1), "larger than 1000000 bytes"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(text: str | bytes, message: str) -> None:
    assert message in refusal(text)


def test_billions_of_laughs_are_cut_short() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert "more than 100000 values once aliases are followed" in refusal("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a:\n" + " " * 5 + "- " * 50_000])
def test_bottomless_nesting_is_refused(text: str) -> None:
    assert refusal(text)


def test_nesting_deeper_than_the_bound_names_the_bound() -> None:
    assert "nested deeper than 32 levels" in refusal("[" * 33 + "]" * 33)
    assert read("[" * 32 + "]" * 32)


def test_aliases_of_sensible_size_are_followed() -> None:
    assert read("a: &x {b: [1]}\nc: *x") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_marks_count_lines_and_columns_from_one() -> None:
    node, _ = parse("a:\n  b:\n    - x\n    - y\n", "a.yaml", {})
    assert isinstance(node.data, dict)
    inner = node.data["a"].data
    assert isinstance(inner, dict)
    items = inner["b"].data
    assert isinstance(items, list)

    assert [str(item.mark) for item in items] == ["a.yaml:3:7", "a.yaml:4:7"]


@given(st.text(alphabet="ab:-{}[]&*!|>'\"#%@`$\n \t,?~0.\\", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert isinstance(refusal(text), str)
