"""The kinds of unified events, and the data each one carries.

A type is `omnibus.<noun>.<verb>.v1`. The major version is part of the type: within it, only optional fields are ever
added. `DATA` is the one table of kinds; schemas, reference pages and the codec are made from it.
"""

from __future__ import annotations

from typing import Annotated

from omnibus.model.base import Attributes, Direction, FailureCode, Id, Model, Priority, Timestamp, known
from omnibus.model.content import Attachment, Content
from omnibus.model.entities import (
    Author,
    ChannelIdentity,
    Consent,
    Controller,
    Conversation,
    DeliveryState,
    Message,
    RoutingDecision,
    SlaTarget,
    SurveyResponse,
    SurveyScale,
)

NORMALIZER = "/omnibus/normalizer"
ROUTER = "/omnibus/router"
MEDIA = "/omnibus/media"
SINKS = "/omnibus/sinks"
DOWNSTREAM = "/omnibus/downstream"
"""Values of the CloudEvents `source`: who wrote a fact."""

# --- messages -----------------------------------------------------------------------------------


class MessageReceived(Model, frozen=True, kw_only=True):
    """Somebody wrote to us (or the provider echoed what was written on our side)."""

    message: Message
    sender: ChannelIdentity | None = None


class MessageSent(Model, frozen=True, kw_only=True):
    """We wrote: the message is queued for the channel; `message.delivery` events follow."""

    message: Message
    command_id: str | None = None


class MessageEdited(Model, frozen=True, kw_only=True):
    """The words of a message changed. The newest `revision` wins, whatever order they arrive in."""

    message_id: Id
    conversation_id: Id
    content: Content
    revision: int
    edited_at: Timestamp
    author: Author | None = None


class MessageDeleted(Model, frozen=True, kw_only=True):
    """A message was taken back."""

    message_id: Id
    conversation_id: Id
    deleted_at: Timestamp
    author: Author | None = None


class MessageReacted(Model, frozen=True, kw_only=True):
    """A reaction was put on a message, or taken off it."""

    message_id: Id
    conversation_id: Id
    reaction: str
    action: Annotated[str, known("added", "removed")]
    at: Timestamp
    author: Author | None = None


class MessageDelivery(Model, frozen=True, kw_only=True):
    """How far a message has come. `message_id` is absent while only the provider's id is known.

    The status `received` is of a message to us: a copy of it reached another of our addresses (`recipient`), and is no
    message of its own. With `up_to` and neither id it is a report on everything sent until then. `attributes` are what
    else the provider reports of the message (what it cost ...).
    """

    conversation_id: Id
    delivery: DeliveryState
    message_id: str | None = None
    native_id: str | None = None
    recipient: str | None = None
    command_id: str | None = None
    up_to: Timestamp | None = None
    attributes: Attributes = {}


class MessageAttachment(Model, frozen=True, kw_only=True):
    """What became of an attachment that was pending."""

    message_id: Id
    conversation_id: Id
    attachment: Attachment


# --- conversations ------------------------------------------------------------------------------


class ConversationOpened(Model, frozen=True, kw_only=True):
    """A conversation begins."""

    conversation: Conversation


class ConversationUpdated(Model, frozen=True, kw_only=True):
    """Facts of a conversation changed; `changed` names the fields, `conversation` has all of it."""

    conversation: Conversation
    changed: tuple[str, ...] = ()


class ConversationAssigned(Model, frozen=True, kw_only=True):
    """A conversation now waits in a queue, or belongs to somebody; all a consumer needs to begin."""

    conversation: Conversation
    to: Controller
    decision: RoutingDecision | None = None
    recent: tuple[Message, ...] = ()
    summary: str | None = None


class ConversationUnassigned(Model, frozen=True, kw_only=True):
    """A conversation left a queue, an agent or an automation."""

    conversation_id: Id
    was: Controller
    reason: str | None = None


class ConversationResolved(Model, frozen=True, kw_only=True):
    """Somebody says it is settled."""

    conversation_id: Id
    at: Timestamp
    by: Author | None = None


class ConversationReopened(Model, frozen=True, kw_only=True):
    """It was not settled after all."""

    conversation_id: Id
    at: Timestamp
    reason: Annotated[str, known("message", "command")]


