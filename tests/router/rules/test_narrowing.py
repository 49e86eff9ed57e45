"""Leaving rules out never changes a decision; it only saves evaluating them."""

from __future__ import annotations

from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibus import clock
from omnibus.model.content import Text
from omnibus.model.entities import Author, Message
from router.rehearsal import START_MS, a_conversation, an_identity
from router.rules.facts import TYPES, VARIABLES, Facts
from router.rules.narrowing import Need, needs_of
from router.rules.rule import Rule
from router.rules.ruleset import load_rules
from router.rules.words import shipped_words


def type_of(name: str) -> str | None:
    return VARIABLES[name].type if name in VARIABLES else None


def needs(condition: str) -> list[Need]:
    return needs_of(condition, type_of, lambda literal: literal.strip("'"))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("channel == 'email'", [Need("equals", "channel", "email")]),
        ("'email' == channel && now > now", [Need("equals", "channel", "email")]),
        ("'vip' in conversation.tags", [Need("has", "conversation.tags", "vip")]),
        ("conversation.tags.exists(t, t == 'vip')", [Need("has", "conversation.tags", "vip")]),
        ("conversation.tags.exists(t, t != 'vip')", []),
        ("conversation.tags.exists(t, u == 'vip')", []),
        ("!conversation.tags.exists(t, t == 'vip')", []),
        ("conversation.tags.all(t, t == 'vip')", []),
        ("hits[3] && (a || b)", [Need("hit", "hits", 3)]),
        ("message.asks_for_human && !message.has_attachments",
         [Need("equals", "message.asks_for_human", True), Need("equals", "message.has_attachments", False)]),
    ],
)  # fmt: skip
def test_what_a_condition_needs(condition: str, found: list[Need]) -> None:
    assert needs(condition) == found


@pytest.mark.parametrize(
    "condition",
    [
        "channel == 'email' || account == 'x'",
        "channel == 'email' && account == 'x' || true",
        "channel == 'email' ? true : false",
        "!(channel == 'email')",
        "(channel == 'email')",
        "channel != 'email'",
        "channel == 'a' + 'b'",
        "'a' + channel == 'ab'",
        "channel.contains('x')",
        "conversation.reopen_count == 1",
        "['email'].exists(c, c == channel)",
        "(channel == 'email') == false",
        "channel == 'email' == true",
    ],
)
def test_where_nothing_is_plain_everything_is_evaluated(condition: str) -> None:
    assert needs(condition) == []


PARTS = (
    "channel == 'webchat'",
    "'email' == channel",
    "message.text == 'bill'",
    "message.text.matches('b.ll')",
    "matches(message.text, 'z')",
    "'vip' in conversation.tags",
    "'bill' in message.words",
    "message.asks_for_human",
    "!message.has_attachments",
    "message.attributes['plan'] == 'gold'",
    "message.text.contains('ill')",
    "conversation.reopen_count == 0",
    "(channel == 'email' || true)",
)
ENV = cel.NewEnv(variables=TYPES, extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()])


def plainly(condition: str, facts: Facts) -> Any:
    """The condition evaluated by itself, with nothing worked out beforehand."""
    value = ENV.compile(condition).eval(ENV.Activation({name: facts.value(name) for name in TYPES}))
    return "error" if value.type() == cel.Type.ERROR else value.value()


@settings(max_examples=200, deadline=None)
@given(
    conditions=st.lists(
        st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from([" && ", " || "])), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    ),
    text=st.sampled_from(["bill", "hello", "quero falar com um atendente", ""]),
    tags=st.sampled_from([(), ("vip",)]),
    attributes=st.sampled_from([{}, {"plan": "gold"}]),
)
def test_every_rule_comes_out_as_it_does_alone(
    conditions: list[list[tuple[str, str]]], text: str, tags: tuple[str, ...], attributes: dict[str, str]
) -> None:
    rules = []
    for number, parts in enumerate(conditions):
        when = "".join(part + (joint if index < len(parts) - 1 else "") for index, (part, joint) in enumerate(parts))
        rules.append(Rule(name=str(number), when=when, tags=(str(number),)))
    at = clock.from_ms(START_MS)
    message = Message(
        id="msg_1",
        conversation_id="conv_c1",
        channel="webchat",
        channel_account_id="site-chat",
        direction="inbound",
        author=Author(type="contact"),
        content=Text(text=text),
        status="received",
        created_at=at,
        received_at=at,
        attributes=dict(attributes),
    )
    facts = Facts(
        conversation=a_conversation(tags=tags),
        message=message,
        sender=an_identity(),
        now_ms=START_MS,
        words=shipped_words(),
    )
    verdict = load_rules(rules, default="hold", queues=(), automations=()).decide(facts)

    alone = {rule.name: plainly(rule.when, facts) for rule in rules}
    assert set(verdict.tags) == {name for name, value in alone.items() if value is True}
    assert set(verdict.errors) == {name for name, value in alone.items() if value == "error"}
