"""What X tells of an account, in our words: two forms of webhook, a table of small functions for each.

Account Activity API: https://docs.x.com/x-api/account-activity/introduction#available-activities
X Activity API: https://docs.x.com/x-api/activity/event-payloads
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from connectors._shared.reading import read
from connectors.x.messages import direct_messages, encrypted, read_marks
from connectors.x.payloads import Activity, Profile, fields_of, id_of, needed
from connectors.x.posts import activity_post, posts
from connectors.x.said import Told, people_in
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Unsupported
from omnibus.model.raw import RawEvent

NOWHERE = "unknown"
"""The thread of what names nobody we know."""

Builder = Callable[[Told, msgspec.Raw], Iterator[AnyEvent]]

ACTIVITIES: Mapping[str, Builder] = {
    "direct_message_events": direct_messages,
    "direct_message_mark_read_events": read_marks,
    "tweet_create_events": posts,
}
NOT_SAID = frozenset(
    {  # nobody says anything with these
        "favorite_events",
        "follow_events",
        "unfollow_events",
        "block_events",
        "unblock_events",
        "mute_events",
        "unmute_events",
        "direct_message_indicate_typing_events",
        "tweet_delete_events",  # only our own are told, and not whom they answered
        "user_event",  # the app may no longer act for the account: what we send is refused from now on
        "replay_job_status",
    }
)
ABOUT = frozenset({"for_user_id", "users", "apps", "user_has_blocked", "is_blocked_by"})

EVENTS: Mapping[str, Callable[[Told, Activity], Iterator[AnyEvent]]] = {
    "dm.received": lambda told, activity: _each(told, activity),
    "dm.sent": lambda told, activity: _each(told, activity),
    "dm.read": lambda told, activity: _each(told, activity),
    "post.create": activity_post,
    "post.mention.create": activity_post,
    "chat.received": lambda told, activity: encrypted(told, activity.payload, activity.event_type),
}
SILENT = (  # beginnings of the names of events with which nobody says anything
    "like.",
    "follow.",
    "profile.",
    "mute.",
    "block.",
    "dm.indicate_typing",
    "chat.sent",
    "chat.conversation_join",
    "post.delete",
    "oauth.",
    "spaces.",
    "news.",
)


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """All events of a request, in the order X gives them. Raises InvalidPayload."""
    fields = fields_of(raw.body)
    if "data" in fields:
        yield from _activity(raw, read(fields["data"], Activity, "data"))
    else:
        yield from _account_activity(raw, fields)


def threads(raw: RawEvent) -> Sequence[str]:
    """The conversations and customers that a request is about. Raises InvalidPayload."""
    return tuple(dict.fromkeys(event.thread for event in map_event(raw)))


# --- Account Activity API -------------------------------------------------------------------------


def _account_activity(raw: RawEvent, fields: Mapping[str, msgspec.Raw]) -> Iterator[AnyEvent]:
    told = Told(raw=raw, us=_us(fields), people=people_in(_people(fields.get("users"))))
    for kind, json in fields.items():
        if kind in ACTIVITIES:
            yield from ACTIVITIES[kind](told, json)
        elif kind not in NOT_SAID and kind not in ABOUT:
            yield _unknown(told, kind)


def _us(fields: Mapping[str, msgspec.Raw]) -> str:
    """Whose activity it is; only what is about the app itself names nobody."""
    if not any(kind in fields for kind in ACTIVITIES):
        return ""
    given: object = read(fields.get("for_user_id", msgspec.Raw(b"null")), object, "for_user_id")
    return needed(id_of(given) if isinstance(given, (str, int)) else None, "for_user_id")


def _people(json: msgspec.Raw | None) -> Iterable[Profile]:
    return () if json is None else read(json, dict[str, Profile], "users").values()


# --- X Activity API -------------------------------------------------------------------------------


def _activity(raw: RawEvent, activity: Activity) -> Iterator[AnyEvent]:
    told = Told(raw=raw, us=activity.filter.user_id or "", people=people_in(activity.includes.users))
    if activity.event_type in EVENTS:
        needed(activity.filter.user_id, "data.filter.user_id")
        yield from EVENTS[activity.event_type](told, activity)
    elif not activity.event_type.startswith(SILENT):
        yield _unknown(told, activity.event_type)


def _each(told: Told, activity: Activity) -> Iterator[AnyEvent]:
    """Direct messages have the form of the other API, with the users wrapped.

    The page shows no example of `dm.read`; what is not of that form ends among the dead letters, where it can be seen.
    """
    fields = read(activity.payload, dict[str, msgspec.Raw], "data.payload")
    if fields.keys().isdisjoint(ACTIVITIES):
        raise InvalidPayload("data.payload", f"expected one of {', '.join(ACTIVITIES)}")
    within = told.knowing(_people(fields.get("users")))
    for kind, json in fields.items():
        if kind in ACTIVITIES:
            yield from ACTIVITIES[kind](within, json)


def _unknown(told: Told, kind: str) -> AnyEvent:
    """A kind that X has added since: never dropped."""
    return events.Message(
        thread=NOWHERE,
        at=told.at,
        sender=Party(scheme="x_user", value=NOWHERE),
        content=Unsupported(native_type=kind[:100]),
    )
