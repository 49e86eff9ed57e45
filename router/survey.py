"""Surveys: asked once a conversation is resolved, answered by button or by words, attributed to it even when late.

A contact is asked once per period, wherever: what was asked is on the board (`router.board`), and an answer that comes
when the thread has begun another conversation is still that of the one it is about.
"""

from __future__ import annotations

from omnibus import clock
from omnibus.errors import Refused
from omnibus.model import ids
from omnibus.model.content import ChoiceResponse, Choices, Content, Option, Postback, Text, text_of
from omnibus.model.entities import Author, Message, SurveyResponse, SurveyScale
from omnibus.model.events import Reply, SurveyAnswered, SurveySent
from router import outbox
from router.automations.survey import (
    HOW,
    LABELS,
    MAX_BUTTONS,
    QUESTIONS,
    SCALES,
    THANKS,
    SurveySettings,
    in_language,
    score_of,
)
from router.board import LastSurvey
from router.state import Asked
from router.status import CLOSED, RESOLVED
from router.turn import Turn

SURVEY = "survey"
"""The kind of the timer: first that it is time to ask, then that nobody has answered."""


def plan_survey(turn: Turn) -> None:
    """The conversation is resolved: ask how it was, when its queue wants that and the contact may be asked."""
    name = turn.plan.queue(turn.conversation.queue).survey
    settings = None if name is None else _settings(turn, name)
    if name is None or settings is None or turn.state.survey is not None or not _may_be_asked(turn, settings):
        return
    survey_id = ids.derive("srv", turn.conversation.id, name, turn.conversation.reopen_count)
    turn.state.survey = Asked(id=survey_id, automation=name, agent=turn.conversation.assignee)
    turn.ctx.timer_set(SURVEY, turn.key, turn.cause.time_ms + _ms(settings.after.total_seconds()))


def _may_be_asked(turn: Turn, settings: SurveySettings) -> bool:
    """A person who wrote to us, and whom nobody has asked lately."""
    if turn.cause.origin != "live" or turn.state.last_inbound is None or turn.conversation.first_response_at is None:
        return False
    last = turn.board.last_survey(turn.conversation.contact_id)
    return last is None or last.sent_ms + _ms(settings.once_per.total_seconds()) <= turn.cause.time_ms


def on_survey(turn: Turn) -> None:
    """It is time to ask, or too late for an answer."""
    asked = turn.state.survey
    settings = None if asked is None else _settings(turn, asked.automation)
    if asked is None or settings is None:
        turn.state.survey = None
    elif asked.sent_ms is None:
        _ask(turn, asked, settings)
    else:
        asked.expired = True
        turn.publish("survey.expired", _sent(turn, asked, settings))


def _ask(turn: Turn, asked: Asked, settings: SurveySettings) -> None:
    reply = Reply(
        content=_question(turn, asked, settings),
        author=Author(type="bot", id=asked.automation),
        auto_submitted="auto_generated",
    )
    if turn.conversation.status != RESOLVED or not _may_be_asked(turn, settings) or not _can_send(turn, reply):
        turn.state.survey = None
        return
    asked.sent_ms = turn.cause.time_ms
    outbox.send(turn, reply, part=SURVEY)
    turn.publish("survey.sent", _sent(turn, asked, settings))
    turn.board.tell_survey(turn.conversation.contact_id, _last(turn, asked, answered=False), settings.kept_ms)
    turn.ctx.timer_set(SURVEY, turn.key, asked.sent_ms + _ms(settings.expires_after.total_seconds()))


def _can_send(turn: Turn, reply: Reply) -> bool:
    try:
        outbox.check(turn, reply)
    except Refused:  # a survey is no answer anybody waits for
        return False
    return True


def _question(turn: Turn, asked: Asked, settings: SurveySettings) -> Content:
    low, high = SCALES[settings.kind]
    spoken = turn.conversation.language
    question = in_language(settings.questions, QUESTIONS[settings.kind], spoken, settings.language)
    has_buttons = turn.plan.account(turn.conversation.channel_account_id).has_choices and high - low < MAX_BUTTONS
    if not has_buttons:
        how = in_language({}, HOW, spoken, settings.language).format(low=low, high=high)
        return Text(text=f"{question}\n{how}")
    options = (
        Option(id=f"{asked.id}:{score}", title=_label(settings, spoken, score)) for score in range(low, high + 1)
    )
    return Choices(text=question, options=tuple(options))


def _label(settings: SurveySettings, spoken: str | None, score: int) -> str:
    if settings.kind != "csat":
        return str(score)
    labels = LABELS.get((spoken or settings.language).partition("-")[0], LABELS["en"])
    return labels[score - 1]


# --- answers ------------------------------------------------------------------------------------


