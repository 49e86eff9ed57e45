"""Posts in our words: who mentions us, answers us or quotes us, and what our side answered elsewhere.

One customer's posts to us are one thread: the Account Activity API does not say which of X's own threads a post is in,
and a person who asks in public wants one answer, wherever the others in that thread go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from connectors._shared.reading import read
from connectors.x.payloads import (
    Activity,
    Entities,
    MediaEntity,
    Post,
    PostV2,
    Profile,
    Raws,
    Reference,
    id_of,
    needed,
    posted_at,
    time_of,
)
from connectors.x.said import Told, files_of, user_id_of, words_of
from omnibus.channel import events
from omnibus.channel.events import AnyEvent
from omnibus.model.content import Social
from omnibus.model.entities import Quoted

PUBLIC = "post:"
"""Threads of posts: this, and the id of the customer."""


class Posted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A post, whichever way it came."""

    id: str
    author: str
    at: datetime
    text: str
    media: Sequence[MediaEntity] = ()
    name: str | None = None
    answered_id: str | None = None
    answered_user: str | None = None
    answered_name: str | None = None
    quoted: str | None = None
    quoted_user: str | None = None
    language: str | None = None


def posts(told: Told, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """``tweet_create_events``: of others to us, and of ours to others."""
    for place, one in enumerate(read(json, Raws, "tweet_create_events")):
        path = f"tweet_create_events[{place}]"
        post = read(one, Post, path)
        if bytes(post.retweeted_status) == b"null":  # somebody passes a post on without a word of their own
            within = told.knowing((post.user, *post.entities.user_mentions))
            yield from said_by(within, _posted(within, post, path))


def activity_post(told: Told, activity: Activity) -> Iterator[AnyEvent]:
    """``post.create`` and ``post.mention.create`` of the X Activity API."""
    post = read(activity.payload, PostV2, "data.payload")
    if not any(reference.type == "retweeted" for reference in post.referenced_tweets):
        yield from said_by(told, _posted_v2(told, post, activity))


def said_by(told: Told, post: Posted) -> Iterator[AnyEvent]:
    """The message a post is; none for what our side says to nobody, or to itself."""
    if post.author != told.us:
        yield _message(told, post, post.author)
    elif post.answered_user is not None and post.answered_user != told.us:
        yield _message(told, post, post.answered_user)


def _message(told: Told, post: Posted, customer: str) -> AnyEvent:
    ours = post.author == told.us
    to_us = post.answered_user == told.us
    return events.Message(
        thread=f"{PUBLIC}{customer}",
        at=post.at,
        native_id=post.id,
        sender=told.party(post.author, post.name),
        content=Social(
            kind="comment" if ours or to_us else "mention",
            text=post.text,
            permalink=f"https://x.com/i/status/{post.id}",
            parent_native_id=post.answered_id,
        ),
        attachments=files_of(post.media),
        direction="outbound" if ours else "inbound",
        participants=(told.party(customer, post.answered_name),) if ours else (),
        in_reply_to=post.answered_id if ours or to_us else None,
        quoted=None if post.quoted is None else Quoted(text=post.quoted, author=post.quoted_user),
        language=post.language,
    )


# --- the Account Activity API ---------------------------------------------------------------------


def _posted(told: Told, post: Post, path: str) -> Posted:
    """Of a post longer than 280 characters, the field `text` is only the beginning."""
    long = post.extended_tweet
    media = _media_of(long.extended_entities if long is not None else post.extended_entities, post.entities)
    entities = post.entities if long is None else long.entities
    text = long.full_text if long is not None else post.full_text or post.text
    return Posted(
        id=needed(id_of(post.id_str, post.id), f"{path}.id_str"),
        author=user_id_of(post.user, f"{path}.user.id_str"),
        name=post.user.screen_name,
        at=_time_of(post, told.at),
        text=_without_address(words_of(text, entities, media), post.in_reply_to_screen_name, entities.user_mentions),
        media=media,
        answered_id=id_of(post.in_reply_to_status_id_str),
        answered_user=id_of(post.in_reply_to_user_id_str),
        answered_name=post.in_reply_to_screen_name,
        quoted=_quoted_text(post),
        quoted_user=None if post.quoted_status is None else post.quoted_status.user.name,
        language=_language(post.lang),
    )


def _time_of(post: Post, otherwise: datetime) -> datetime:
    if post.timestamp_ms is not None:
        return time_of(post.timestamp_ms, otherwise)
    return otherwise if post.created_at is None else posted_at(post.created_at)


def _media_of(extended: Entities, entities: Entities) -> Sequence[MediaEntity]:
    """The extended ones have all pictures and the films; the others only the first picture."""
    return extended.media or entities.media


def _quoted_text(post: Post) -> str | None:
    quoted = post.quoted_status
    if quoted is None:
        return None
    whole = quoted.extended_tweet.full_text if quoted.extended_tweet is not None else quoted.full_text
    return words_of(whole or quoted.text, Entities()) or None


def _without_address(text: str, answered: str | None, mentions: Iterable[Profile]) -> str:
    """An answer begins with the @names of those it is for; what somebody wrote comes after them."""
    names = sum(1 for _ in mentions)
    words = text
    while answered is not None and names and words.startswith("@"):
        _, space, rest = words.partition(" ")
        if not space or not rest.strip():
            break
        words, names = rest.lstrip(), names - 1
    return words


# --- the X Activity API ---------------------------------------------------------------------------


def _posted_v2(told: Told, post: PostV2, activity: Activity) -> Posted:
    note = post.note_tweet
    keys = set(post.attachments.media_keys)
    media = [one for one in activity.includes.media if one.media_key in keys]
    entities = post.entities if note is None else note.entities
    quoted_id = _reference(post.referenced_tweets, "quoted")
    quoted = next((one for one in activity.includes.tweets if one.id == quoted_id), None)
    text = words_of(post.text if note is None else note.text, entities)
    return Posted(
        id=needed(id_of(post.id), "data.payload.id"),
        author=needed(id_of(post.author_id), "data.payload.author_id"),
        at=told.at if post.created_at is None else _aware(post.created_at, told.at),
        text=_without_address(text, post.in_reply_to_user_id, entities.mentions),
        media=media,
        answered_id=_reference(post.referenced_tweets, "replied_to"),
        answered_user=id_of(post.in_reply_to_user_id),
        quoted=None if quoted is None else quoted.text or None,
        quoted_user=None if quoted is None else told.party(quoted.author_id).display_name,
        language=_language(post.lang),
    )


def _aware(at: datetime, otherwise: datetime) -> datetime:
    return otherwise if at.tzinfo is None else at


def _reference(references: Sequence[Reference], kind: str) -> str | None:
    return next((id_of(one.id) for one in references if one.type == kind), None)


def _language(tag: str | None) -> str | None:
    """X says `und` when it cannot tell, and other words of its own (`zxx`, `qme` ...) when there are no words."""
    return tag if tag and len(tag) in (2, 5) and tag.isascii() else None
