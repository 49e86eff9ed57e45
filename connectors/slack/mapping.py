"""What Slack sends, in our words: the Events API here, interactions and commands in `interactions`.

https://docs.slack.dev/apis/events-api
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from connectors._shared.bodies import looks_like_json
from connectors._shared.reading import LONGEST_NATIVE_TYPE, facts, read, threads_of
from connectors.slack import interactions
from connectors.slack.contents import content_of
from connectors.slack.markup import mentions, words
from connectors.slack.payload import (
    Before,
    Changed,
    Deleted,
    Envelope,
    Identified,
    Kind,
    Located,
    Membership,
    Message,
    Reacted,
    Said,
)
from connectors.slack.people import bot_party, user_party, workspace_party
from connectors.slack.place import CONVERSATION, WORKSPACE, Place, at, microseconds, place_of
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Deletion, Edit, Party, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes
from omnibus.model.content import System, Unsupported
from omnibus.model.raw import RawEvent


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and what every builder needs to know of its envelope."""

    received_at: datetime
    envelope: Envelope
    kind: str
    json: msgspec.Raw
    whole: bool

    @property
    def native_id(self) -> str | None:
        """For what has no name of its own; Slack gives a repeated event the same id."""
        return _event_id(self.envelope)


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request. Raises InvalidPayload."""
    if not looks_like_json(raw.body):
        yield from interactions.map_form(raw, whole=_whole(raw))
        return
    envelope = read(raw.body, Envelope)
    if envelope.type != "event_callback":
        yield _about_the_app(raw, envelope)
        return
    kind = read(envelope.event, Kind, "$.event")
    name = kind.type if kind.type != "message" or kind.subtype not in MESSAGES else f"message.{kind.subtype}"
    part = Part(received_at=raw.received_at, envelope=envelope, kind=name, json=envelope.event, whole=_whole(raw))
    yield from BUILDERS.get(name, unknown)(part)


def threads(raw: RawEvent) -> Sequence[str]:
    """The threads of a request: one, as documented. Raises InvalidPayload."""
    return threads_of(map_event(raw))


def _event_id(envelope: Envelope) -> str | None:
    return None if envelope.event_id is None else f"event:{envelope.event_id}"


def _whole(raw: RawEvent) -> bool:
    return raw.attributes.get(CONVERSATION) == "channel"


# --- messages -----------------------------------------------------------------------------------


def message(part: Part) -> Iterator[AnyEvent]:
    """Somebody wrote, or Slack itself says something about the channel."""
    sent = read(part.json, Message, "$.event")
    if sent.subtype is not None and sent.subtype not in SPOKEN:
        yield _told_by_slack(part, sent)
        return
    place = place_of(sent.channel, sent.ts, sent.thread_ts, whole=part.whole)
    content, attachments = content_of(sent)
    yield events.Message(
        thread=place.thread,
        at=at(sent.ts),
        native_id=place.native_id(sent.ts),
        sender=_sender(sent),
        content=content,
        attachments=attachments,
        own=_is_own(part.envelope, sent),
        auto_submitted="auto_generated" if sent.bot_id else "no",
        in_reply_to=_answered(place, sent),
        attributes=_attributes(sent),
    )


def _told_by_slack(part: Part, sent: Message) -> AnyEvent:
    """A topic was set, somebody came: https://docs.slack.dev/reference/events/message#subtypes"""
    return events.Message(
        thread=Place(sent.channel).thread,
        at=at(sent.ts),
        native_id=f"{sent.channel}:{sent.ts}",
        sender=_sender(sent),
        content=System(code=(sent.subtype or "")[:LONGEST_NATIVE_TYPE], params=facts(text=words(sent.text or ""))),
    )


def changed(part: Part) -> Iterator[AnyEvent]:
    """An edit. Slack also sends these when it has found a picture behind a link, or a reply: then nobody has edited."""
    change = read(part.json, Changed, "$.event")
    now, before = change.message, change.previous_message
    is_edit = now.edited is not None and (before is None or before.edited != now.edited)
    if now.edited is None or not is_edit or _is_own(part.envelope, now):
        return
    place = place_of(change.channel, now.ts, now.thread_ts, whole=part.whole)
    content, attachments = content_of(now)
    yield Edit(
        thread=place.thread,
        at=at(now.edited.ts),
        native_id=part.native_id,
        target=place.native_id(now.ts),
        content=content,
        revision=microseconds(now.edited.ts),
        sender=_sender(now),
        attachments=attachments,
    )


def deleted(part: Part) -> Iterator[AnyEvent]:
    gone = read(part.json, Deleted, "$.event")
    before = gone.previous_message
    if _is_own(part.envelope, before):
        return
    place = place_of(gone.channel, gone.deleted_ts, before.thread_ts, whole=part.whole)
    yield Deletion(
        thread=place.thread,
        at=at(gone.ts),
        native_id=part.native_id,
        target=place.native_id(gone.deleted_ts),
        sender=user_party(before.user) if before.user else None,
    )


def nothing(part: Part) -> Iterator[AnyEvent]:
    """A message has a reply: the reply comes by itself."""
    return iter(())


