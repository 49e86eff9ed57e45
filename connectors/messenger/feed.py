"""Comments, posts, mentions and reviews on a page, in our words.

https://developers.facebook.com/docs/graph-api/webhooks/reference/page
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from connectors._shared.meta.direct.place import Place
from connectors._shared.meta.reading import AnyId
from connectors._shared.reading import LONGEST_NATIVE_TYPE, Foreign, Name, Number, Seconds, at_seconds, facts, read
from omnibus.channel.events import AnyEvent, Deletion, Edit, Media, Message, Party, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.base import Timestamp
from omnibus.model.content import AttachmentRef, Content, Social, System, Unsupported
from omnibus.model.raw import RawEvent

MAX_PHOTOS = 50


class From(Foreign, frozen=True, kw_only=True):
    id: AnyId | None = None
    name: str | None = None


class Post(Foreign, frozen=True, kw_only=True):
    """The post a comment is below."""

    permalink_url: str | None = None


class Value(Foreign, frozen=True, kw_only=True):
    """Something in a page's feed; `item` says what, `verb` what became of it."""

    item: str = "unknown"
    verb: str = "add"
    author: From | None = msgspec.field(default=None, name="from")
    sender_id: AnyId | None = None
    sender_name: str | None = None
    post_id: Name | None = None
    comment_id: Name | None = None
    parent_id: str | None = None
    message: str | None = None
    link: str | None = None
    photo: str | None = None
    photos: tuple[str, ...] = ()
    video: str | None = None
    permalink_url: str | None = None
    post: Post | None = None
    created_time: Seconds | None = None
    reaction_type: str | None = None


