"""Words, links and media of posts and direct messages, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from connectors.x.payloads import Entities, Link, MediaEntity, Profile, id_of, needed
from omnibus.channel.events import Media, Party
from omnibus.model.content import AttachmentRef, Image, Video
from omnibus.model.raw import RawEvent

DM_MEDIA = re.compile(
    r"https://ton\.(?:twitter|x)\.com/(?:1\.1/|i/)?ton/data/dm/([0-9]{1,19})/([0-9]{1,19})/([\w.-]{1,50})"
)
"""Where pictures of direct messages are, for their participants: https://developer.x.com/en/docs/x-api/v1/
direct-messages/message-attachments/guides/retrieving-media"""
MAX_FILES = 10
MAX_LINKS = 100
_FILE_NAME = re.compile(r"/([\w.-]{1,80}\.\w{2,4})(?:\?|$)")
_MIMES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Whose request it is, and who appears in it."""

    raw: RawEvent
    us: str
    people: dict[str, Profile]

    @property
    def at(self) -> datetime:
        """When we got it, for what says no time."""
        return self.raw.received_at

    def knowing(self, profiles: Iterable[Profile]) -> Told:
        """The same, with these users."""
        return msgspec.structs.replace(self, people={**self.people, **people_in(profiles)})

    def party(self, user_id: str, name: str | None = None) -> Party:
        """A user as far as the request tells of them. X vouches for its ids, which are the same for everybody."""
        profile = self.people.get(user_id, Profile())
        return Party(
            scheme="x_user",
            value=user_id,
            display_name=profile.name or None,
            username=profile.screen_name or profile.username or name or None,
            verified="channel",
        )


def people_in(profiles: Iterable[Profile]) -> dict[str, Profile]:
    """Users by id, unwrapped."""
    found = (profile.data or profile for profile in profiles)
    return {user_id: profile for profile in found if (user_id := id_of(profile.id_str, profile.id)) is not None}


def words_of(text: str, entities: Entities, media: Sequence[MediaEntity] = ()) -> str:
    """The words with real addresses instead of shortened ones, and without those of the media, which come along.

    The texts are escaped as for HTML: ``&amp;``, ``&lt;`` and ``&gt;``, and nothing else.
    """
    hidden = {one.url for one in media} | {link.url for link in entities.urls if link.media_key}
    for link in entities.urls[:MAX_LINKS]:
        text = _expanded(text, link, hidden)
    for url in hidden:
        text = text.replace(url, "") if url else text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _expanded(text: str, link: Link, hidden: set[str | None]) -> str:
    if not link.url or not link.expanded_url or link.url in hidden:
        return text
    return text.replace(link.url, link.expanded_url)


def files_of(media: Sequence[MediaEntity]) -> tuple[Media, ...]:
    """References to the files, in the order they were put."""
    return tuple(found for one in media[:MAX_FILES] if (found := _file_of(one)) is not None)


def caption_kind(media: MediaEntity) -> type[Image] | type[Video]:
    """What a file of that type is shown as; looping films are films without sound."""
    return Image if media.type == "photo" else Video


def alt_text_of(media: MediaEntity) -> str | None:
    """The words for those who cannot see it."""
    return media.ext_alt_text or media.alt_text or None


def _file_of(media: MediaEntity) -> Media | None:
    if media.type == "photo":
        return _picture(media.media_url_https or media.url)
    films = [
        one for one in (*media.video_info.variants, *media.variants) if one.url and one.content_type == "video/mp4"
    ]
    best = max(films, key=lambda one: max(one.bitrate, one.bit_rate), default=None)
    return None if best is None else _at_address(best.url, "video/mp4")


def _picture(address: str | None) -> Media | None:
    """In a direct message it is fetched with our token, from its participants' place."""
    private = DM_MEDIA.fullmatch(address or "")
    if private is None:
        return _at_address(address, "image/jpeg")
    name = private.group(3)
    return Media(
        mime=_mime_of(name), ref=AttachmentRef(scheme="native", uri="/".join(private.groups())), file_name=name
    )


def _at_address(address: str | None, mime: str) -> Media | None:
    if address is None or not address.startswith("https://") or len(address) > 2_000:
        return None
    found = _FILE_NAME.search(address)
    name = None if found is None else found.group(1)
    return Media(
        mime=mime if name is None or mime.startswith("video/") else _mime_of(name),
        ref=AttachmentRef(scheme="url", uri=address),
        file_name=name,
    )


def _mime_of(name: str) -> str:
    return _MIMES.get(name.rpartition(".")[2].lower(), "image/jpeg")


def user_id_of(profile: Profile, path: str) -> str:
    """Raises InvalidPayload for a user without an id."""
    return needed(id_of(profile.id_str, profile.id), path)
