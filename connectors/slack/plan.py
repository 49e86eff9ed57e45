"""Which calls of the Web API say a message: pure, so that what is sent can be read without sending it.

Limits: https://docs.slack.dev/reference/methods/chat.postMessage (4,000 characters are well readable, Markdown takes
12,000), https://docs.slack.dev/reference/block-kit/blocks/section-block (3,000),
https://docs.slack.dev/reference/block-kit/blocks/actions-block (25 elements),
https://docs.slack.dev/reference/block-kit/block-elements/button-element (75 characters, value of 2,000).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.files import addresses, files_of, stored
from connectors._shared.words import pieces, plain, shortened
from connectors.slack.markup import escaped
from connectors.slack.place import Place, ts_in
from omnibus.errors import Refused
from omnibus.model.content import Attachment, Choices, Media, Option, Text
from omnibus.model.entities import Message

MAX_TEXT = 4_000
MAX_MARKDOWN = 12_000
MAX_SECTION = 3_000
MAX_BUTTONS = 25
MAX_LABEL = 75
MAX_VALUE = 2_000


class Post(msgspec.Struct, frozen=True):
    """A call of chat.postMessage."""

    params: dict[str, object]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file, with words beside it."""

    file: Attachment
    params: dict[str, object]


Step = Post | Upload


def steps_for(message: Message, place: Place) -> Sequence[Step]:
    """The steps that say `message` in `place`, in order. Raises Refused for what Slack cannot take."""
    thread_ts = place.ts or _answered(message, place)
    in_thread: dict[str, object] = {} if thread_ts is None else {"thread_ts": thread_ts}
    said = [*_words(message), *_plain(addresses(files_of(message)), MAX_TEXT)]
    posts = [Post({"channel": place.channel, **in_thread, **words}) for words in said]
    uploads = _uploads(message, {"channel_id": place.channel, **in_thread})
    steps: list[Step] = [*posts, *uploads]
    if not steps:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    return steps


def _answered(message: Message, place: Place) -> str | None:
    native_id = message.in_reply_to.native_id if message.in_reply_to else None
    return None if native_id is None else ts_in(native_id, place.channel)


def _words(message: Message) -> list[dict[str, object]]:
    match message.content:
        case Text(format="markdown") as content:
            return [{"markdown_text": piece} for piece in pieces(content.text, MAX_MARKDOWN)]
        case Text() as content:
            return _plain(plain(content), MAX_TEXT)
        case Choices() as content:
            return _choices(content)
        case Media() as content:
            return [] if _goes_beside(message, content) else _plain(content.caption or "", MAX_TEXT)
        case content:
            raise Refused("UNSUPPORTED_OPERATION", f"Slack cannot show {content.__struct_config__.tag!r}")


def _plain(text: str, limit: int) -> list[dict[str, object]]:
    """Words that are shown as they are, stars and all."""
    return [{"text": escaped(piece), "mrkdwn": False} for piece in pieces(text, limit)]


def _choices(content: Choices) -> list[dict[str, object]]:
    """The question with a button for each option, below the last piece."""
    posts = _plain(content.text, MAX_SECTION)
    if not posts:
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if not 1 <= len(content.options) <= MAX_BUTTONS:
        raise Refused("UNSUPPORTED_OPERATION", f"Slack shows 1 to {MAX_BUTTONS} options")
    last = posts[-1]
    blocks = [
        {"type": "section", "text": {"type": "plain_text", "text": pieces(content.text, MAX_SECTION)[-1]}},
        {"type": "actions", "elements": [_button(number, each) for number, each in enumerate(content.options)]},
    ]
    return [*posts[:-1], {**last, "blocks": blocks}]


def _button(number: int, option: Option) -> dict[str, object]:
    if not 1 <= len(option.id) <= MAX_VALUE:
        raise Refused("UNSUPPORTED_OPERATION", f"the id of an option must have 1 to {MAX_VALUE} characters")
    label = {"type": "plain_text", "text": shortened(option.title, MAX_LABEL)}
    button: dict[str, object] = {"type": "button", "action_id": f"option-{number}", "value": option.id, "text": label}
    return button if option.url is None else {**button, "url": option.url}


def _uploads(message: Message, params: dict[str, object]) -> list[Upload]:
    uploads = [Upload(file=file, params=params) for file in stored(files_of(message))]
    content = message.content
    if isinstance(content, Media) and content.caption and _goes_beside(message, content):
        comment = {**params, "initial_comment": escaped(content.caption)}
        uploads[0] = msgspec.structs.replace(uploads[0], params=comment)
    return uploads


def _goes_beside(message: Message, content: Media) -> bool:
    """Whether the caption goes with a file that we upload; a longer one comes before it."""
    return bool(stored(files_of(message))) and len(content.caption or "") <= MAX_TEXT
