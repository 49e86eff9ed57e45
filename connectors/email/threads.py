"""Which conversation a mail belongs to: strong links best first, the names it can be found under, and a weak link."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable

from connectors.email.addressing import conversation_in_address, minted
from connectors.email.languages import AUTO_REPLY_SUBJECTS
from connectors.email.mail import Mail

MAX_LINKS = 40
"""A thread of years has hundreds of references; the newest and the oldest say where it belongs."""

# Prefixes of answers and forwards in the languages people set their mail programs to.
_PREFIX = re.compile(
    r"^\s*(?:re|r|res|resp|aw|antw|antwort|antwoord|rif|ref|sv|vs|vl|odp|ynt|yan|ilt|ответ|на|回复|回覆|答复|返信|답장|회신|"
    r"fw|fwd|wg|tr|rv|enc|i|doorst|vb|pd|ilet|пересл|转发|轉寄|轉寄|転送|전달)"
    r"\s*(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4})?\s*[:：]\s*",
    re.IGNORECASE,
)
_AUTOMATIC = re.compile(rf"^\s*(?:{'|'.join(AUTO_REPLY_SUBJECTS)})\s{{0,5}}[:：]\s*", re.IGNORECASE)
_MARKS = re.compile(r"^\s*\[[^\[\]]{1,40}\]\s*")
_THREAD_INDEX_ROOT = 22
"""Bytes of Thread-Index that are the same in a whole thread: [MS-OXOMSG] section 2.2.1.3, PidTagConversationIndex."""


def links_of(mail: Mail, recipients: Iterable[str]) -> tuple[str, ...]:
    """`c:` our own tokens, `m:` Message-IDs it answers (newest first), `t:` the root of its Thread-Index, `d:` itself.

    The last leads to a copy of it that was changed on another way here, by a list or a gateway.
    """
    answered = list(dict.fromkeys([*mail.in_reply_to[:10], *reversed(mail.references)]))
    if len(answered) > MAX_LINKS:
        answered = [*answered[: MAX_LINKS - 5], *answered[-5:]]
    tokens = [conversation_in_address(address) for address in recipients]
    ours = [minted(native_id) for native_id in answered]
    links = [f"c:{token}" for token in tokens if token is not None]
    links += [f"c:{found[1]}" for found in ours if found is not None]
    links += [f"m:{native_id}" for native_id in answered]
    links += [*thread_index_of(mail), *_itself(mail)]
    return tuple(dict.fromkeys(links))


def names_of(mail: Mail) -> tuple[str, ...]:
    """What later mails will call this one."""
    own = [f"m:{mail.message_id}"] if mail.message_id else []
    return (*own, *thread_index_of(mail), *_itself(mail))


def _itself(mail: Mail) -> list[str]:
    """What copies of a mail share whatever was done to their words, and what no stranger's mail has."""
    if mail.message_id is None or mail.sender is None or mail.date is None:
        return []
    said = "\0".join((mail.message_id, mail.sender.normalized, mail.date.isoformat()))
    return [f"d:{hashlib.blake2b(said.encode('utf-8', 'replace'), digest_size=12).hexdigest()}"]


def thread_index_of(mail: Mail) -> list[str]:
    """The key of the Outlook thread, if the mail says one."""
    value = mail.headers.raw("thread-index")
    if value is None or len(value) > 4_000:
        return []
    try:
        root = base64.b64decode("".join(value.split())[:32])[:_THREAD_INDEX_ROOT]
    except (binascii.Error, ValueError):
        return []
    return [f"t:{root.hex()}"] if len(root) == _THREAD_INDEX_ROOT else []


def is_new_subject(mail: Mail) -> bool:
    """Whether an answer lacks every prefix of one, or names another thread than Outlook says it answers.

    A mail does not tell what the subject was that it answers: programs write `Re:` before it, people who take any mail
    to begin something new write another subject over it, and Outlook keeps the old one in `Thread-Topic`.
    """
    topic = mail.headers.get("thread-topic")
    if topic and topic.strip():
        return bare_subject(topic).casefold() != bare_subject(mail.subject).casefold()
    answers = bool(mail.in_reply_to or mail.references)
    return answers and _PREFIX.match(mail.subject[:1_000]) is None and _AUTOMATIC.match(mail.subject[:1_000]) is None


def weak_link_of(mail: Mail) -> str | None:
    """The subject without prefixes, for the same sender within the channel's window; None when it says too little."""
    subject = bare_subject(mail.subject).casefold()
    return f"s:{subject}" if sum(character.isalnum() for character in subject) >= 4 else None


def bare_subject(subject: str) -> str:
    """The subject without `Re:`, `Fwd:`, `AW:` and list marks in front of it."""
    text = subject[:1_000]
    for _ in range(20):
        shorter = _PREFIX.sub("", text, count=1)
        shorter = _AUTOMATIC.sub("", shorter, count=1)
        shorter = _MARKS.sub("", shorter, count=1) or shorter
        if shorter == text:
            break
        text = shorter
    return " ".join(text.split())
