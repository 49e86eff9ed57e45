"""Which calls say a message: pure, so that what is sent can be read without sending it.

https://docs.discord.com/developers/resources/message#create-message: 2,000 characters, 10 files;
https://docs.discord.com/developers/components/reference#button: rows of 5 buttons, 5 rows, labels of 80 characters, ids
of 100. A nonce has at most 25 characters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from connectors._shared.files import addresses, files_of, stored
from connectors._shared.words import pieces, plain, shortened
from omnibus.errors import Refused
from omnibus.model.content import Attachment, Choices, Media, Option, Text
from omnibus.model.entities import Message

MAX_TEXT = 2_000
MAX_FILES = 10
IN_A_ROW = 5
MAX_BUTTONS = 25
MAX_LABEL = 80
MAX_ID = 100
ACTION_ROW, BUTTON, PRIMARY, LINK = 1, 2, 1, 5


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One message of Discord's, and the files that go with it."""

    params: dict[str, object]
    files: Sequence[Attachment] = ()


def posts_for(message: Message) -> Sequence[Post]:
    """The posts that say `message`, in order. Raises Refused for what Discord cannot take."""
    files = files_of(message)
    posts = _with_files([*_words(message), *_texts(addresses(files))], stored(files))
    if not posts:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    posts[0] = msgspec.structs.replace(posts[0], params={**posts[0].params, **_answered(message)})
    return [_once(post, message, number) for number, post in enumerate(posts)]


def _words(message: Message) -> list[Post]:
    match message.content:
        case Text() as content:
            return _texts(plain(content))
        case Choices() as content:
            return _choices(content)
        case Media() as content:
            return _texts(content.caption or "")
        case content:
            raise Refused("UNSUPPORTED_OPERATION", f"Discord cannot show {content.__struct_config__.tag!r}")


def _texts(text: str) -> list[Post]:
    return [Post(params={"content": piece}) for piece in pieces(text, MAX_TEXT)]


def _with_files(posts: list[Post], files: list[Attachment]) -> list[Post]:
    """Files go with the last of the words, those that do not fit by themselves."""
    groups = [files[start : start + MAX_FILES] for start in range(0, len(files), MAX_FILES)]
    if posts and groups:
        posts = [*posts[:-1], msgspec.structs.replace(posts[-1], files=groups.pop(0))]
    return [*posts, *(Post(params={}, files=group) for group in groups)]


def _answered(message: Message) -> dict[str, object]:
    """What the message answers; an answer to something that is gone is still sent."""
    native_id = message.in_reply_to.native_id if message.in_reply_to else None
    if native_id is None or not (native_id.isascii() and native_id.isdigit()):
        return {}
    return {"message_reference": {"message_id": native_id, "fail_if_not_exists": False}}


def _once(post: Post, message: Message, number: int) -> Post:
    """With the nonce, Discord takes the same post once, however often it comes in some minutes.

    Nobody is called by an answer, whatever it says: an agent who quotes @everyone means no harm.
    """
    nonce = hashlib.blake2b(f"{message.id}/{number}".encode(), digest_size=12).hexdigest()
    always = {"nonce": nonce, "enforce_nonce": True, "allowed_mentions": {"parse": []}}
    return msgspec.structs.replace(post, params={**post.params, **always})


def _choices(content: Choices) -> list[Post]:
    """The question with a button for each option, below the last piece."""
    posts = _texts(content.text)
    if not posts:
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if not 1 <= len(content.options) <= MAX_BUTTONS:
        raise Refused("UNSUPPORTED_OPERATION", f"Discord shows 1 to {MAX_BUTTONS} options")
    buttons = [_button(option) for option in content.options]
    rows = [
        {"type": ACTION_ROW, "components": buttons[start : start + IN_A_ROW]}
        for start in range(0, len(buttons), IN_A_ROW)
    ]
    return [*posts[:-1], Post(params={**posts[-1].params, "components": rows})]


def _button(option: Option) -> dict[str, object]:
    label = shortened(option.title, MAX_LABEL)
    if option.url is not None:
        return {"type": BUTTON, "style": LINK, "label": label, "url": option.url}
    if not 1 <= len(option.id) <= MAX_ID:
        raise Refused("UNSUPPORTED_OPERATION", f"the id of an option must have 1 to {MAX_ID} characters")
    return {"type": BUTTON, "style": PRIMARY, "label": label, "custom_id": option.id}
