"""The entities of the unified model. MODEL decides their fields; here they are typed."""

from __future__ import annotations

from typing import Annotated

from omnibus.model.base import (
    Attributes,
    AuthorType,
    AutoSubmitted,
    Channel,
    ConversationStatus,
    CreationReason,
    Direction,
    FailureCode,
    Id,
    MessageStatus,
    Model,
    Priority,
    Timestamp,
    Verified,
    Visibility,
    known,
)
from omnibus.model.content import Attachment, Content


class ChannelIdentity(Model, frozen=True, kw_only=True):
    """A person's handle on a channel. Opaque and scoped: nothing is keyed on a phone number or a mail address."""

    id: Id
    channel: Channel
    scheme: Annotated[
        str,
        known(
            "e164", "email", "wa_bsuid", "psid", "igsid", "tg_user", "line_user", "cookie", "app_user", "sip", "opaque"
        ),
    ]
    value: str
    normalized: str
    channel_account_id: str | None = None
    display_name: str | None = None
    username: str | None = None
    verified: Verified = "none"
    first_seen: Timestamp | None = None
    last_seen: Timestamp | None = None
    blocked: bool = False


class Consent(Model, frozen=True, kw_only=True):
    """What a person agreed to, and the evidence."""

    purpose: str
    channel: str
    state: Annotated[str, known("granted", "denied", "withdrawn")]
    at: Timestamp
    evidence: str | None = None


class ExternalId(Model, frozen=True, kw_only=True):
    """The id of something in another system."""

    system: str
    value: str


class Profile(Model, frozen=True, kw_only=True):
    """What is known of a person."""

    name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    company: str | None = None


class Contact(Model, frozen=True, kw_only=True):
    """A person."""

    id: Id
    external_ids: tuple[ExternalId, ...] = ()
    identities: tuple[ChannelIdentity, ...] = ()
    profile: Profile = Profile()
    attributes: Attributes = {}
    merged_into: str | None = None
    aliases: tuple[str, ...] = ()
    consent: tuple[Consent, ...] = ()
    erased_at: Timestamp | None = None


class Author(Model, frozen=True, kw_only=True):
    """Who wrote a message. `subtypes` refine it (`forwarder`, `page_admin` ...)."""

    type: AuthorType
    id: str | None = None
    display_name: str | None = None
    subtypes: tuple[str, ...] = ()


class Native(Model, frozen=True, kw_only=True):
    """How the provider names a message. `revision` grows with each edit."""

    message_id: str | None = None
    thread_id: str | None = None
    timestamp: Timestamp | None = None
    revision: int = 0


class InReplyTo(Model, frozen=True, kw_only=True):
    """What a message answers."""

    message_id: str | None = None
    native_id: str | None = None


class Quoted(Model, frozen=True, kw_only=True):
    """The words a message quotes."""

    text: str | None = None
    author: str | None = None


class Pii(Model, frozen=True, kw_only=True):
    """Personal data found in a message: its kind and where."""

    kind: str
    path: str


class RawRef(Model, frozen=True, kw_only=True):
    """Where the raw event is that a fact came from."""

    topic: str
    partition: int
    offset: int


class FailureReason(Model, frozen=True, kw_only=True):
    """Why a delivery failed, in the one vocabulary; `native_code` is the provider's own."""

    code: FailureCode
    native_code: str | None = None
    description: str | None = None
    retryable: bool = False


class DeliveryState(Model, frozen=True, kw_only=True):
    """How far a message to a person has come. Nothing follows when `final` is true."""

    status: MessageStatus
    at: Timestamp
    attempts: int = 1
    reason: FailureReason | None = None
    external_ids: tuple[str, ...] = ()
    final: bool = False


class Message(Model, frozen=True, kw_only=True):
    """One message of a conversation."""

    id: Id
    conversation_id: Id
    channel: Channel
    channel_account_id: str
    direction: Direction
    author: Author
    content: Content
    status: MessageStatus
    created_at: Timestamp
    received_at: Timestamp
    visibility: Visibility = "public"
    native: Native = Native()
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: InReplyTo | None = None
    quoted: Quoted | None = None
    delivery: DeliveryState | None = None
    edited: bool = False
    language: str | None = None
    auto_submitted: AutoSubmitted = "no"
    pii: tuple[Pii, ...] = ()
    raw_ref: RawRef | None = None
    attributes: Attributes = {}


