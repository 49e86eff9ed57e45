"""Commands, buttons, menus and forms.

https://docs.discord.com/developers/interactions/receiving-and-responding
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors._shared.reading import facts, read
from connectors.discord.contents import linked
from connectors.discord.payload import Component, Data, Input, Interaction, Option
from connectors.discord.people import nobody, party
from connectors.discord.snowflake import time_of
from omnibus.channel.events import AnyEvent, Media, Message, Party
from omnibus.model.content import ChoiceResponse, Content, FormField, FormResponse, Text, Unsupported

PING, COMMAND, COMPONENT, AUTOCOMPLETE, FORM = 1, 2, 3, 4, 5
"""https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object-interaction-type"""

DEEPEST = 5
"""Commands have groups of sub-commands with options, and components rows with components: more is not Discord's."""


def map_interaction(json: bytes, path: str) -> Iterator[AnyEvent]:
    """The event of an interaction. Raises InvalidPayload."""
    interaction = read(json, Interaction, path)
    data = interaction.data or Data()
    content = BUILDERS.get(interaction.type, unknown)(interaction, data)
    yield Message(
        thread=interaction.channel_id or _user_id(interaction),
        at=time_of(interaction.id),
        native_id=f"interaction:{interaction.id}",
        sender=_sender(interaction),
        content=content,
        attachments=_files(data),
        in_reply_to=interaction.message.id if interaction.message else data.target_id,
        attributes=facts(guild_id=interaction.guild_id, command=data.name if interaction.type == COMMAND else None),
    )


def _user_id(interaction: Interaction) -> str:
    user = interaction.user or (interaction.member.user if interaction.member else None)
    return "account" if user is None else user.id


def _sender(interaction: Interaction) -> Party:
    member = interaction.member
    user = interaction.user or (member.user if member else None)
    return nobody("account") if user is None else party(user, member, interaction.locale)


def _files(data: Data) -> tuple[Media, ...]:
    return linked(list(data.resolved.attachments.values())) if data.resolved else ()


# --- one function for each type -----------------------------------------------------------------


def command(interaction: Interaction, data: Data) -> Content:
    """A command as somebody would type it."""
    return Text(text=" ".join((f"/{data.name or ''}", *_arguments(data.options))))


def component(interaction: Interaction, data: Data) -> Content:
    """A button, or what was chosen from a menu; how it is called stands on the message it is on."""
    components = interaction.message.components if interaction.message else ()
    titles = dict(_titles(components))
    chosen = data.values or (data.custom_id or "",)
    names = ", ".join(titles[value] for value in chosen if value in titles)
    option = ", ".join(chosen)
    return ChoiceResponse(option_id=option, title=names or None, payload=option)


def form(interaction: Interaction, data: Data) -> Content:
    return FormResponse(fields=tuple(_fields(data.components)))


def unknown(interaction: Interaction, data: Data) -> Content:
    return Unsupported(native_type=f"interaction_type_{interaction.type}")


BUILDERS: Mapping[int, Callable[[Interaction, Data], Content]] = {
    COMMAND: command,
    COMPONENT: component,
    FORM: form,
}


def _arguments(options: Sequence[Option], depth: int = 0) -> Iterator[str]:
    for option in options:
        if option.options and depth < DEEPEST:
            yield option.name
            yield from _arguments(option.options, depth + 1)
        else:
            yield option.name if option.value is None else f"{option.name}:{_written(option.value)}"


def _written(value: str | float | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _titles(components: Sequence[Component], depth: int = 0) -> Iterator[tuple[str, str]]:
    """The names of buttons by their ids, and of entries by their values."""
    for each in components:
        if each.custom_id and each.label:
            yield each.custom_id, each.label
        yield from ((entry.value, entry.label) for entry in each.options)
        if depth < DEEPEST:
            yield from _titles(each.components, depth + 1)


def _fields(inputs: Sequence[Input], depth: int = 0) -> Iterator[FormField]:
    """The elements that were filled in, in whatever they are wrapped."""
    for each in inputs:
        value = each.value if each.values is None else ", ".join(each.values)
        if each.custom_id is not None and value is not None:
            yield FormField(name=each.custom_id, value=value)
        if depth < DEEPEST:
            inner = each.components if each.component is None else (each.component, *each.components)
            yield from _fields(inner, depth + 1)
