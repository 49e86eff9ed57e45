"""The folder that ``omnibus channel new`` writes: a webhook channel that works, and one fixture it does not map yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_INIT = '"""__TITLE__: a channel of Omnibus."""\n'

_CHANNEL = '''"""__TITLE__: what the channel is. The page a reader opens first."""

from __future__ import annotations

from typing import Annotated

from connectors._shared.receivers import webhook_with_token
from omnibus.channel.declaration import Capabilities, Channel
from omnibus.channel.events import Message
from omnibus.channel.later import Later
from omnibus.config.fields import Settings, WebhookSecret, described


class __CLASS__Settings(Settings, frozen=True, kw_only=True):
    """One account."""

    webhook_secret: Annotated[WebhookSecret, described("What the provider puts into the header x-__NAME__-token.")]


CHANNEL = Channel(
    name="__NAME__",
    title="__TITLE__",
    docs="https://docs.example.com/api",
    settings=__CLASS__Settings,
    capabilities=Capabilities(),  # receives only; with a sender: what it takes, and the provider's limits
    emits=frozenset({Message}),  # what fixtures show: no more, no less
    map=Later("__PACKAGE__.mapping:map_event"),  # imported when first used
    threads=Later("__PACKAGE__.mapping:threads"),
    receive={"webhook": webhook_with_token("x-__NAME__-token")},
)
'''

_MAPPING = '''"""From a request to events. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from omnibus.channel.events import Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Content, Text, Unsupported
from omnibus.model.raw import RawEvent

Word = Annotated[str, Meta(min_length=1, max_length=200)]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote. Fields the provider adds later do no harm."""

    id: Word
    name: str | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the provider sends it."""

    id: Word
    thread: Word
    sent_at: Annotated[datetime, Meta(tz=True)]
    person: Person
    kind: Word = "text"
    text: str = ""


def map_event(raw: RawEvent) -> Iterator[Message]:
    """The message of the request. Raises InvalidPayload when it cannot be read."""
    note = note_of(raw)
    yield Message(
        thread=note.thread,
        at=note.sent_at,
        native_id=note.id,
        sender=Party(scheme="opaque", value=note.person.id, display_name=note.person.name),
        content=content_of(note),
    )


def threads(raw: RawEvent) -> Sequence[str]:
    """The provider's own threads in the request: each has one writer, so name the one the message belongs to."""
    return (note_of(raw).thread,)


def content_of(note: Note) -> Content:
    """What was said. A kind we do not know is kept as such, and can be mapped later by a replay."""
    if note.kind == "text":
        return Text(text=note.text)
    return Unsupported(native_type=note.kind)


def note_of(raw: RawEvent) -> Note:
    """The body, read. Raises InvalidPayload with the place and the surprise."""
    try:
        return msgspec.json.decode(raw.body, type=Note)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidPayload("body", str(error)) from error
'''

_README = """# __TITLE__

What people write on __TITLE__ becomes conversations.

## Set up

1. Put the account into `omnibus.yaml`, and the secret into the environment:

   ```yaml
   channels:
     my-__DASHED__:
       type: __NAME__
       webhook_secret: "${__UPPER___SECRET}"
   ```

2. At the provider, let webhooks go to `https://<your address>/in/my-__DASHED__` with the secret in the header
   `x-__NAME__-token`.

## Limits

- Receives text; sends nothing yet.
"""

_ACCOUNT = '{"webhook_secret": "invented-secret-for-tests"}\n'

_REQUEST = """{
  "comment": "__COMMENT__",
  "method": "POST",
  "path": "/in/test",
  "headers": {"content-type": "application/json", "x-__NAME__-token": "invented-secret-for-tests"},
  "body": __BODY__,
  "received_at": "2026-01-05T09:00:01Z",
  "verified": "token"
}
"""

_TEXT_BODY = """{
    "id": "n-1",
    "thread": "t-17",
    "sent_at": "2026-01-05T09:00:00Z",
    "person": {"id": "p-4", "name": "Ana Moreira"},
    "kind": "text",
    "text": "Is it open today?"
  }"""

_PLACE_BODY = """{
    "id": "n-2",
    "thread": "t-17",
    "sent_at": "2026-01-05T09:01:00Z",
    "person": {"id": "p-4", "name": "Ana Moreira"},
    "kind": "place",
    "place": {"lat": 38.7, "lon": -9.1, "name": "At the fountain"}
  }"""

_EVENT = """[
  {
    "kind": "message",
    "thread": "t-17",
    "at": "__AT__",
    "native_id": "__ID__",
    "sender": {
      "scheme": "opaque",
      "value": "p-4",
      "display_name": "Ana Moreira"
    },
    "content": __CONTENT__
  }
]
"""

_TEXT = """{
      "type": "text",
      "text": "Is it open today?"
    }"""

_PLACE = """{
      "type": "location",
      "lat": 38.7,
      "lon": -9.1,
      "name": "At the fountain"
    }"""


def files_of(name: str, package: str) -> Mapping[Path, str]:
    """The files of a new channel, by their path below its folder."""
    wish = "It is mapped to `unsupported` as yet; beside it stands what it should become. Begin here."
    found = {
        "__init__.py": _INIT,
        "channel.py": _CHANNEL,
        "mapping.py": _MAPPING,
        "README.md": _README,
        "fixtures/account.json": _ACCOUNT,
        "fixtures/text.raw.json": _request("Somebody writes.", _TEXT_BODY),
        "fixtures/text.unified.json": _event("n-1", "2026-01-05T09:00:00Z", _TEXT),
        "fixtures/place.raw.json": _request(wish, _PLACE_BODY),
        "fixtures/place.unified.json": _event("n-2", "2026-01-05T09:01:00Z", _PLACE),
    }
    return {Path(path): _filled(text, name, package) for path, text in found.items()}


def _request(comment: str, body: str) -> str:
    return _REQUEST.replace("__COMMENT__", comment).replace("__BODY__", body)


def _event(native_id: str, at: str, content: str) -> str:
    return _EVENT.replace("__ID__", native_id).replace("__AT__", at).replace("__CONTENT__", content)


def _filled(text: str, name: str, package: str) -> str:
    words = {
        "__NAME__": name,
        "__DASHED__": name.replace("_", "-"),
        "__UPPER__": name.upper(),
        "__TITLE__": name.replace("_", " ").title(),
        "__CLASS__": name.title().replace("_", ""),
        "__PACKAGE__": package,
    }
    for word, value in words.items():
        text = text.replace(word, value)
    return text