class Controller(Model, frozen=True, kw_only=True):
    """Who may answer now."""

    type: Annotated[str, known("queue", "agent", "automation", "external", "none")] = "none"
    id: str | None = None


class Related(Model, frozen=True, kw_only=True):
    """Another conversation this one belongs to."""

    type: Annotated[str, known("follow_up", "split_from", "same_issue", "transfer")]
    id: Id


class ExternalRef(Model, frozen=True, kw_only=True):
    """This conversation in another system."""

    system: str
    type: str
    id: str
    url: str | None = None


class Referral(Model, frozen=True, kw_only=True):
    """Where the person came from."""

    source: str
    type: str | None = None
    ad_id: str | None = None
    code: str | None = None
    url: str | None = None


class SlaTarget(Model, frozen=True, kw_only=True):
    """One clock of an SLA."""

    metric: Annotated[str, known("first_response", "next_response", "resolution")]
    due_at: Timestamp
    state: Annotated[str, known("running", "paused", "met", "breached")]
    warned_at: Timestamp | None = None


class SlaState(Model, frozen=True, kw_only=True):
    """The clocks that run for a conversation."""

    policy: str
    calendar: str | None = None
    targets: tuple[SlaTarget, ...] = ()


class Conversation(Model, frozen=True, kw_only=True):
    """A thread of messages until it is closed. `sequence` counts its snapshots."""

    id: Id
    channel: Channel
    channel_account_id: str
    thread_key: str
    contact_id: Id
    status: ConversationStatus
    first_inbound_at: Timestamp | None = None
    participants: tuple[ChannelIdentity, ...] = ()
    subject: str | None = None
    controller: Controller = Controller()
    queue: str | None = None
    assignee: str | None = None
    priority: Priority = "normal"
    tags: tuple[str, ...] = ()
    language: str | None = None
    intent: str | None = None
    waiting_since: Timestamp | None = None
    first_response_at: Timestamp | None = None
    last_inbound_at: Timestamp | None = None
    last_outbound_at: Timestamp | None = None
    resolved_at: Timestamp | None = None
    closed_at: Timestamp | None = None
    snoozed_until: Timestamp | None = None
    reopen_count: int = 0
    window_expires_at: Timestamp | None = None
    referral: Referral | None = None
    creation_reason: CreationReason = "message"
    related: tuple[Related, ...] = ()
    external_refs: tuple[ExternalRef, ...] = ()
    attributes: Attributes = {}
    sla: SlaState | None = None
    sequence: int = 0


class Tried(Model, frozen=True, kw_only=True):
    """A rule or target that was looked at, and what came of it."""

    target: str
    result: Annotated[str, known("matched", "not_matched", "error", "skipped", "full", "closed")]
    why: str | None = None


class RoutingDecision(Model, frozen=True, kw_only=True):
    """Where a conversation goes, and why. `inputs` holds the facts the rules looked at."""

    id: Id
    conversation_id: Id
    ruleset_version: str
    outcome: Annotated[str, known("queue", "automation", "drop", "hold")]
    rule: str | None = None
    target: str | None = None
    priority: Priority = "normal"
    sla_policy: str | None = None
    skills: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    inputs: Attributes = {}
    mode: Annotated[str, known("live", "shadow", "simulation")] = "live"
    overflow_after: str | None = None


class SurveyScale(Model, frozen=True, kw_only=True):
    """The ends of a scale."""

    min: int
    max: int


class SurveyResponse(Model, frozen=True, kw_only=True):
    """An answer to a survey."""

    id: Id
    kind: Annotated[str, known("csat", "nps", "ces")]
    conversation_id: Id
    contact_id: Id
    scale: SurveyScale
    score: int
    sent_at: Timestamp
    answered_at: Timestamp
    channel: Channel
    agent_id: str | None = None
    comment: str | None = None
