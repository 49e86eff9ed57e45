"""Comments and mentions on Instagram, in our words.

https://developers.facebook.com/docs/graph-api/webhooks/reference/instagram
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from connectors._shared.meta.direct.mapping import moment
from connectors._shared.meta.direct.place import Place
from connectors._shared.meta.reading import AnyId
from connectors._shared.reading import LONGEST_NATIVE_TYPE, Foreign, Name, Number, facts, read
from omnibus.channel.events import AnyEvent, Message, Party
from omnibus.model.base import Timestamp
from omnibus.model.content import Social, Unsupported
from omnibus.model.raw import RawEvent


class From(Foreign, frozen=True, kw_only=True):
    id: AnyId | None = None
    username: str | None = None


class CommentedMedia(Foreign, frozen=True, kw_only=True):
    """The post, reel, story or ad that a comment is below."""

    id: AnyId | None = None
    media_product_type: str | None = None
    ad_id: AnyId | None = None
    ad_title: str | None = None


class Comment(Foreign, frozen=True, kw_only=True):
    id: Name
    author: From = msgspec.field(default=From(), name="from")
    text: str = ""
    media: CommentedMedia | None = None
    parent_id: AnyId | None = None


class Mention(Foreign, frozen=True, kw_only=True):
    """Only ids: what was written has to be looked up."""

    media_id: AnyId | None = None
    comment_id: AnyId | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a profile, and what its builders need to know of it."""

    raw: RawEvent
    ours: str
    time: Number | None
    field: str
    json: msgspec.Raw

    @property
    def at(self) -> Timestamp:
        """When Meta noticed: comments have no time of their own."""
        known = self.time is not None and 0 < self.time <= 253_402_300_799_999
        return moment(self.time) if known and self.time is not None else self.raw.received_at

    @property
    def fingerprint(self) -> str:
        """Names what has no id of its own; Meta repeats a request with the same bytes."""
        return hashlib.sha256(b"%d:" % (self.time or 0) + bytes(self.json)).hexdigest()[:32]


def events_of(scope: Scope) -> Iterator[AnyEvent]:
    """Every event of a change. Raises InvalidPayload."""
    yield from FIELDS.get(scope.field, unknown)(scope)


def comment(scope: Scope) -> Iterator[AnyEvent]:
    """Below a post of ours, or below another comment: one discussion is one thread."""
    found = read(scope.json, Comment, f"changes.{scope.field}", lax=True)
    author = found.author
    ours = author.id is not None and str(author.id) == scope.ours
    root = found.id if found.parent_id is None else str(found.parent_id)
    if ours and found.parent_id is None:
        return  # we wrote below our own post: nobody to talk with yet
    media = found.media or CommentedMedia()
    parent = found.parent_id if found.parent_id is not None else media.id
    yield Message(
        thread=Place(ours=scope.ours, where="comment", id=root).thread,
        at=scope.at,
        native_id=found.id,
        sender=Party(scheme="ig_user", value=scope.ours) if ours else _author(found),
        direction="outbound" if ours else "inbound",
        content=Social(kind="comment", text=found.text, parent_native_id=None if parent is None else str(parent)),
        in_reply_to=None if found.parent_id is None else str(found.parent_id),
        attributes=facts(
            media_id=None if media.id is None else str(media.id),
            media_type=media.media_product_type,
            ad_id=None if media.ad_id is None else str(media.ad_id),
            ad_title=media.ad_title,
            live=True if scope.field == "live_comments" else None,
        ),
    )


def _author(found: Comment) -> Party:
    """Instagram vouches for the id; without the permission to know it, it is whoever wrote this very thing."""
    author = found.author
    if author.id is None:
        return Party(scheme="opaque", value=f"author:{found.id}", username=author.username)
    return Party(scheme="igsid", value=str(author.id), username=author.username, verified="channel")


def mention(scope: Scope) -> Iterator[AnyEvent]:
    """Somebody mentions us in a caption or a comment; Instagram tells neither who nor what."""
    found = read(scope.json, Mention, "changes.mentions", lax=True)
    native_id = found.comment_id if found.comment_id is not None else found.media_id
    identifier = scope.fingerprint if native_id is None else str(native_id)
    parent = None if found.media_id is None else str(found.media_id)
    yield Message(
        thread=Place(ours=scope.ours, where="mention", id=_path_of(found) or identifier).thread,
        at=scope.at,
        native_id=f"mention:{identifier}",
        sender=Party(scheme="opaque", value=f"author:{identifier}"),
        content=Social(kind="mention", parent_native_id=parent),
        attributes=facts(media_id=parent, comment_id=None if found.comment_id is None else str(found.comment_id)),
    )


def _path_of(found: Mention) -> str | None:
    """Answering needs both ids, where there are both."""
    ids = [str(each) for each in (found.media_id, found.comment_id) if each is not None]
    return "_".join(ids) or None


def unknown(scope: Scope) -> Iterator[AnyEvent]:
    """A field we do not map: never dropped, in the profile's own conversation."""
    yield Message(
        thread=Place(ours=scope.ours, where="account").thread,
        at=scope.at,
        native_id=f"{scope.field[:50]}:{scope.fingerprint}",
        sender=Party(scheme="opaque", value="instagram", display_name="Instagram", is_bot=True),
        content=Unsupported(native_type=scope.field[:LONGEST_NATIVE_TYPE] or "change"),
        auto_submitted="auto_generated",
    )


FIELDS: Mapping[str, Callable[[Scope], Iterator[AnyEvent]]] = {
    "comments": comment,
    "live_comments": comment,
    "mentions": mention,
}
