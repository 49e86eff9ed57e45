"""Encoded words of headers, by the standard and as mail programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.mime.words import decode_words

CASES = {
    "plain": ("no words here", "no words here"),
    "quoted": ("=?utf-8?Q?caf=C3=A9_au_lait?=", "café au lait"),
    "base64": ("=?utf-8?B?w6kg4oKs?=", "é €"),
    "blanks between two words vanish": ("=?utf-8?Q?a?= =?utf-8?Q?b?=\n =?utf-8?Q?c?=", "abc"),
    "blanks beside text stay": ("Re: =?utf-8?Q?a?= b", "Re: a b"),
    "split inside a character": ("=?utf-8?B?w6nD?= =?utf-8?B?qA==?=", "éè"),
    "other charsets": ("=?iso-8859-1?Q?J=FCrgen?= =?koi8-r?B?8NLJ18XU?=", "JürgenПривет"),
    "a language tag": ("=?utf-8*pt?Q?ol=C3=A1?=", "olá"),
    "raw 8-bit inside": ("=?iso-8859-1?Q?Jürgen?=", "Jürgen"),
    "blanks inside": ("=?utf-8?Q?a b c?=", "a b c"),
    "a question mark at the end": ("=?utf-8?Q?Really??=", "Really?"),
    "no end": ("=?utf-8?Q?open", "=?utf-8?Q?open"),
    "base64 without padding": ("=?utf-8?B?aGVsbG8?=", "hello"),
    "an unknown charset": ("=?no-such?Q?abc?=", "abc"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_word_is_decoded(name: str) -> None:
    written, meant = CASES[name]
    assert decode_words(written) == meant


@given(st.text(alphabet="=?utf-8QBqb_ \n\tabc%éあ", max_size=300))
def test_nothing_raises_and_nothing_grows(text: str) -> None:
    assert len(decode_words(text)) <= 4 * len(text) + 1