class ConversationClosed(Model, frozen=True, kw_only=True):
    """The end: the next message of the thread opens a follow-up."""

    conversation_id: Id
    at: Timestamp
    reason: Annotated[str, known("inactivity", "resolved", "command", "merged")]


# --- control and routing ------------------------------------------------------------------------


class ControlChanged(Model, frozen=True, kw_only=True):
    """Who may answer changed hands, or was offered to."""

    conversation_id: Id
    controller: Controller
    at: Timestamp
    was: Controller | None = None
    reason: str | None = None


class RoutingDecided(Model, frozen=True, kw_only=True):
    """A decision and its reasons."""

    decision: RoutingDecision


class SlaChanged(Model, frozen=True, kw_only=True):
    """A clock is about to run out, ran out, or was met."""

    conversation_id: Id
    policy: str
    target: SlaTarget
    queue: str | None = None


class BreakerChanged(Model, frozen=True, kw_only=True):
    """A conversation became too fast for a person, so automations keep out of it, or was quiet for long enough again.

    `messages` came since `since`; `release_at` is when it is released if it is quiet from now on.
    """

    conversation_id: Id
    at: Timestamp
    messages: int | None = None
    since: Timestamp | None = None
    release_at: Timestamp | None = None


# --- contacts -----------------------------------------------------------------------------------


class ContactIdentified(Model, frozen=True, kw_only=True):
    """A handle belongs to a contact."""

    contact_id: Id
    identity: ChannelIdentity
    evidence: str | None = None


class ContactLinked(Model, frozen=True, kw_only=True):
    """Two contacts are one person (`merged`), or are two after all (`split`)."""

    contact_id: Id
    other_id: Id
    evidence: str | None = None


class ConsentChanged(Model, frozen=True, kw_only=True):
    """A person gave or took back a permission."""

    contact_id: Id
    consent: Consent


class ContactErased(Model, frozen=True, kw_only=True):
    """A person asked to be forgotten."""

    contact_id: Id
    at: Timestamp


# --- calls, surveys, self-service ---------------------------------------------------------------


class CallChanged(Model, frozen=True, kw_only=True):
    """A phone call rang, was answered, ended, or left something behind."""

    conversation_id: Id
    call_id: str
    direction: Direction
    at: Timestamp
    duration_s: float | None = None
    recording_ref: str | None = None
    transcript_ref: str | None = None
    text: str | None = None
    reason: str | None = None


class SurveySent(Model, frozen=True, kw_only=True):
    """A survey went out, or ran out unanswered."""

    survey_id: Id
    conversation_id: Id
    contact_id: Id
    kind: Annotated[str, known("csat", "nps", "ces")]
    scale: SurveyScale
    at: Timestamp


class SurveyAnswered(Model, frozen=True, kw_only=True):
    """A survey was answered."""

    response: SurveyResponse


class SelfService(Model, frozen=True, kw_only=True):
    """Somebody tried to help themselves."""

    conversation_id: Id | None = None
    query: str | None = None
    article_id: str | None = None
    score: float | None = None
    helped: bool | None = None


# --- sinks and channels -------------------------------------------------------------------------


class SinkResult(Model, frozen=True, kw_only=True):
    """What a sink did with an event."""

    sink: str
    event_id: str
    conversation_id: str
    status: Annotated[str, known("delivered", "failed", "parked")]
    at: Timestamp
    attempts: int = 1
    code: FailureCode | None = None
    reason: str | None = None
    external_id: str | None = None


class ChannelStatus(Model, frozen=True, kw_only=True):
    """How a connected account is doing."""

    channel: str
    channel_account_id: str
    at: Timestamp
    reason: str | None = None


EventData = (
    MessageReceived
    | MessageSent
    | MessageEdited
    | MessageDeleted
    | MessageReacted
    | MessageDelivery
    | MessageAttachment
    | ConversationOpened
    | ConversationUpdated
    | ConversationAssigned
    | ConversationUnassigned
    | ConversationResolved
    | ConversationReopened
    | ConversationClosed
    | ControlChanged
    | RoutingDecided
    | SlaChanged
    | ContactIdentified
    | ContactLinked
    | ConsentChanged
    | ContactErased
    | CallChanged
    | SurveySent
    | SurveyAnswered
    | SelfService
    | SinkResult
    | ChannelStatus
)


def _type(noun: str, verb: str) -> str:
    return f"omnibus.{noun}.{verb}.v1"


