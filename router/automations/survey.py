"""`survey`: asks how it was, once a conversation is resolved. A queue names its survey; the router itself asks.

The router asks by itself, because asking once per contact, waiting for the answer and telling an answer from a new
question need its state; nothing here is answered over a topic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from omnibus.config.fields import Duration, between, described
from omnibus.errors import Misconfigured
from omnibus.model.events import Transfer
from router.automations.contract import Automation, AutomationSettings, AutomationTools, Command, Heard

Kind = Literal["csat", "nps", "ces"]
SCALES: Mapping[str, tuple[int, int]] = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "csat": {
        "en": "How satisfied are you with our help?",
        "pt": "Quão satisfeito você está com o nosso atendimento?",
        "es": "¿Qué tan satisfecho está con nuestra atención?",
    },
    "nps": {
        "en": "How likely are you to recommend us to a friend, from 0 (not at all) to 10 (certainly)?",
        "pt": "De 0 (de jeito nenhum) a 10 (com certeza), o quanto você nos recomendaria a um amigo?",
        "es": "De 0 (nada) a 10 (seguro), ¿qué tan probable es que nos recomiende a un amigo?",
    },
    "ces": {
        "en": "How easy was it to get help, from 1 (very hard) to 7 (very easy)?",
        "pt": "De 1 (muito difícil) a 7 (muito fácil), foi fácil resolver o seu problema?",
        "es": "De 1 (muy difícil) a 7 (muy fácil), ¿fue fácil resolver su problema?",
    },
}
LABELS: Mapping[str, tuple[str, ...]] = {
    "en": ("Very unsatisfied", "Unsatisfied", "Neutral", "Satisfied", "Very satisfied"),
    "pt": ("Muito insatisfeito", "Insatisfeito", "Neutro", "Satisfeito", "Muito satisfeito"),
    "es": ("Muy insatisfecho", "Insatisfecho", "Neutral", "Satisfecho", "Muy satisfecho"),
}
HOW: Mapping[str, str] = {
    "en": "Please answer with a number from {low} to {high}.",
    "pt": "Responda com um número de {low} a {high}.",
    "es": "Responda con un número del {low} al {high}.",
}
THANKS: Mapping[str, str] = {
    "en": "Thank you for your answer!",
    "pt": "Obrigado pela sua resposta!",
    "es": "¡Gracias por su respuesta!",
}
MAX_BUTTONS = 10
"""More options than this no channel shows as buttons; the answer is then asked for as a number."""


class SurveySettings(AutomationSettings, frozen=True, kw_only=True):
    """Settings of a `survey` automation."""

    kind: Annotated[Kind, described("csat (1 to 5), nps (0 to 10) or ces (1 to 7).")] = "csat"
    questions: Annotated[dict[str, str], described("Question by language, instead of the shipped ones.")] = (
        msgspec.field(default_factory=dict)
    )
    thanks: Annotated[dict[str, str], described("What is said to an answer, by language.")] = msgspec.field(
        default_factory=dict
    )
    language: Annotated[str, described("Language of contacts whose language is unknown or has no text.")] = "en"
    after: Annotated[
        Annotated[Duration, between("0s", "30d")], described("How long after the resolution to ask.", example="10m")
    ] = timedelta(0)
    expires_after: Annotated[
        Annotated[Duration, between("1m", "90d")], described("How long an answer is waited for.")
    ] = timedelta(days=3)
    late_for: Annotated[
        Annotated[Duration, between("0s", "365d")],
        described("For how long after that an answer still counts for the conversation it is about."),
    ] = timedelta(days=30)
    once_per: Annotated[
        Annotated[Duration, between("0s", "365d")], described("A contact is asked once in this time.", example="30d")
    ] = timedelta(days=30)

    @property
    def kept_ms(self) -> int:
        """How long it must be remembered that a contact was asked."""
        return int(max(self.once_per, self.expires_after + self.late_for).total_seconds() * 1000)


class NeverHasOne:
    """A survey that is given a conversation passes it on: it asks on its own, afterwards."""

    def __init__(self, settings: SurveySettings, tools: AutomationTools) -> None:
        self._queue = tools.hand_over_to

    async def answer(self, heard: Heard) -> Sequence[Command]:
        """Gives it to the queue."""
        return [Transfer(to=f"queue:{self._queue}", reason="a survey answers nothing")]

    async def close(self) -> None:
        """Holds nothing."""


def in_language(texts: Mapping[str, str], shipped: Mapping[str, str], spoken: str | None, fallback: str) -> str:
    """The text in the language spoken, else in the fallback's; configured ones go before shipped ones."""
    for language in (spoken or "", (spoken or "").partition("-")[0], fallback, "en"):
        found = texts.get(language) or (None if texts else shipped.get(language))
        if found is not None:
            return found
    return next(iter(texts.values()))


# --- reading answers ----------------------------------------------------------------------------

_NUMBER = re.compile(r"(?<![0-9.,-])([0-9]{1,2})(?![0-9]|[.,][0-9])")
_OF = re.compile(r"^\s*(?:/|de|of|out of|sobre|em)\s*[0-9]{1,2}", re.IGNORECASE)
_BEFORE = re.compile(r"(?:nota|note|score|rating|puntuaci[oó]n|calificaci[oó]n|um|uma|un|a|i give|dou|doy|[:\s*#(-])*")
_STARS = re.compile("[\u2b50\U0001f31f\u2605]\ufe0f?")
_WORDS = {
    word: value
    for value, words in enumerate(
        (
            "zero cero",
            "one um uno",
            "two dois dos",
            "three tres três",
            "four quatro cuatro",
            "five cinco",
            "six seis",
            "seven sete siete",
            "eight oito ocho",
            "nine nove nueve",
            "ten dez diez",
        )
    )
    for word in words.split()
}
MAX_ANSWER_CHARS = 2_000


def score_of(text: str, low: int, high: int, *, strict: bool = False) -> tuple[int, str | None] | None:
    """The score a text gives, and the comment beside it; None when it is no answer to the survey.

    The score must come first ("9, very helpful", "nota 8", "4/5", five stars); a number somewhere in a sentence is
    something else. With `strict` nothing but the score may be there: for a text that may be about anything.
    """
    said = text.strip()[:MAX_ANSWER_CHARS]
    value, rest = _first_value(said)
    if value is None or not low <= value <= high:
        return None
    comment = _OF.sub("", rest).lstrip(" \t\n.,;:!*)-–—").rstrip(" \t\n*") or None
    return None if strict and comment else (value, comment)


def _first_value(said: str) -> tuple[int | None, str]:
    stars = _STARS.findall(said)
    if stars and not _STARS.sub("", said).strip():
        return len(stars), ""
    before = _BEFORE.match(said.lower())
    at = 0 if before is None else before.end()
    number = _NUMBER.match(said, at)
    if number is not None:
        return int(number[1]), said[number.end() :]
    word, _, rest = said.partition(" ")
    return _WORDS.get(word.lower().strip(".,;:!")), rest


def check(settings: SurveySettings, name: str) -> None:
    """Raises Misconfigured for texts that nobody could be shown."""
    if settings.questions and settings.language not in settings.questions:
        why = f"has no text in {settings.language!r}, the language of contacts whose language is unknown"
        raise Misconfigured(f"automations.{name}.questions", why)


AUTOMATION = Automation(name="survey", title="Survey", settings=SurveySettings, make=NeverHasOne, check=check)
