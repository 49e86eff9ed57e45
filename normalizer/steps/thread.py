"""Threading: which native thread a message belongs to.

Most channels name the thread themselves. Mail does not: a message gives strong keys (our reply token, In-Reply-To,
References), which lead to the thread of whoever registered them, and a weak one (the subject), which counts only for
the same sender within a bounded window, so that two strangers' mails with equal subjects never meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from normalizer.state import Link
from normalizer.work import Work
from omnibus.channel.events import Message

MAX_LINKS = 50
"""How many references of one message are looked at; the newest come first."""


def thread_of(work: Work, message: Message, message_id: str, sender_id: str) -> str:
    """The key of the message's thread; a message that belongs to none begins one named after itself."""
    if not (message.links or message.names or message.weak_link):
        return message.thread
    for name in message.links[:MAX_LINKS]:
        if (link := work.state.link(work.scope, name)) is not None:
            return link.thread
    if message.weak_link is not None:
        link = work.state.link(work.account.name, _weak(message.weak_link, sender_id))
        window_ms = work.policy.weak_link_for.total_seconds() * 1000
        if link is not None and work.received_ms - link.at <= window_ms:
            return link.thread
    return message_id


def register(
    work: Work, message: Message, thread_key: str, conversation_id: str, sender_id: str, *, names: Sequence[str]
) -> None:
    """Let later messages find the thread by this one's `names`, by our own reply token and by the weak link.

    The weak link is the account's alone: one subject to two mailboxes may be two matters.
    """
    if not (message.links or message.names or message.weak_link):
        return
    link = Link(thread_key, work.received_ms)
    for name in (*names[:MAX_LINKS], conversation_link(conversation_id)):
        work.state.keep_link(work.scope, name, link)
    if message.weak_link is not None:
        work.state.keep_link(work.account.name, _weak(message.weak_link, sender_id), link)


def remember_place(work: Work, message: Message) -> None:
    """Where threads are parts of something (topics of a forum), note which one the message is in: a reaction to it may
    name the message alone. Also for what Omnibus itself has sent."""
    together = work.account.channel.together
    if together is not None and message.native_id is not None and together(message.thread) != message.thread:
        work.state.keep_link(work.scope, _place(message.native_id), Link(message.thread, work.received_ms))


def place_of(work: Work, target: str) -> str | None:
    """The thread a message is in, where that was noted."""
    if work.account.channel.together is None:
        return None
    link = work.state.link(work.scope, _place(target))
    return None if link is None else link.thread


def conversation_link(conversation_id: str) -> str:
    """The link under which a thread is found by our own conversation id (reply tokens carry it)."""
    return f"c:{conversation_id}"


def _place(native_id: str) -> str:
    return f"m:{native_id}"


def _weak(name: str, sender_id: str) -> str:
    return f"w:{sender_id}:{name}"
