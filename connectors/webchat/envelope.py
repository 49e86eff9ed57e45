"""What a web chat raw event holds: the visitor's frame byte for byte, and what the connection knew of the visitor."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from connectors._shared.live.frames import UnknownFrame
from connectors._shared.reading import read
from connectors.webchat.identity import Visitor
from connectors.webchat.protocol import ClientFrame, read_frame
from omnibus.model import ids
from omnibus.model.raw import RawEvent

CHANNEL_NAME = "webchat"
Named = Annotated[str, Meta(min_length=1, max_length=200)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a web chat raw event. `user` was proven by the embedding site; `name` and `email` are only said."""

    thread: Named
    visitor: Named
    frame: msgspec.Raw
    user: Named | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    email: Annotated[str, Meta(max_length=200)] | None = None
    locale: Annotated[str, Meta(max_length=40)] | None = None
    page: Annotated[str, Meta(max_length=500)] | None = None

    def client_frame(self) -> ClientFrame | UnknownFrame:
        """The frame, typed. Raises InvalidPayload."""
        return read_frame(bytes(self.frame))


_encoder = msgspec.json.Encoder()


def read_envelope(raw: RawEvent) -> Envelope:
    """Raises InvalidPayload with the path that failed."""
    return read(raw.body, Envelope)


def raw_event(
    account: str,
    visitor: Visitor,
    frame: bytes,
    received_at: datetime,
    *,
    locale: str | None = None,
    page: str | None = None,
    remote: str | None = None,
) -> RawEvent:
    """The raw event of a frame that `read_frame` took."""
    envelope = Envelope(
        thread=visitor.thread,
        visitor=visitor.id,
        frame=msgspec.Raw(frame),
        user=visitor.user,
        name=visitor.name,
        email=visitor.email,
        locale=locale,
        page=page,
    )
    return RawEvent(
        id=ids.random_id("raw"),
        channel=CHANNEL_NAME,
        account=account,
        received_at=received_at,
        body=_encoder.encode(envelope),
        transport="socket",
        verified="hmac" if visitor.user is not None else "token",
        thread=visitor.thread,
        remote=remote,
    )
