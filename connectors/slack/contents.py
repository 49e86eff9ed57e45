"""What a Slack message says, in our words. https://docs.slack.dev/reference/objects/file-object"""

from __future__ import annotations

from connectors.slack.markup import words
from connectors.slack.payload import File, Said
from omnibus.channel.events import Media
from omnibus.model.content import AttachmentRef, Audio, Content, Image, Text, Unsupported, Video
from omnibus.model.content import File as Document

GONE = frozenset({"tombstone", "hidden_by_limit"})
"""Modes of files whose bytes Slack does not give: deleted, or older than the workspace's plan shows."""
ELSEWHERE = frozenset({"external"})
"""Modes of files that Slack only links to."""
FIRST = "0"


def content_of(said: Said) -> tuple[Content, tuple[Media, ...]]:
    """The first file with the words as its caption, or the words; all files."""
    text = words(said.text or "")
    files = [file for file in said.files or () if file.mode not in GONE and file.mode not in ELSEWHERE]
    if not files:
        gone = [file for file in said.files or () if file.mode in GONE]
        if gone and not text:
            return Unsupported(native_type=f"file:{gone[0].mode}"), ()
        return Text(text=text), ()
    return _shown(files[0], text or None), tuple(_media(file) for file in files)


def _shown(file: File, caption: str | None) -> Content:
    if file.subtype == "slack_audio":
        return Audio(attachment_id=FIRST, caption=caption, voice_note=True)
    family = (file.mimetype or "").partition("/")[0]
    match family:
        case "image":
            return Image(attachment_id=FIRST, caption=caption)
        case "audio":
            return Audio(attachment_id=FIRST, caption=caption)
        case "video":
            return Video(attachment_id=FIRST, caption=caption)
        case _:
            return Document(attachment_id=FIRST, caption=caption)


def _media(file: File) -> Media:
    """The file's id: its address is found when it is fetched, for files of other workspaces as well."""
    return Media(
        mime=file.mimetype or "application/octet-stream",
        ref=AttachmentRef(scheme="native", uri=file.id),
        file_name=file.name,
        size=file.size,
    )
