"""What an app's raw event holds: the device's frame byte for byte, and what its session says of the person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from connectors._shared.live.frames import UnknownFrame
from connectors._shared.reading import read
from connectors.app.identity import Person
from connectors.app.protocol import DeviceFrame, read_frame
from omnibus.model import ids
from omnibus.model.raw import RawEvent

CHANNEL_NAME = "app"
Named = Annotated[str, Meta(min_length=1, max_length=200)]
Said = Annotated[str, Meta(max_length=200)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a raw event."""

    thread: Named
    user: Named
    device: Named
    verified: Literal["jwt", "hmac"]
    frame: msgspec.Raw
    name: Said | None = None
    email: Said | None = None
    locale: Said | None = None
    platform: Said = "other"
    app_version: Said | None = None

    def device_frame(self) -> DeviceFrame | UnknownFrame:
        """The frame, typed. Raises InvalidPayload."""
        return read_frame(bytes(self.frame))


_encoder = msgspec.json.Encoder()


def read_envelope(raw: RawEvent) -> Envelope:
    """Raises InvalidPayload with the path that failed."""
    return read(raw.body, Envelope)


def raw_event(
    account: str,
    person: Person,
    frame: bytes,
    received_at: datetime,
    *,
    transport: Literal["socket", "api"],
    remote: str | None = None,
) -> RawEvent:
    """The raw event of a frame that `read_frame` took."""
    envelope = Envelope(
        thread=person.thread,
        user=person.user,
        device=person.device,
        verified=person.verified,
        frame=msgspec.Raw(frame),
        name=person.name,
        email=person.email,
        locale=person.locale,
        platform=person.platform,
        app_version=person.app_version,
    )
    return RawEvent(
        id=ids.random_id("raw"),
        channel=CHANNEL_NAME,
        account=account,
        received_at=received_at,
        body=_encoder.encode(envelope),
        transport=transport,
        verified=person.verified,
        thread=person.thread,
        remote=remote,
    )
