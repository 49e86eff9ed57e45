"""Which messages say something on X: pure, so that what is sent can be read without sending it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.files import mime_of
from connectors._shared.words import plain
from connectors.x.length import MAX_DM, MAX_POST, pieces_of
from connectors.x.messages import DM
from connectors.x.posts import PUBLIC
from omnibus.channel.send import split_text
from omnibus.errors import Refused
from omnibus.model import content as c
from omnibus.model.content import Attachment
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_PICTURES = 4
"""Of one post; or one looping picture, or one film. https://docs.x.com/x-api/media/quickstart/best-practices"""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One direct message or post: words, files or both."""

    text: str = ""
    files: tuple[Attachment, ...] = ()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes: to a person (`user_id`), or in public below a post (`post_id`)."""

    user_id: str
    post_id: str | None = None

    @property
    def is_public(self) -> bool:
        return self.post_id is not None


def place_of(outbound: Outbound) -> Place:
    """Raises Refused for a thread of another kind, and for a public answer to nothing.

    In public the post that the message answers is the one, else the last the customer wrote.
    """
    kind, user_id = _thread(outbound.conversation.thread_key)
    if kind == DM:
        return Place(user_id=user_id)
    post_id = outbound.message.in_reply_to.native_id if outbound.message.in_reply_to is not None else None
    if post_id is None and outbound.after is not None:
        post_id = outbound.after.native.message_id
    if not post_id:
        raise Refused("RECIPIENT_NOT_REACHABLE", "there is no post left to answer to")
    return Place(user_id=user_id, post_id=post_id)


def pieces_for(message: Message, place: Place) -> Sequence[Piece]:
    """The messages that say it, in order. Raises Refused for what X cannot take."""
    files = _files(message)
    bundles = _bundles(files) if place.is_public else [(file,) for file in files]
    text = _words(message)
    texts = pieces_of(text, MAX_POST) if place.is_public else [one for one in split_text(text, MAX_DM) if one.strip()]
    if not bundles and not texts:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    first = Piece(text=texts[0] if texts else "", files=bundles[0] if bundles else ())
    return [first, *(Piece(text=one) for one in texts[1:]), *(Piece(files=bundle) for bundle in bundles[1:])]


def _thread(key: str) -> tuple[str, str]:
    for kind in (DM, PUBLIC):
        if key.startswith(kind) and key.removeprefix(kind).isdigit():
            return kind, key.removeprefix(kind)
    raise Refused("RECIPIENT_NOT_REACHABLE", "not a conversation of X")


def _words(message: Message) -> str:
    match message.content:
        case c.Text() as text:
            return plain(text)
        case c.Image() | c.Video():
            return message.content.caption or ""
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"X cannot show {message.content.__struct_config__.tag!r}")


def _files(message: Message) -> list[Attachment]:
    for file in message.attachments:
        if file.ref is None or file.ref.scheme != "object" or file.state in ("expired", "blocked", "too_large"):
            raise Refused("MEDIA_NOT_REACHABLE", "the bytes of an attachment are not in our store")
        if category_of(file, public=True) is None:
            raise Refused("MEDIA_TYPE_UNSUPPORTED", f"X takes no {file.mime[:60]}")
    return list(message.attachments)


def _bundles(files: Sequence[Attachment]) -> list[tuple[Attachment, ...]]:
    """Up to four pictures in a post; a looping picture or a film has one of its own."""
    bundles: list[tuple[Attachment, ...]] = []
    for file in files:
        last = bundles[-1] if bundles else ()
        if last and len(last) < MAX_PICTURES and all(_is_picture(one) for one in (*last, file)):
            bundles[-1] = (*last, file)
        else:
            bundles.append((file,))
    return bundles


def _is_picture(file: Attachment) -> bool:
    return category_of(file, public=True) == "tweet_image"


def category_of(file: Attachment, *, public: bool) -> str | None:
    """The media category of an upload; None for a type that X does not take."""
    kind = {
        "image/jpeg": "image",
        "image/png": "image",
        "image/webp": "image",
        "image/gif": "gif",
        "video/mp4": "video",
    }.get(mime_of(file))
    return None if kind is None else f"{'tweet' if public else 'dm'}_{kind}"