def _types(noun: str, data: type[Model], *verbs: str) -> dict[str, type[Model]]:
    return {_type(noun, verb): data for verb in verbs}


DATA: dict[str, type[Model]] = {
    _type("message", "received"): MessageReceived,
    _type("message", "sent"): MessageSent,
    _type("message", "edited"): MessageEdited,
    _type("message", "deleted"): MessageDeleted,
    _type("message", "reacted"): MessageReacted,
    _type("message", "delivery"): MessageDelivery,
    _type("message", "attachment"): MessageAttachment,
    _type("conversation", "opened"): ConversationOpened,
    _type("conversation", "updated"): ConversationUpdated,
    _type("conversation", "assigned"): ConversationAssigned,
    _type("conversation", "unassigned"): ConversationUnassigned,
    _type("conversation", "resolved"): ConversationResolved,
    _type("conversation", "reopened"): ConversationReopened,
    _type("conversation", "closed"): ConversationClosed,
    **_types("control", ControlChanged, "offered", "accepted", "passed", "released", "timed_out"),
    _type("routing", "decided"): RoutingDecided,
    **_types("breaker", BreakerChanged, "tripped", "released"),
    **_types("sla", SlaChanged, "warning", "breached", "met"),
    _type("contact", "identified"): ContactIdentified,
    **_types("contact", ContactLinked, "merged", "split"),
    _type("contact", "consent_changed"): ConsentChanged,
    _type("contact", "erased"): ContactErased,
    **_types("call", CallChanged, "ringing", "answered", "ended", "voicemail", "recording_ready", "transcript_ready"),
    **_types("survey", SurveySent, "sent", "expired"),
    _type("survey", "answered"): SurveyAnswered,
    **_types("selfservice", SelfService, "searched", "viewed", "helped", "escalated"),
    **_types("sink", SinkResult, "delivered", "failed", "parked"),
    **_types("channel", ChannelStatus, "connected", "degraded", "disconnected"),
}

# --- commands -----------------------------------------------------------------------------------
# From downstream, on omnibus.commands: what somebody wants done with a conversation.


class Reply(Model, frozen=True, kw_only=True):
    """Write to the contact on the conversation's channel."""

    content: Content
    author: Author = Author(type="agent")
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str | None = None
    auto_submitted: str = "no"


class Note(Model, frozen=True, kw_only=True):
    """Write something only colleagues see."""

    text: str
    author: Author = Author(type="agent")


class Resolve(Model, frozen=True, kw_only=True):
    """It is settled."""

    author: Author = Author(type="agent")


class Reopen(Model, frozen=True, kw_only=True):
    """It is not settled."""

    author: Author = Author(type="agent")


class Transfer(Model, frozen=True, kw_only=True):
    """Give it to another queue or automation: `queue:billing`, `automation:faq`."""

    to: str
    reason: str | None = None
    author: Author = Author(type="agent")
    summary: str | None = None


class Tag(Model, frozen=True, kw_only=True):
    """Put tags on, take tags off."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    priority: Priority | None = None
    attributes: Attributes = {}


COMMANDS: dict[str, type[Model]] = {
    _type("command", "reply"): Reply,
    _type("command", "note"): Note,
    _type("command", "resolve"): Resolve,
    _type("command", "reopen"): Reopen,
    _type("command", "transfer"): Transfer,
    _type("command", "tag"): Tag,
}

# --- control records ----------------------------------------------------------------------------


class CloseThread(Model, frozen=True, kw_only=True):
    """From the router to the thread's owner: close the conversation unless it has moved on since `convseq`."""

    conversation_id: Id
    account: str
    thread: str
    convseq: int
    reason: str


CLOSE_THREAD = _type("control_record", "close_thread")

# --- outbound -----------------------------------------------------------------------------------


class Outbound(Model, frozen=True, kw_only=True):
    """A message on its way to a channel, with what the sender needs to address it.

    `after` is what the contact wrote last, as far as it is known: some providers want what came with it (LINE's reply
    token) to be given back.
    """

    message: Message
    conversation: Conversation
    recipient: ChannelIdentity
    command_id: str | None = None
    after: Message | None = None


OUTBOUND = _type("message", "outbound")
INTERNAL: dict[str, type[Model]] = {CLOSE_THREAD: CloseThread, OUTBOUND: Outbound}