class Review(Foreign, frozen=True, kw_only=True):
    """A recommendation of the page."""

    item: str = "rating"
    verb: str = "add"
    open_graph_story_id: Name
    reviewer_id: AnyId | None = None
    reviewer_name: str | None = None
    review_text: str | None = None
    recommendation_type: str | None = None
    rating: float | None = None
    comment_id: str | None = None
    created_time: Seconds | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a page, and what its builders need to know of it."""

    raw: RawEvent
    page: str
    time: Number | None
    field: str
    json: msgspec.Raw

    def at(self, created: int | None) -> Timestamp:
        if created is not None:
            return at_seconds(created)
        return self.raw.received_at if self.noticed is None else at_seconds(self.noticed)

    @property
    def noticed(self) -> int | None:
        """When Meta says it noticed, in seconds; some entries have milliseconds."""
        if self.time is None or not 0 < self.time <= 253_402_300_799_999:
            return None
        return self.time // 1000 if self.time > 100_000_000_000 else self.time

    def fingerprint(self, kind: str) -> str:
        """Names what has no id of its own; Meta repeats a request with the same bytes."""
        return f"{kind}:{hashlib.sha256(b'%d:' % (self.time or 0) + bytes(self.json)).hexdigest()[:32]}"


def events_of(scope: Scope) -> Iterator[AnyEvent]:
    """Every event of a change. Raises InvalidPayload."""
    yield from FIELDS.get(scope.field, unknown)(scope)


# --- the feed -----------------------------------------------------------------------------------


def feed(scope: Scope) -> Iterator[AnyEvent]:
    value = read(scope.json, Value, f"changes.{scope.field}", lax=True)
    build = ITEMS.get(value.item)
    yield from build(scope, value) if build else unknown(scope, f"{scope.field}:{value.item}")


def comment(scope: Scope, value: Value) -> Iterator[AnyEvent]:
    """Below a post, or below another comment: one discussion is one thread."""
    if value.comment_id is None:
        raise InvalidPayload(f"changes.{scope.field}.comment_id", "expected the id of the comment")
    below_comment = value.parent_id is not None and value.parent_id != value.post_id and bool(value.parent_id)
    root = value.parent_id if below_comment and value.parent_id else value.comment_id
    ours = _is_ours(scope, value)
    if ours and not below_comment:
        return  # we wrote below our own post: nobody to talk with yet
    place = Place(ours=scope.page, where="comment", id=root)
    parent = value.parent_id or value.post_id
    yield from _changed(
        scope,
        value,
        place,
        value.comment_id,
        Social(kind="comment", text=value.message or "", permalink=_permalink(value), parent_native_id=parent),
        ours=ours,
    )


def post(scope: Scope, value: Value) -> Iterator[AnyEvent]:
    """What visitors write on the page; our own posts are no conversation."""
    if value.post_id is None:
        raise InvalidPayload(f"changes.{scope.field}.post_id", "expected the id of the post")
    if _is_ours(scope, value):
        return
    place = Place(ours=scope.page, where="post", id=value.post_id)
    social = Social(kind="post", text=value.message or "", permalink=_permalink(value))
    yield from _changed(scope, value, place, value.post_id, social)


def reaction(scope: Scope, value: Value) -> Iterator[AnyEvent]:
    """On a comment. How many people like a post is nothing to talk about, and would be most of all traffic."""
    if value.comment_id is None or _is_ours(scope, value):
        return
    root = value.parent_id if value.parent_id and value.parent_id != value.post_id else value.comment_id
    yield Reaction(
        thread=Place(ours=scope.page, where="comment", id=root).thread,
        at=scope.at(value.created_time),
        native_id=scope.fingerprint("reaction"),
        target=value.comment_id,
        reaction=value.reaction_type or "like",
        removed=value.verb == "remove",
        sender=_author(scope, value),
    )


def mention(scope: Scope) -> Iterator[AnyEvent]:
    """Somebody mentions the page in a post or comment of theirs."""
    value = read(scope.json, Value, "changes.mention", lax=True)
    native_id = value.comment_id or value.post_id
    if native_id is None:
        raise InvalidPayload("changes.mention.post_id", "expected the id of the post")
    if _is_ours(scope, value):
        return
    place = Place(ours=scope.page, where="mention", id=native_id)
    parent = value.post_id if value.comment_id else None
    social = Social(kind="mention", text=value.message or "", permalink=_permalink(value), parent_native_id=parent)
    yield from _changed(scope, value, place, native_id, social)


def _changed(
    scope: Scope, value: Value, place: Place, native_id: str, social: Social, *, ours: bool = False
) -> Iterator[AnyEvent]:
    """Something public was written, changed, hidden or taken away."""
    if value.verb in ("remove", "delete"):
        yield Deletion(
            thread=place.thread,
            at=scope.at(None),
            native_id=f"{native_id}:removed",
            target=native_id,
            sender=_author(scope, value),
        )
    elif value.verb in ("edited", "edit"):
        yield Edit(
            thread=place.thread,
            at=scope.at(None),
            native_id=scope.fingerprint("edit"),
            target=native_id,
            content=social,
            attachments=_files(value),
            revision=scope.noticed or value.created_time or 0,
            sender=_author(scope, value),
        )
    elif value.verb == "add":
        yield _message(scope, value, place, native_id, social, ours=ours)
    else:
        content = System(code=f"{value.item}_{value.verb}"[:100], params=facts(target=native_id))
        yield _message(scope, value, place, scope.fingerprint(value.verb[:50]), content, told=True)


def _message(
    scope: Scope,
    value: Value,
    place: Place,
    native_id: str,
    content: Content,
    *,
    ours: bool = False,
    told: bool = False,
) -> AnyEvent:
    return Message(
        thread=place.thread,
        at=scope.at(value.created_time),
        native_id=native_id,
        sender=Party(scheme="page", value=scope.page) if ours else _author(scope, value),
        direction="outbound" if ours else "inbound",
        content=content,
        attachments=() if told else _files(value),
        in_reply_to=value.parent_id if place.where == "comment" and place.id != native_id and not told else None,
        auto_submitted="auto_generated" if told else "no",
        attributes=facts(post_id=value.post_id, link=value.link),
    )


def _is_ours(scope: Scope, value: Value) -> bool:
    identifier = value.author.id if value.author else value.sender_id
    return identifier is not None and str(identifier) == scope.page


def _author(scope: Scope, value: Value) -> Party:
    """Who wrote; without the permission to know, whoever wrote this very thing."""
    identifier = value.author.id if value.author else value.sender_id
    name = value.author.name if value.author else value.sender_name
    if identifier is not None:
        return Party(scheme="fb_user", value=str(identifier), display_name=name, verified="channel")
    return Party(scheme="opaque", value=f"author:{value.comment_id or value.post_id}", display_name=name)


def _permalink(value: Value) -> str | None:
    return value.permalink_url or (value.post.permalink_url if value.post else None)


def _files(value: Value) -> tuple[Media, ...]:
    photos = dict.fromkeys((*((value.photo,) if value.photo else ()), *value.photos))
    listed = [("image/jpeg", url) for url in photos] + ([("video/mp4", value.video)] if value.video else [])
    return tuple(
        Media(mime=mime, ref=AttachmentRef(scheme="url", uri=url))
        for mime, url in listed[:MAX_PHOTOS]
        if url.startswith(("https://", "http://"))
    )


# --- reviews ------------------------------------------------------------------------------------


def ratings(scope: Scope) -> Iterator[AnyEvent]:
    """Recommendations; comments on them come with the same id in the feed."""
    value = read(scope.json, Review, "changes.ratings", lax=True)
    place = Place(ours=scope.page, where="review", id=value.open_graph_story_id)
    identifier = None if value.reviewer_id is None else str(value.reviewer_id)
    if identifier == scope.page:
        return
    reviewer = Party(
        scheme="fb_user" if identifier else "opaque",
        value=identifier or f"author:{value.open_graph_story_id}",
        display_name=value.reviewer_name,
        verified="channel" if identifier else "none",
    )
    native_id = value.comment_id or value.open_graph_story_id
    content = Social(
        kind="comment" if value.comment_id else "review", text=value.review_text or "", rating=value.rating
    )
    recommendation = facts(recommendation=value.recommendation_type)
    at = scope.at(value.created_time if value.verb == "add" else None)
    if value.verb == "remove":
        yield Deletion(thread=place.thread, at=at, native_id=f"{native_id}:removed", target=native_id, sender=reviewer)
    elif value.verb == "add":
        yield Message(
            thread=place.thread, at=at, native_id=native_id, sender=reviewer, content=content, attributes=recommendation
        )
    else:
        revision = scope.noticed or value.created_time or 0
        yield Edit(
            thread=place.thread,
            at=at,
            native_id=scope.fingerprint("edit"),
            target=native_id,
            content=content,
            revision=revision,
            sender=reviewer,
        )


# --- the rest -----------------------------------------------------------------------------------


def unknown(scope: Scope, kind: str | None = None) -> Iterator[AnyEvent]:
    """A field or item we do not map: never dropped, in the page's own conversation."""
    yield Message(
        thread=Place(ours=scope.page, where="account").thread,
        at=scope.at(None),
        native_id=scope.fingerprint((kind or scope.field)[:50]),
        sender=Party(scheme="opaque", value="facebook", display_name="Facebook", is_bot=True),
        content=Unsupported(native_type=(kind or scope.field)[:LONGEST_NATIVE_TYPE] or "change"),
        auto_submitted="auto_generated",
    )


FIELDS: Mapping[str, Callable[[Scope], Iterator[AnyEvent]]] = {
    "feed": feed,
    "mention": mention,
    "ratings": ratings,
}

ITEMS: Mapping[str, Callable[[Scope, Value], Iterator[AnyEvent]]] = {
    "comment": comment,
    **dict.fromkeys(("post", "status", "photo", "video", "share", "link", "note", "album", "event", "picture"), post),
    "reaction": reaction,
    "like": reaction,
}
