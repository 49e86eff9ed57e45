"""Buttons, menus, forms, shortcuts and slash commands: they come as forms, most of them with JSON in one field.

https://docs.slack.dev/interactivity/handling-user-interaction, https://docs.slack.dev/interactivity/implementing-slash-commands
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from connectors._shared.bodies import form_of
from connectors._shared.reading import LONGEST_NATIVE_TYPE, facts, read
from connectors.slack.payload import Action, Element, Interaction
from connectors.slack.people import user_party
from connectors.slack.place import Place, at, place_of
from omnibus.channel.events import AnyEvent, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import ChoiceResponse, Content, FormField, FormResponse, Postback, Text, Unsupported
from omnibus.model.raw import RawEvent


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction, and where and by whom it was."""

    received_at: datetime
    interaction: Interaction
    place: Place
    sender: Party

    @property
    def answered(self) -> str | None:
        """The message the element is in."""
        ts = _message_ts(self.interaction)
        return None if ts is None else self.place.native_id(ts)


def map_form(raw: RawEvent, *, whole: bool) -> Iterator[AnyEvent]:
    """Every event of a form. Raises InvalidPayload."""
    fields = form_of(raw.body)
    if "payload" not in fields:
        yield _command(raw, fields)
        return
    interaction = read(_text(fields, "payload").encode("utf-8", "replace"), Interaction, "payload")
    part = Part(
        received_at=raw.received_at,
        interaction=interaction,
        place=_place(interaction, whole=whole),
        sender=user_party(interaction.user.id, interaction.user.name, username=interaction.user.username),
    )
    yield from BUILDERS.get(interaction.type, unknown)(part)


def team_of_form(body: bytes) -> str | None:
    """The workspace a form comes from. Raises InvalidPayload."""
    fields = form_of(body)
    if "payload" not in fields:
        return _text(fields, "team_id")
    team = read(_text(fields, "payload").encode("utf-8", "replace"), Interaction, "payload").team
    return None if team is None else team.id


def _place(interaction: Interaction, *, whole: bool) -> Place:
    """The channel; for what happens outside of channels the user, whom Slack knows how to write to."""
    container, message = interaction.container, interaction.message
    channel = interaction.channel.id if interaction.channel else (container.channel_id if container else None)
    ts = _message_ts(interaction)
    if channel is None:
        return Place(interaction.user.id)
    if ts is None:
        return Place(channel)
    thread_ts = (container.thread_ts if container else None) or (message.thread_ts if message else None)
    return place_of(channel, ts, thread_ts, whole=whole)


def _message_ts(interaction: Interaction) -> str | None:
    container, message = interaction.container, interaction.message
    return (container.message_ts if container else None) or interaction.message_ts or (message.ts if message else None)


def _said(part: Part, content: Content, native_id: str | None, when: datetime) -> AnyEvent:
    return Message(
        thread=part.place.thread,
        at=when,
        native_id=native_id,
        sender=part.sender,
        content=content,
        in_reply_to=part.answered,
    )


# --- one function for each kind -----------------------------------------------------------------


def block_actions(part: Part) -> Iterator[AnyEvent]:
    """Buttons pressed and options chosen; one request may hold several."""
    for action in part.interaction.actions:
        native_id = f"action:{action.action_ts}:{part.interaction.user.id}:{action.action_id}"
        yield _said(part, _chosen(action), native_id, at(action.action_ts))


def view_submission(part: Part) -> Iterator[AnyEvent]:
    """A form was sent. https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
    view = part.interaction.view
    if view is None:
        raise InvalidPayload("payload.view", "expected a view")
    inputs = view.state.values.values() if view.state else ()
    fields = [_field(name, element) for block in inputs for name, element in block.items()]
    native_id = f"view:{view.id}:{view.hash}"
    yield _said(part, FormResponse(fields=tuple(fields)), native_id, part.received_at)


def shortcut(part: Part) -> Iterator[AnyEvent]:
    """A shortcut, global or on a message. https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload"""
    interaction = part.interaction
    when = at(interaction.action_ts) if interaction.action_ts else part.received_at
    yield _said(part, Postback(payload=interaction.callback_id), _triggered("shortcut", interaction), when)


def unknown(part: Part) -> Iterator[AnyEvent]:
    interaction = part.interaction
    content = Unsupported(native_type=interaction.type[:LONGEST_NATIVE_TYPE])
    yield _said(part, content, _triggered("interaction", interaction), part.received_at)


def _triggered(kind: str, interaction: Interaction) -> str | None:
    return f"{kind}:{interaction.trigger_id}" if interaction.trigger_id else None


BUILDERS: Mapping[str, Callable[[Part], Iterator[AnyEvent]]] = {
    "block_actions": block_actions,
    "view_submission": view_submission,
    "shortcut": shortcut,
    "message_action": shortcut,
}


def _chosen(action: Action) -> Content:
    value, title = _value_of(action)
    if action.type == "button":
        value, title = action.value, action.text.text if action.text else None
    return ChoiceResponse(option_id=value or action.action_id, title=title or None, payload=value)


def _field(name: str, element: Element) -> FormField:
    value, title = _value_of(element)
    return FormField(name=name, type=element.type, value=title or value)


def _value_of(element: Element) -> tuple[str | None, str | None]:
    """What was chosen, and how it is called where it has a name."""
    options = (element.selected_option,) if element.selected_option else element.selected_options or ()
    if options:
        return ", ".join(each.value for each in options), ", ".join(each.text.text for each in options)
    given = (
        element.value,
        element.selected_date,
        element.selected_time,
        element.selected_user,
        element.selected_channel,
        element.selected_conversation,
    )
    return next((each for each in given if each is not None), None), None


# --- slash commands -----------------------------------------------------------------------------


def _command(raw: RawEvent, fields: Mapping[str, Any]) -> AnyEvent:
    """It is no message of its channel, so it has no thread: it belongs to the channel, or to the direct messages."""
    user, command = _text(fields, "user_id"), _text(fields, "command")
    if not user or not command:
        raise InvalidPayload("body", "expected an interaction or a slash command")
    return Message(
        thread=Place(_text(fields, "channel_id") or user).thread,
        at=raw.received_at,
        native_id=f"command:{trigger}" if (trigger := _text(fields, "trigger_id")) else None,
        sender=user_party(user, username=_text(fields, "user_name")),
        content=Text(text=f"{command} {_text(fields, 'text')}".strip()),
        attributes=facts(command=command, channel=_text(fields, "channel_id")),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    """The first value of a field."""
    value = fields.get(name, "")
    return str(value[0] if isinstance(value, list) else value)
