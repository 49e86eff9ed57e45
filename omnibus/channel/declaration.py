"""`Channel`: the page a reader of a channel folder opens first, and the source of its reference page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec

from omnibus.channel.events import AnyEvent, Event
from omnibus.channel.receive import Webhook
from omnibus.model.base import known
from omnibus.model.raw import RawEvent

Part = str
"""A part imported when first used: ``.receive:TelegramPoller``, relative to the channel's folder."""


class AttachmentRule(msgspec.Struct, frozen=True, kw_only=True):
    """The largest file of a MIME pattern (``image/*``) that the channel takes, in bytes."""

    mime: str
    max_bytes: int


class ReplyWindow(msgspec.Struct, frozen=True, kw_only=True):
    """How long after the contact's last message free replies may be sent; `template_after`: templates after that.

    A thread whose key holds one of `not_for` has no window: answers in public beside direct messages, for example.
    """

    duration: timedelta
    template_after: bool = False
    not_for: tuple[str, ...] = ()


class ProviderRetry(msgspec.Struct, frozen=True, kw_only=True):
    """How the provider repeats a webhook: for how long, and within how many milliseconds it wants its answer."""

    max_age: timedelta
    ack_deadline_ms: int


Feature = Annotated[
    str,
    known(
        "edit",
        "delete",
        "reaction",
        "reply_to",
        "typing",
        "read_receipt",
        "delivery_receipt",
        "templates",
        "group",
        "choices",
        "history",
    ),
]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel can do, as data: checked before sending, shown in the capability matrix.

    `sends` are the content kinds (tags of the content union) that the sender takes; empty for receive-only channels.
    With `splits_text` the sender cuts a text longer than `max_text_chars` itself; without, such a text is refused.
    """

    sends: frozenset[str] = frozenset()
    max_text_chars: int | None = None
    splits_text: bool = False
    attachments: tuple[AttachmentRule, ...] = ()
    supports: frozenset[Feature] = frozenset()
    reply_window: ReplyWindow | None = None
    outbound_first: bool = False
    identity_scope: Literal["global", "business", "account"] = "account"
    media_cache_allowed: bool = True
    provider_retry: ProviderRetry | None = None
    ids: Literal["stable", "weak", "none"] = "stable"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel, declared.

    name: the folder's name and the channel's name in the unified model.
    settings: the typed settings of one account (a `Settings` struct of `omnibus.config.fields`).
    emits: the events its mapping yields, proven by fixtures.
    map: the pure mapping, all events of the raw event (of every thread in it), in the provider's order.
    threads: the native threads a raw event holds; the raw event is stored once for each, keyed by it. Raises
        InvalidPayload for a body it cannot read: it is then stored under the account alone, and dead-lettered later.
        Both are `Later` functions, so that every command can read all declarations and import no mapping.
    receive: how raw events come in, by name of the way: a `Webhook`, or the name of a receiver class. An account uses
        those its settings' `receive` names when there is such a field, otherwise all of them.
    send / media: names of the sender and media classes, imported when first used.
    scope: what an account with these settings shares threads and ids with, where an event may reach several accounts
        and still be one (a mail to two mailboxes). A scope is one partition's work. None: shared with nobody.
    together: what a thread belongs to (a forum with its topics) where events may name a message and not the thread it
        is in: a reaction then finds it by the message. Its threads are one partition's work. None: each is by itself.
    inactivity: a thread silent for longer begins a new conversation (a follow-up).
    tables: names of compacted topics of the channel's own (`Topics.channel_table`).
    """

    name: str
    title: str
    docs: str
    settings: type[msgspec.Struct]
    capabilities: Capabilities
    emits: frozenset[type[Event]]
    map: Callable[[RawEvent], Iterable[AnyEvent]]
    threads: Callable[[RawEvent], Sequence[str]]
    receive: Mapping[str, Webhook | Part]
    send: Part | None = None
    media: Part | None = None
    scope: Callable[[Any], str] | None = None
    together: Callable[[str], str] | None = None
    inactivity: timedelta = timedelta(days=1)
    tables: tuple[str, ...] = ()
    package: str = field(default="", compare=False)

    def ways_in(self, settings: Any) -> Mapping[str, Webhook | Part]:
        """The receive ways that an account with these settings uses."""
        chosen = getattr(settings, "receive", None)
        if chosen is None:
            return self.receive
        names = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        return {name: self.receive[name] for name in names}


@dataclass(frozen=True, kw_only=True)
class Account:
    """One configured account of a channel: a mailbox, a number, a bot."""

    name: str
    channel: Channel
    settings: Any
    inactivity: timedelta
    public_url: str = ""
    """Where this installation is reached from outside, without a slash at the end; empty when unknown."""

    @property
    def scope(self) -> str:
        """What its threads and ids are unique in: the account, unless the channel says more."""
        return self.name if self.channel.scope is None else self.channel.scope(self.settings)