def take_answer(turn: Turn, message: Message) -> bool:
    """Whether the message answers a survey: this conversation's, or that of the contact's last one."""
    if message.auto_submitted != "no" or not turn.plan.has_surveys:
        return False
    asked = turn.state.survey
    if asked is not None and asked.sent_ms is not None:
        return _take_own(turn, message, asked)
    if asked is None and turn.conversation.status == "new" and turn.conversation.queue is None:
        return _take_late(turn, message)
    return False


def _take_own(turn: Turn, message: Message, asked: Asked) -> bool:
    settings = _settings(turn, asked.automation)
    if settings is None or asked.sent_ms is None or _too_late(turn, settings, asked.sent_ms):
        return False
    strict = asked.expired or turn.conversation.status != RESOLVED
    found = _answer_in(message, asked.id, settings, strict=strict)
    if found is None:
        return False
    last = LastSurvey(
        id=asked.id,
        automation=asked.automation,
        conversation_id=turn.conversation.id,
        sent_ms=asked.sent_ms,
        agent=asked.agent,
    )
    _answered(turn, last, settings, found)
    turn.ctx.timer_cancel(SURVEY, turn.key)
    turn.state.survey = None
    return True


def _take_late(turn: Turn, message: Message) -> bool:
    """The thread has begun another conversation, but the contact answers what was asked before."""
    last = turn.board.last_survey(turn.conversation.contact_id)
    settings = None if last is None or last.answered else _settings(turn, last.automation)
    if last is None or settings is None or _too_late(turn, settings, last.sent_ms):
        return False
    found = _answer_in(message, last.id, settings, strict=True)
    if found is None:
        return False
    _answered(turn, last, settings, found)
    turn.change(status=RESOLVED, resolved_at=turn.at)
    return True


def _too_late(turn: Turn, settings: SurveySettings, sent_ms: int) -> bool:
    kept = settings.expires_after + settings.late_for
    return sent_ms + _ms(kept.total_seconds()) < turn.cause.time_ms


def _answer_in(
    message: Message, survey_id: str, settings: SurveySettings, *, strict: bool
) -> tuple[int, str | None] | None:
    low, high = SCALES[settings.kind]
    chosen = _chosen(message.content)
    if chosen is not None:
        survey, _, score = chosen.rpartition(":")
        return (int(score), None) if survey == survey_id and score.isdigit() and low <= int(score) <= high else None
    return score_of(text_of(message.content), low, high, strict=strict)


def _chosen(content: Content) -> str | None:
    match content:
        case ChoiceResponse():
            return content.option_id
        case Postback():
            return content.payload
        case _:
            return None


def _answered(turn: Turn, last: LastSurvey, settings: SurveySettings, found: tuple[int, str | None]) -> None:
    low, high = SCALES[settings.kind]
    response = SurveyResponse(
        id=last.id,
        kind=settings.kind,
        conversation_id=last.conversation_id,
        contact_id=turn.conversation.contact_id,
        scale=SurveyScale(min=low, max=high),
        score=found[0],
        sent_at=clock.from_ms(last.sent_ms),
        answered_at=turn.at,
        channel=turn.conversation.channel,
        agent_id=last.agent,
        comment=found[1],
    )
    turn.publish("survey.answered", SurveyAnswered(response=response))
    told = LastSurvey(
        id=last.id,
        automation=last.automation,
        conversation_id=last.conversation_id,
        sent_ms=last.sent_ms,
        agent=last.agent,
        answered=True,
    )
    turn.board.tell_survey(turn.conversation.contact_id, told, settings.kept_ms)
    _thank(turn, last.automation, settings)


def _thank(turn: Turn, automation: str, settings: SurveySettings) -> None:
    text = in_language(settings.thanks, THANKS, turn.conversation.language, settings.language)
    author = Author(type="bot", id=automation)
    reply = Reply(content=Text(text=text), author=author, auto_submitted="auto_generated")
    if turn.conversation.status != CLOSED and _can_send(turn, reply):
        outbox.send(turn, reply, part="thanks")


def _sent(turn: Turn, asked: Asked, settings: SurveySettings) -> SurveySent:
    low, high = SCALES[settings.kind]
    return SurveySent(
        survey_id=asked.id,
        conversation_id=turn.conversation.id,
        contact_id=turn.conversation.contact_id,
        kind=settings.kind,
        scale=SurveyScale(min=low, max=high),
        at=turn.at,
    )


def _last(turn: Turn, asked: Asked, *, answered: bool) -> LastSurvey:
    return LastSurvey(
        id=asked.id,
        automation=asked.automation,
        conversation_id=turn.conversation.id,
        sent_ms=asked.sent_ms or turn.cause.time_ms,
        agent=asked.agent,
        answered=answered,
    )


def _settings(turn: Turn, name: str) -> SurveySettings | None:
    plan = turn.plan.automations.get(name)
    return None if plan is None else plan.survey


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
