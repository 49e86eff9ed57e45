"""What somebody wrote this time: quotations go, answers stay, in every language, however hostile the text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.forward import read_forward
from connectors.email.quotation_words import LANGUAGES
from connectors.email.reply import split_reply
from connectors.email.reply_html import split_html_reply

# As Gmail, Outlook, Thunderbird and Apple Mail write them.
ATTRIBUTIONS = {
    "pt": "Em seg., 4 de mai. de 2026 às 10:40, Example Support <help@example.com>\nescreveu:",
    "pt Outlook": "De: Example Support <help@example.com>\nEnviado: segunda-feira, 4 de maio de 2026 10:40\n"
    "Para: Ana <ana@example.org>\nAssunto: Re: Chaleira",
    "es": "El lun, 4 may 2026 a las 10:40, Example Support (<help@example.com>) escribió:",
    "es Outlook": "De: Example Support <help@example.com>\nEnviado el: lunes, 4 de mayo de 2026 10:40\n"
    "Para: Ana\nAsunto: RE: Tetera",
    "en": "On Mon, May 4, 2026 at 10:40 AM Example Support <help@example.com> wrote:",
    "en wrapped": "On 4 May 2026, at 10:40, Example Support\n<help@example.com> wrote:",
    "en Outlook": "________________________________\nFrom: Example Support <help@example.com>\n"
    "Sent: Monday, May 4, 2026 10:40\nTo: Ana\nSubject: RE: Kettle",
    "en Outlook old": "-----Original Message-----\nFrom: Example Support\nSent: Monday, May 4, 2026 10:40",
    "fr": "Le lun. 4 mai 2026 à 10:40, Example Support <help@example.com> a écrit :",
    "fr Outlook": "De : Example Support <help@example.com>\nEnvoyé : lundi 4 mai 2026 10:40\nÀ : Ana\nObjet : RE: x",
    "de": "Am Mo., 4. Mai 2026 um 10:40 Uhr schrieb Example Support <help@example.com>:",
    "de Thunderbird": "Am 04.05.26 um 10:40 schrieb Example Support:",
    "de Outlook": "Von: Example Support <help@example.com>\nGesendet: Montag, 4. Mai 2026 10:40\nAn: A\nBetreff: x",
    "it": "Il giorno lun 4 mag 2026 alle ore 10:40 Example Support <help@example.com> ha scritto:",
    "nl": "Op ma 4 mei 2026 om 10:40 schreef Example Support <help@example.com>:",
    "pl": "pon., 4 maj 2026 o 10:40 Example Support <help@example.com> napisał(a):",
    "ru": "пн, 4 мая 2026 г. в 10:40, Example Support <help@example.com>:",
    "ru Mail.ru": "Понедельник, 4 мая 2026, 10:40 +03:00 от Example Support <help@example.com>:",
    "sv": "Den mån 4 maj 2026 kl 10:40 skrev Example Support <help@example.com>:",
    "no": "man. 4. mai 2026 kl. 10:40 skrev Example Support <help@example.com>:",
    "da": "Den man. 4. maj 2026 kl. 10.40 skrev Example Support <help@example.com>:",
    "fi": "ma 4. toukok. 2026 klo 10.40 Example Support (help@example.com) kirjoitti:",
    "tr": "Example Support <help@example.com>, 4 May 2026 Pzt, 10:40 tarihinde şunu yazdı:",
    "ja": "2026年5月4日(月) 10:40 Example Support <help@example.com>:",
    "ja Outlook": "差出人: Example Support <help@example.com>\n送信日時: 2026年5月4日 10:40\n宛先: Ana\n件名: RE: x",
    "zh": "Example Support <help@example.com> 于2026年5月4日周一 10:40写道：",
    "zh Outlook": "发件人: Example Support <help@example.com>\n发送时间: 2026年5月4日 10:40\n收件人: A\n主题: x",
    "ko": "2026년 5월 4일 (월) 오전 10:40, Example Support <help@example.com>님이 작성:",
    "android": "---- Example Support wrote ----",
}


def test_every_language_we_promise_has_its_words() -> None:
    assert set(LANGUAGES) >= {
        *("pt", "es", "en", "fr", "de", "it", "nl", "pl", "ru"),
        *("sv", "no", "da", "fi", "tr", "ja", "zh", "ko"),
    }


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_an_answer_above_is_what_was_written(name: str) -> None:
    text = f"Thank you!\n\nTwo lines.\n\n{ATTRIBUTIONS[name]}\n\nDear Ana,\nit left yesterday.\n"
    assert split_reply(text).visible == "Thank you!\n\nTwo lines."


@pytest.mark.parametrize("name", [name for name in ATTRIBUTIONS if "Outlook" not in name])
def test_an_answer_below_is_what_was_written(name: str) -> None:
    text = f"{ATTRIBUTIONS[name]}\n> Dear Ana,\n>\n> it left yesterday.\n\nThank you!\n"
    assert split_reply(text).visible == "Thank you!"


def test_answers_between_quotations_stay_in_their_order() -> None:
    text = (
        "Hi,\n\nOn 4 May 2026 10:40, Support wrote:\n> Which order?\n\n10-4471\n\n> And where to?\n\nThe old address.\n"
    )
    assert split_reply(text).visible.split() == ["Hi,", "10-4471", "The", "old", "address."]


KEPT = {
    "a journey": "From: London\nTo: Paris\nDate: 3 May\n\nWhat does it cost?",
    "an appointment": "Date: Wednesday 3 October 2026\nTime: 7:00\nAddress: 13 Fox Street",
    "a prompt": "I typed this:\n> help\nand nothing came.",
    "on, the word": "On Tuesday at 10:30 I wrote to you.\nNo answer yet.",
    "a list": "- one\n- two\n-- three",
    "a colon": "Please call me at 10:30:\nthe number is below",
    "a rule": "first\n----------\nsecond",
    "a forward": "FYI\n\n---------- Forwarded message ----------\nFrom: bob@example.net\nSubject: x\n\ntext",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_like_a_quotation_stays(name: str) -> None:
    assert split_reply(KEPT[name]).visible == KEPT[name]


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nAna Souza\nExample Ltd",
        "Sent from my iPhone",
        "Enviado do meu iPhone",
        "Von meinem iPhone gesendet",
        "-Ana",
    ],
)
def test_a_signature_is_set_apart(signature: str) -> None:
    reply = split_reply(f"It works.\n\n{signature}\n\nOn 4 May 2026 10:40, Support wrote:\n> Does it?\n")
    assert (reply.body, reply.signature) == ("It works.", signature)
    assert reply.visible == f"It works.\n\n{signature}"


@pytest.mark.parametrize("text", ["Sent from my desk, which is easier than my phone.", "Sent from my iPhone", "--"])
def test_a_text_is_not_all_signature(text: str) -> None:
    assert split_reply(text).body == text


HTML = {
    "Gmail": '<div>Yes</div><div class="gmail_quote"><div>On Mon wrote:</div><blockquote>No</blockquote></div>',
    "Apple": '<div>Yes</div><blockquote type="cite"><div>On 4 May 2026, Ana wrote:</div>No</blockquote>',
    "Outlook web": '<div>Yes</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: a</div><div>No</div>',
    "Outlook": "<p>Yes</p><div><p><b>From:</b> a@example.com<br><b>Sent:</b> Monday<br><b>To:</b> b<br>"
    "<b>Subject:</b> x</p></div><p>No</p>",
    "Yahoo": '<div>Yes</div><div class="yahoo_quoted"><div>No</div></div>',
    "Thunderbird": '<div class="moz-cite-prefix">Am 04.05.26 um 10:40 schrieb Ana:</div>'
    '<blockquote type="cite">No</blockquote><p>Yes</p>',
    "a plain blockquote": "<p>Yes</p><p>On 4 May 2026, Ana &lt;a@example.org&gt; wrote:</p><blockquote>No</blockquote>",
}


@pytest.mark.parametrize("name", HTML)
def test_an_html_answer_is_what_was_written(name: str) -> None:
    assert split_html_reply(f"<html><body>{HTML[name]}</body></html>").visible == "Yes"


def test_html_that_is_all_quotation_stays() -> None:
    assert split_html_reply("<blockquote>Only this</blockquote>").visible == "Only this"


@pytest.mark.parametrize(
    ("mark", "fields"),
    [
        (
            "---------- Forwarded message ---------",
            "From: Shop <shop@example.net>\nDate: 3 May\nSubject: Order\nTo: a@b.c",
        ),
        ("-------- Mensagem encaminhada --------", "Assunto: Order\nData: 3 mai\nDe: Shop <shop@example.net>\nPara: a"),
        ("Anfang der weitergeleiteten Nachricht:", "Von: Shop <shop@example.net>\nBetreff: Order\nAn: a@b.c"),
    ],
)
def test_a_forward_has_its_senders_words_and_the_first_ones(mark: str, fields: str) -> None:
    forward = read_forward(f"Is this yours?\n\n{mark}\n\n{fields}\n\nPay now.\n", "Fwd: Order")
    assert forward is not None
    assert forward.sender is not None
    assert (forward.message, forward.text, forward.subject) == ("Is this yours?", "Pay now.", "Order")
    assert (forward.sender.name, forward.sender.email) == ("Shop", "shop@example.net")


def test_an_answer_is_no_forward() -> None:
    assert read_forward("Yes\n\nFrom: a@example.org\nSent: Monday\nTo: b\nSubject: x\n\nNo", "RE: x") is None


HOSTILE = {
    "On On On": "On " * 20_000,
    "On, by line": "On\n" * 20_000,
    "attributions": "On 1 wrote\n" * 6_000,
    "fields": "From: a@b.c\nTo: b\n" * 4_000,
    "open fields": "From: a@b.c\nx\n" * 4_000,
    "quotes": ">\n" * 30_000,
    "arrows": ">" * 60_000,
    "dashes": "-" * 60_000,
    "dash lines": "--\n" * 20_000,
    "dates": "2026-05-04 10:40 " * 4_000,
    "addresses": "<a@b.c>:\n" * 6_000,
    "forwards": "---------- Forwarded message ----------\n" * 1_500,
    "ats": "@" * 60_000,
    "blanks": " " * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_no_more_than_its_size(name: str) -> None:
    text = HOSTILE[name]
    assert calls_of(lambda: split_reply(text)) < 400 * (text.count("\n") + 1) + 20_000
    assert calls_of(lambda: read_forward(text, "Fwd: x")) < 400 * (text.count("\n") + 1) + 20_000


@pytest.mark.parametrize(
    "tag", ["<div>", "<!--", "<blockquote>", "<div class=gmail_quote>", "<li><ul>", "<a href=x>", "<"]
)
def test_hostile_html_is_survived(tag: str) -> None:
    split_html_reply(tag * 30_000)


LINES = st.sampled_from(
    [
        *"\n".join(ATTRIBUTIONS.values()).split("\n"),
        "",
        ">",
        "> x",
        "text",
        "--",
        "Sent from my iPhone",
        "From: a@b.c",
        "____",
    ]
)


@given(st.lists(LINES, max_size=30))
def test_a_reply_has_nothing_that_was_not_there(lines: list[str]) -> None:
    text = "\n".join(lines)
    reply = split_reply(text)
    for line in reply.visible.split("\n"):
        assert line in text
    assert len(reply.body) + len(reply.signature) <= len(reply.visible)


@given(st.text(max_size=400))
def test_any_text_is_split(text: str) -> None:
    split_reply(text)
    split_html_reply(text)
    read_forward(text, "Fwd: x")


def calls_of(work: Callable[[], object]) -> int:
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
