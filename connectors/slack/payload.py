"""The parts of Slack's payloads that we read; fields we do not know are left aside.

Facts: https://docs.slack.dev/apis/events-api, https://docs.slack.dev/reference/events,
https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

import msgspec

from connectors._shared.reading import Foreign, Name, Number
from connectors.slack.place import Ts


class Authorization(Foreign, frozen=True, kw_only=True):
    user_id: str | None = None
    is_bot: bool = False


class Envelope(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/apis/events-api#callback-field"""

    type: str
    team_id: str | None = None
    api_app_id: str | None = None
    event_id: str | None = None
    event: msgspec.Raw = msgspec.Raw()
    authorizations: tuple[Authorization, ...] | None = None


class File(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/objects/file-object"""

    id: Name
    name: str | None = None
    mimetype: str | None = None
    size: Number | None = None
    mode: str | None = None
    subtype: str | None = None
    permalink: str | None = None


class Edited(Foreign, frozen=True, kw_only=True):
    ts: Ts


class BotProfile(Foreign, frozen=True, kw_only=True):
    name: str | None = None
    app_id: str | None = None


class UserProfile(Foreign, frozen=True, kw_only=True):
    """Comes with messages from other organisations (Slack Connect)."""

    real_name: str | None = None
    display_name: str | None = None


class Said(Foreign, frozen=True, kw_only=True):
    """A message as it stands in a channel."""

    ts: Ts
    thread_ts: Ts | None = None
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    text: str | None = None
    edited: Edited | None = None
    files: tuple[File, ...] | None = None
    bot_profile: BotProfile | None = None
    user_profile: UserProfile | None = None


class Message(Said, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/events/message"""

    channel: Name
    channel_type: str | None = None
    event_ts: Ts | None = None


class Changed(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/events/message/message_changed"""

    channel: Name
    message: Said
    previous_message: Said | None = None


class Before(Foreign, frozen=True, kw_only=True):
    """What stood where something was deleted."""

    thread_ts: Ts | None = None
    user: str | None = None
    app_id: str | None = None
    bot_profile: BotProfile | None = None


class Deleted(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/events/message/message_deleted"""

    channel: Name
    ts: Ts
    deleted_ts: Ts
    previous_message: Before = Before()


class Kind(Foreign, frozen=True, kw_only=True):
    """What every event tells."""

    type: str
    subtype: str | None = None


class Item(Foreign, frozen=True, kw_only=True):
    type: str = ""
    channel: Name | None = None
    ts: Ts | None = None


class Reacted(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/events/reaction_added"""

    user: Name
    reaction: Name
    item: Item
    event_ts: Ts


class Membership(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/events/member_joined_channel"""

    user: Name
    channel: Name
    inviter: str | None = None
    event_ts: Ts | None = None


class Identified(Foreign, frozen=True, kw_only=True):
    id: str | None = None


class Located(Foreign, frozen=True, kw_only=True):
    """What an event of an unknown kind may tell about where, who and when."""

    channel: str | Identified | None = None
    channel_id: str | None = None
    user: str | Identified | None = None
    event_ts: Ts | None = None


# --- interactions -------------------------------------------------------------------------------


class Clicker(Foreign, frozen=True, kw_only=True):
    id: Name
    name: str | None = None
    username: str | None = None


class Channel(Foreign, frozen=True, kw_only=True):
    id: Name


class Container(Foreign, frozen=True, kw_only=True):
    """Where the element is that was used: a message, or a view."""

    message_ts: Ts | None = None
    thread_ts: Ts | None = None
    channel_id: Name | None = None


class Shown(Foreign, frozen=True, kw_only=True):
    ts: Ts | None = None
    thread_ts: Ts | None = None


class Words(Foreign, frozen=True, kw_only=True):
    text: str = ""


class Choice(Foreign, frozen=True, kw_only=True):
    value: str = ""
    text: Words = Words()


class Element(Foreign, frozen=True, kw_only=True):
    """What was chosen or typed, by the kind of element.

    https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """

    type: str = ""
    value: str | None = None
    text: Words | None = None
    selected_option: Choice | None = None
    selected_options: tuple[Choice, ...] | None = None
    selected_date: str | None = None
    selected_time: str | None = None
    selected_user: str | None = None
    selected_channel: str | None = None
    selected_conversation: str | None = None


class Action(Element, frozen=True, kw_only=True):
    action_id: str = ""
    action_ts: Ts


class State(Foreign, frozen=True, kw_only=True):
    """The inputs of a view, by block and action."""

    values: dict[str, dict[str, Element]] = {}


class View(Foreign, frozen=True, kw_only=True):
    """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""

    id: Name
    hash: str = ""
    callback_id: str = ""
    state: State | None = None


class Interaction(Foreign, frozen=True, kw_only=True):
    type: str
    user: Clicker
    team: Identified | None = None
    channel: Channel | None = None
    container: Container | None = None
    message: Shown | None = None
    message_ts: Ts | None = None
    actions: tuple[Action, ...] = ()
    callback_id: str = ""
    trigger_id: str = ""
    action_ts: Ts | None = None
    view: View | None = None
