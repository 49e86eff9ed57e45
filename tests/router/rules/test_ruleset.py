"""Rules: what they may say, what is wrong with them, and which one wins."""

from __future__ import annotations

import resource
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus import clock
from omnibus.model.content import Attachment, Email, Text
from omnibus.model.entities import Author, Conversation, Message
from router.rehearsal import START_MS, a_conversation, an_identity
from router.rules.facts import VARIABLES, Facts
from router.rules.rule import Rule
from router.rules.ruleset import BadRules, RuleSet, load_rules
from router.rules.words import shipped_words


def rule_set(*rules: Rule) -> RuleSet:
    return load_rules(rules, default="queue:general", queues=("general", "billing"), automations=("faq",))


def rule(when: str, to: str | None = "queue:billing", name: str = "r", **fields: Any) -> Rule:
    return Rule(name=name, when=when, to=to, place="routes.0", **fields)


def message(text: str = "hi", **fields: Any) -> Message:
    at = clock.from_ms(START_MS)
    return Message(
        **{
            "id": "msg_1",
            "conversation_id": "conv_c1",
            "channel": "webchat",
            "channel_account_id": "site-chat",
            "direction": "inbound",
            "author": Author(type="contact"),
            "content": Text(text=text),
            "status": "received",
            "created_at": at,
            "received_at": at,
            **fields,
        }
    )


def facts(what: Message | None = None, conversation: Conversation | None = None) -> Facts:
    return Facts(
        conversation=conversation or a_conversation(),
        message=what or message(),
        sender=an_identity(),
        now_ms=START_MS,
        words=shipped_words(),
    )


def decide(when: str, what: Message | None = None, **conversation: Any) -> bool:
    verdict = rule_set(rule(when)).decide(facts(what, a_conversation(**conversation)))
    assert not verdict.errors, verdict.tried
    return verdict.rule is not None


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("message.text.matches('(?i)boleto|fatura|invoice')", "cadê meu BOLETO?"),
        ("channel == 'webchat' && message.text.contains('bill')", "my bill"),
        ("message.asks_for_human", "quero falar com um atendente"),
        ("'refund' in message.words", "Refund, please!"),
        ("message.text.size() > 3 && !message.has_attachments", "long enough"),
        ("now.getHours('America/Sao_Paulo') == 6 && now.getDayOfWeek() == 1", "hi"),
        ("contact.address.endsWith('@example.com') && contact.scheme == 'email'", "hi"),
        ("message.attributes.?plan.orValue('none') == 'none'", "hi"),
        ("conversation.tags.exists(t, t.startsWith('vip'))", "hi"),
        ("message.text.matches('a') && message.text.matches('^b') // both", "ba"),
        ("message\n  .text\n  .matches(r'\\d{3}')", "123"),
        ("message.text.lowerAscii() == 'hi'", "HI"),
        ("matches(message.text, '^h')", "hi"),
        ("account == 'site-chat' && conversation.creation_reason == 'message'", "hi"),
    ],
)
def test_a_condition_that_holds(when: str, text: str) -> None:
    assert decide(when, message(text), tags=("vip-1",))


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("message.text.matches('(?i)boleto')", "bole to"),
        ("message.text.matches('^b')", "ab"),
        ("conversation.reopen_count > 0", "hi"),
        ("message.subject != ''", "hi"),
    ],
)
def test_a_condition_that_does_not(when: str, text: str) -> None:
    assert not decide(when, message(text))


def test_mail_is_read_without_its_quotations() -> None:
    mail = Email(subject="Re: order", text="thanks\n> invoice", text_reply_only="thanks")

    assert decide("message.subject.contains('order')", message(content=mail))
    assert not decide("message.text.contains('invoice')", message(content=mail))


@pytest.mark.parametrize(
    ("when", "why", "column", "near"),
    [
        ("message.txt == 'a'", "unknown name 'message.txt'", 1, "message.text"),
        ("true && mesage.text == 'a'", "unknown name 'mesage.text'", 9, "message.text"),
        ("message == 'a'", "unknown name 'message'", 1, "message.text"),
        ("conversation.tagz == []", "unknown name 'conversation.tagz'", 1, "conversation.tags"),
        ("conversation.reopen_count == '1'", "found no matching overload", 27, ""),
        ("message.text.matches('(bad')", "bad regular expression", 1, ""),
        ("true && conversation.tags.exists(t, t.matches('[z-a]'))", "bad regular expression", 37, ""),
        ("channel", "a condition is true or false, this is string", 1, ""),
        ("channel ==", "Syntax error", 11, ""),
        ("x" * 5_000, "longer than 4000 characters", 1, ""),
        ("[1].map(x, x.foo == 1)[0]", "cannot be the operand of a select operation", 13, ""),
    ],
)
def test_a_wrong_condition_is_found_when_it_is_loaded(when: str, why: str, column: int, near: str) -> None:
    with pytest.raises(BadRules) as raised:
        rule_set(rule(when))

    [error, *_] = raised.value.errors
    assert why in error.why
    assert (error.place, error.line, error.column) == ("routes.0.when", 1, column)
    assert near in (error.near or ("",))


def test_an_error_on_a_later_line_says_which() -> None:
    with pytest.raises(BadRules) as raised:
        rule_set(rule("channel == 'email' &&\n  chanel == 'x'"))

    assert (raised.value.errors[0].line, raised.value.errors[0].column) == (2, 3)


