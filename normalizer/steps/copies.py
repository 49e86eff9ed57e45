"""Copies: a message that arrives again, by the same way or another, is one message.

Most channels name their messages, and a name that was seen is a copy. The ids of mails are whatever their senders
write: two people's mails may have one id, by a fault or on purpose. Such messages give a fingerprint; an id that comes
with another one is another message, under an id of its own. A copy that came in at another mailbox is told as a
delivery of the message that is there already.
"""

from __future__ import annotations

from normalizer.state import Arrival
from normalizer.work import Work
from omnibus import clock
from omnibus.channel.events import Message
from omnibus.model import ids
from omnibus.model.entities import DeliveryState
from omnibus.model.events import MessageDelivery

MAX_PLACES = 50
"""Mailboxes told of for each message."""


def first_arrival(work: Work, message: Message, native: str) -> str | None:
    """The native id under which a message is new; None when it is a copy."""
    if message.fingerprint is None:
        return native if work.state.first_time(work.event_id(native, "message.received")) else None
    for name in (native, f"{native}\0{message.fingerprint}"):
        event_id = work.event_id(name, "message.received")
        before = work.state.arrival(event_id)
        if before is None:
            return name
        if before.fingerprint == message.fingerprint:
            _tell_delivery(work, message, name, event_id, before)
            return None
    return None


def remember_arrival(work: Work, message: Message, event_id: str, thread_key: str) -> None:
    """Note what a message that may come again is known by."""
    if message.fingerprint is not None:
        places = () if message.mailbox is None else (_place(work, message.mailbox),)
        work.state.keep_arrival(event_id, Arrival(message.fingerprint, thread_key, places))


def is_other(message: Message, native: str) -> bool:
    """Whether the message came with the id of another one."""
    return message.native_id is not None and native != message.native_id


def names_of(message: Message, native: str) -> tuple[str, ...]:
    """What later messages may find it under; never the name of another message's."""
    return () if is_other(message, native) else message.names


def _tell_delivery(work: Work, message: Message, native: str, event_id: str, before: Arrival) -> None:
    if message.mailbox is None or len(before.places) >= MAX_PLACES:
        return
    place = _place(work, message.mailbox)
    thread = work.state.thread(work.scope, before.thread)
    if place in before.places or thread is None:
        return
    work.state.keep_arrival(event_id, Arrival(before.fingerprint, before.thread, (*before.places, place)))
    data = MessageDelivery(
        conversation_id=thread.conversation_id,
        message_id=ids.message_id(work.scope, native),
        native_id=message.native_id,
        recipient=message.mailbox,
        delivery=DeliveryState(status="received", at=work.raw.received_at),
        attributes={"channel_account": work.account.name},
    )
    told = work.event_id(native, "message.delivery", f"received\0{place}")
    work.emit(thread, "message.delivery", told, data, at_ms=clock.to_ms(work.raw.received_at))
    work.state.keep_thread(work.scope, before.thread, thread)


def _place(work: Work, mailbox: str) -> str:
    """Short: it is remembered for every mail."""
    return ids.derive("", work.account.name, mailbox)[:13]
