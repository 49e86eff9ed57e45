"""Slack's markup becomes words, in time that grows with the text and not faster."""

from __future__ import annotations

import pytest

from connectors.slack.markup import escaped, mentions, words


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<@U0EXAMPLE1|ana> and <@U0EXAMPLE2>", "@ana and @U0EXAMPLE2"),
        ("<#C0EXAMPLE1|orders> <#C0EXAMPLE2>", "#orders #C0EXAMPLE2"),
        ("<!channel> <!subteam^S0EXAMPLE1|@agents> <!subteam^S0EXAMPLE1>", "@channel @agents @subteam"),
        ("<!date^1767603600^{date}|5 January>", "5 January"),
        ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
        ("<https://example.com|https://example.com>", "https://example.com"),
        ("<https://example.com|here>", "here (https://example.com)"),
        ("a &lt; b &amp;lt; c", "a < b &lt; c"),
        ("not < closed", "not < closed"),
        ("<>", "<>"),
    ],
)
def test_what_people_see_is_what_is_read(written: str, read: str) -> None:
    assert words(written) == read


@pytest.mark.parametrize("text", ["a <b> & c", "<!channel>", "&lt;", "<@U0EXAMPLE1>"])
def test_words_of_ours_are_never_read_as_markup(text: str) -> None:
    """Neither does an agent's text ring the bell of a whole channel."""
    assert words(escaped(text)) == text
    assert "<" not in escaped(text)


def test_each_mention_counts_once() -> None:
    assert mentions("<@U0EXAMPLE1> <@U0EXAMPLE2|bo> <@U0EXAMPLE1>") == "U0EXAMPLE1 U0EXAMPLE2"


def test_a_hostile_text_is_read_at_once() -> None:
    assert words("<" * 100_000) == "<" * 100_000