def _sender(sent: Said) -> Party:
    if sent.user:
        profile = sent.user_profile
        name = None if profile is None else profile.display_name or profile.real_name
        bot_name = sent.bot_profile.name if sent.bot_profile else None
        return user_party(sent.user, name or bot_name or sent.username, is_bot=sent.bot_id is not None)
    if sent.bot_id:
        return bot_party(sent.bot_id, sent.username or (sent.bot_profile.name if sent.bot_profile else None))
    return workspace_party(None)


def _is_own(envelope: Envelope, sent: Said | Before) -> bool:
    """Whether our app wrote it: Slack tells an app about its own messages as about all others."""
    app_id = sent.app_id or (sent.bot_profile.app_id if sent.bot_profile else None)
    if app_id is not None:
        return app_id == envelope.api_app_id
    ours = {each.user_id for each in envelope.authorizations or () if each.is_bot}
    return sent.user is not None and sent.user in ours


def _answered(place: Place, sent: Message) -> str | None:
    """The message whose thread this is a reply in."""
    return None if sent.thread_ts is None or sent.thread_ts == sent.ts else place.native_id(sent.thread_ts)


def _attributes(sent: Message) -> Attributes:
    links = [file.permalink for file in sent.files or () if file.mode == "external" and file.permalink]
    return facts(
        channel=sent.channel,
        channel_type=sent.channel_type,
        subtype=sent.subtype if sent.subtype in ("me_message", "thread_broadcast") else None,
        mentions=mentions(sent.text or ""),
        links=" ".join(links),
    )


# --- reactions, people, the rest ----------------------------------------------------------------


def reaction_added(part: Part) -> Iterator[AnyEvent]:
    yield from _reaction(part, removed=False)


def reaction_removed(part: Part) -> Iterator[AnyEvent]:
    yield from _reaction(part, removed=True)


def _reaction(part: Part, *, removed: bool) -> Iterator[AnyEvent]:
    """Slack does not say which thread the message is in: the first message of one, as far as can be told from here; the
    normalizer knows better where it has seen the message."""
    reacted = read(part.json, Reacted, "$.event")
    item = reacted.item
    if item.channel is None or item.ts is None:
        yield from unknown(part)
        return
    place = place_of(item.channel, item.ts, None, whole=part.whole)
    yield Reaction(
        thread=place.thread,
        at=at(reacted.event_ts),
        native_id=part.native_id,
        target=place.native_id(item.ts),
        reaction=f":{reacted.reaction}:",
        removed=removed,
        sender=user_party(reacted.user),
    )


def member_joined(part: Part) -> Iterator[AnyEvent]:
    yield _membership(part, "member_joined")


def member_left(part: Part) -> Iterator[AnyEvent]:
    yield _membership(part, "member_left")


def _membership(part: Part, code: str) -> AnyEvent:
    found = read(part.json, Membership, "$.event")
    return events.Message(
        thread=Place(found.channel).thread,
        at=at(found.event_ts) if found.event_ts else part.received_at,
        native_id=part.native_id,
        sender=user_party(found.user),
        content=System(code=code, params=facts(user_ids=found.user, invited_by=found.inviter)),
    )


def unknown(part: Part) -> Iterator[AnyEvent]:
    """An event of a kind we do not map: never dropped, in its channel when it has one."""
    try:
        located = read(part.json, Located, "$.event")
    except InvalidPayload:
        located = Located()
    user, channel = _id_of(located.user), _id_of(located.channel) or located.channel_id
    yield events.Message(
        thread=channel or user or WORKSPACE,
        at=at(located.event_ts) if located.event_ts else part.received_at,
        native_id=part.native_id,
        sender=user_party(user) if user else workspace_party(part.envelope.team_id),
        content=Unsupported(native_type=part.kind[:LONGEST_NATIVE_TYPE]),
    )


def _id_of(found: str | Identified | None) -> str | None:
    return found.id if isinstance(found, Identified) else found


def _about_the_app(raw: RawEvent, envelope: Envelope) -> AnyEvent:
    """Something Slack says outside of events (https://docs.slack.dev/apis/events-api#rate-limiting)."""
    return events.Message(
        thread=WORKSPACE,
        at=raw.received_at,
        native_id=_event_id(envelope),
        sender=workspace_party(envelope.team_id),
        content=System(code=envelope.type[:LONGEST_NATIVE_TYPE]),
    )


SPOKEN = frozenset({"file_share", "me_message", "thread_broadcast", "bot_message"})
"""Subtypes of messages that somebody wrote."""
MESSAGES = frozenset({"message_changed", "message_deleted", "message_replied"})

BUILDERS: Mapping[str, Callable[[Part], Iterator[AnyEvent]]] = {
    "message": message,
    "app_mention": message,  # the same message as without the mention: its native id is the same, too
    "message.message_changed": changed,
    "message.message_deleted": deleted,
    "message.message_replied": nothing,
    "reaction_added": reaction_added,
    "reaction_removed": reaction_removed,
    "member_joined_channel": member_joined,
    "member_left_channel": member_left,
}