def test_all_errors_are_reported_together() -> None:
    rules = [rule("nope", name="one"), rule("true", to="queue:bling", name="two"), rule("true", name="two")]
    with pytest.raises(BadRules) as raised:
        rule_set(*rules)

    assert sorted(error.rule for error in raised.value.errors) == ["one", "two", "two"]
    assert "queue:billing" in str(raised.value)


def test_the_first_rule_with_a_target_wins() -> None:
    verdict = rule_set(rule("true", name="a"), rule("true", to="drop", name="b")).decide(facts())

    assert (verdict.to, verdict.rule) == ("queue:billing", "a")
    assert [tried.target for tried in verdict.tried] == ["a"]


def test_rules_that_go_on_add_up() -> None:
    verdict = rule_set(
        rule("true", to=None, name="a", tags=("x",), priority="high", attributes={"tier": 1}),
        rule("true", to="queue:billing", name="b", tags=("y", "x"), skills=("french",), go_on=True),
        rule("true", to=None, name="c", priority="urgent", language="pt", stop=True),
        rule("true", to="drop", name="d"),
    ).decide(facts())

    assert (verdict.to, verdict.rule, verdict.priority) == ("queue:billing", "b", "urgent")
    assert (verdict.tags, verdict.skills, verdict.language) == (("x", "y"), ("french",), "pt")
    assert verdict.attributes == {"tier": 1}


def test_a_rule_that_errors_on_a_message_is_passed_by_and_named() -> None:
    rules = rule_set(
        rule("message.attributes['plan'] == 'gold'", name="gold"),
        rule("message.text == 'hi'", name="hi", to="queue:general"),
    )
    verdict = rules.decide(facts())

    assert (verdict.rule, verdict.errors) == ("hi", ("gold",))
    assert verdict.tried[0].result == "error"
    assert "plan" in (verdict.tried[0].why or "")


def test_the_version_is_that_of_the_content() -> None:
    one, same = rule_set(rule("true")), rule_set(Rule(name="r", to="queue:billing", place="elsewhere"))

    assert one.version == same.version
    assert one.version != rule_set(rule("false")).version


def test_a_thousand_rules_are_explained_in_bounds() -> None:
    rules = rule_set(*(rule(f"channel == 'c{n}' && message.text.matches('w{n}')", name=f"r{n}") for n in range(1_000)))
    verdict = rules.decide(facts())

    assert verdict.rule is None
    assert len(verdict.tried) == 100


def test_every_variable_can_be_read_and_is_of_its_type() -> None:
    attachment = Attachment(id="att_1", mime="image/png", state="stored")
    full = facts(message(attachments=(attachment,), attributes={"a": True, "b": 1.5}))
    empty = Facts(
        conversation=a_conversation(participants=()), message=None, sender=None, now_ms=0, words=shipped_words()
    )
    of_type = {
        "string": "{} == {}",
        "bool": "{} || true",
        "int": "{} >= 0",
        "timestamp": "{} >= timestamp('1970-01-01T00:00:00Z')",
        "list(string)": "size({}) >= 0",
        **dict.fromkeys(("map(string, string)", "map(string, bool)", "map(string, int)"), "size({}) >= 0"),
    }
    for name, variable in VARIABLES.items():
        rules = rule_set(rule(of_type[variable.type].format(name, name)))
        for seen in (full, empty):
            assert rules.decide(seen).errors == (), name


hostile = st.text(st.characters(), max_size=200) | st.just("\0\ud800") | st.just("a" * 100_000)


@given(text=hostile, subject=hostile, key=hostile)
def test_no_text_breaks_the_evaluation(text: str, subject: str, key: str) -> None:
    """Whatever people write, every rule is evaluated, and NUL hides nothing behind it."""
    rules = rule_set(
        rule("message.text.matches('(?i)never-there')", name="pattern"),
        rule("message.text.contains('never-there') || message.subject == 'never-there'", name="plain"),
        rule("message.asks_for_human && 'never-there' in message.words", name="words"),
        rule("message.attributes.exists(k, k == 'never-there')", name="map"),
    )
    content = Email(subject=subject, text=text)
    verdict = rules.decide(facts(message(content=content, attributes={key: text[:100]})))

    assert verdict.errors == ()


def test_nul_does_not_cut_a_text() -> None:
    assert not decide("message.text == 'x'", message("x\0y"))
    assert decide("message.text == 'xy'", message("x\0y"))


def test_deciding_does_not_grow_memory() -> None:
    """Millions of messages go through one process: evaluation must not keep anything."""
    rules = rule_set(*(rule(f"message.text.matches('x{n}') || channel == 'c{n}'", name=f"r{n}") for n in range(20)))

    def run(times: int) -> int:
        for number in range(times):
            rules.decide(facts(message(f"text {number}")))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    run(2_000)
    before = run(100)
    assert run(5_000) - before < 2_000  # kilobytes


@given(st.lists(st.sampled_from(["bill", "refund", "hello", "atendente", "!"]), max_size=6))
def test_the_same_facts_give_the_same_verdict(words: list[str]) -> None:
    rules = [
        rule("message.text.contains('bill')", name="a"),
        rule("message.asks_for_human", name="b", to="queue:general"),
        rule("message.words.exists(w, w == 'refund')", name="c", to="hold"),
    ]
    text = " ".join(words)

    verdicts = [rule_set(*rules).decide(facts(message(text))) for _ in range(2)]
    assert verdicts[0] == verdicts[1]
