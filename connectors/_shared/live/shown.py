"""From frames and messages to what people see."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec

from connectors._shared.live.frames import Author, Choice, Entry, Place, Postback, Say, ShownFile, ShownOption
from connectors._shared.live.history import entry_key
from connectors._shared.live.signing import LiveSigner
from omnibus import clock
from omnibus.model import content as c
from omnibus.model.content import Attachment, text_of
from omnibus.model.entities import Message


def person_entry(frame: Say | Choice | Postback | Place, at_ms: int, author: Author) -> Entry:
    """The history entry of what a person did; `author` is what the protocol calls them."""
    key = entry_key(at_ms, frame.id)
    match frame:
        case Say():
            files = tuple(ShownFile(name=f.name, mime=f.mime, size=f.size, uri=f.uri) for f in frame.files)
            return Entry(
                key=key, id=frame.id, author=author, text=frame.text, files=files, in_reply_to=frame.in_reply_to
            )
        case Choice():
            words = frame.title or frame.option_id
            return Entry(key=key, id=frame.id, author=author, text=words, in_reply_to=frame.in_reply_to)
        case Postback():
            return Entry(key=key, id=frame.id, author=author, text=frame.title)
        case Place():
            words = frame.name or frame.address or f"{frame.lat:.5f}, {frame.lon:.5f}"
            return Entry(key=key, id=frame.id, author=author, text=words, in_reply_to=frame.in_reply_to)


def message_entry(message: Message) -> Entry:
    """The history entry of a message of our side."""
    content = message.content
    return Entry(
        key=entry_key(clock.to_ms(message.created_at), message.id),
        id=message.id,
        author=_author(message.author.type),
        name=message.author.display_name,
        text=text_of(content),
        options=tuple(_option(option) for option in content.options) if isinstance(content, c.Choices) else (),
        files=tuple(file for attachment in message.attachments if (file := shown_file(attachment)) is not None),
    )


def shown_file(attachment: Attachment) -> ShownFile | None:
    """A file that a client can reach: in our blob store, or at a public https address; None for any other."""
    ref, name = attachment.ref, attachment.file_name or "file"
    if ref is None:
        return None
    if ref.scheme == "object":
        return ShownFile(name=name, mime=attachment.mime, size=attachment.size, uri=ref.uri)
    if ref.scheme == "url" and ref.uri.startswith(("https://", "http://")):
        return ShownFile(name=name, mime=attachment.mime, size=attachment.size, url=ref.uri)
    return None


def with_links(entry: Entry, signer: LiveSigner, now_ms: int) -> Entry:
    """The entry with an address for each file in our store, relative to ``/ch/<account>/``, good for a day."""
    if not entry.files:
        return entry
    return msgspec.structs.replace(entry, files=tuple(_linked(file, signer, now_ms) for file in entry.files))


def _linked(file: ShownFile, signer: LiveSigner, now_ms: int) -> ShownFile:
    if file.uri is None:
        return file
    digest = file.uri.rpartition(":")[2]
    link = urlencode({"n": file.name, "m": file.mime, "t": signer.link(digest, file.name, file.mime, now_ms)})
    return ShownFile(name=file.name, mime=file.mime, size=file.size, url=f"files/{quote(digest)}?{link}")


def _author(kind: str) -> Author:
    match kind:
        case "bot":
            return "bot"
        case "system":
            return "system"
        case _:
            return "agent"


def _option(option: c.Option) -> ShownOption:
    url = option.url if option.url is not None and option.url.startswith(("https://", "http://")) else None
    return ShownOption(id=option.id, title=option.title, url=url)
