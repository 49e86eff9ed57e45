"""What an automation is: a program that answers conversations, declared in one module of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec

from omnibus.config.fields import Duration, Settings, between, described
from omnibus.model.base import Model
from omnibus.model.codec import Event
from omnibus.model.entities import Conversation, Message
from omnibus.model.events import Reply, Resolve, Tag, Transfer

if TYPE_CHECKING:
    from omnibus.http import Http
from router.calendars import Calendar

Command = Reply | Transfer | Tag | Resolve
"""What an automation may ask for."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A fact an automation tells everybody: its kind (``selfservice.viewed``) and data."""

    kind: str
    data: Model


Answer = Command | Told


class AutomationSettings(Settings, frozen=True, kw_only=True):
    """The settings every automation has; each type adds its own."""

    hand_over_to: Annotated[
        str | None, described("Queue that takes over; by default the queue of unplaced conversations.")
    ] = None
    timeout: Annotated[
        Annotated[Duration, between("1s", "1d")],
        described("How long it may keep a message unanswered before the queue takes over.", example="30s"),
    ] = timedelta(seconds=60)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What an automation reacts to: an event of a conversation it controls.

    `event` is `conversation.assigned` at first (its data has the recent messages), then what follows.
    """

    name: str
    event: Event
    conversation_id: str
    conversation: Conversation | None
    recent: tuple[Message, ...]

    @property
    def message(self) -> Message | None:
        """The newest message a person wrote, None when this event is about something else."""
        own = getattr(self.event.data, "message", None)
        if isinstance(own, Message):
            return own if _by_a_person(own) else None
        return next((message for message in reversed(self.recent) if _by_a_person(message)), None)


def _by_a_person(message: Message) -> bool:
    """What a machine sent is never answered by another (RFC 3834 section 2)."""
    return message.direction == "inbound" and message.auto_submitted == "no"


class AutomationTools(msgspec.Struct, frozen=True, kw_only=True):
    """What an automation may use."""

    name: str
    hand_over_to: str
    http: Http
    targets: frozenset[str] = frozenset()
    """Where conversations may be transferred to (`queue:billing` ...)."""
    calendars: Mapping[str, Calendar] = {}


class AutomationPart(Protocol):
    """An automation at work: one instance for each configured one, one call at a time for each conversation.

    `answer` returns commands, carried out in order, and facts to tell; none means it has nothing to say. It is called
    again for the same event after a crash, with the same ids minted for what it returns, so that the repetition has no
    effect. Whatever it raises but Misconfigured is contained: the conversation goes to `hand_over_to`.
    """

    async def answer(self, heard: Heard) -> Sequence[Answer]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Automation:
    """An automation type, declared: the `AUTOMATION` of its module.

    reacts_to: the event types it is called for; events of other types are passed by.
    check: looks over the settings of one (by name) before anything starts; raises Misconfigured. Settings with a field
        `calendar` have that checked for them.
    """

    name: str
    title: str
    settings: type[AutomationSettings]
    make: Callable[[Any, AutomationTools], AutomationPart]
    check: Callable[[Any, str], None] = lambda settings, name: None
    reacts_to: frozenset[str] = frozenset({"omnibus.conversation.assigned.v1", "omnibus.message.received.v1"})
