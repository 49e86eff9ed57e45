"""The page about the protocol names everything that is in it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from connectors._shared.live.frames import Frame
from connectors.app import client, identity, protocol, push
from omnibus.errors import InvalidPayload

PAGE = (Path(__file__).parents[3] / "docs/reference/app-protocol.md").read_text("utf-8")
STRUCTS = (
    protocol.Registration,
    protocol.UserClaim,
    protocol.Registered,
    protocol.Seen,
    protocol.Missed,
    protocol.Batch,
    protocol.Results,
    push.Push,
    push.PushedDevice,
    push.Pushed,
    *get_args(protocol.DeviceFrame),
    *get_args(client.InFrame),
)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}")
def test_the_page_names_every_field(kind: type[msgspec.Struct]) -> None:
    if issubclass(kind, Frame):
        assert f"| `{kind.__struct_config__.tag}` |" in PAGE
    for field in kind.__struct_encode_fields__:
        assert f"{field}" in PAGE, f"{field} of {kind.__name__} is not described"


def test_the_page_names_every_claim_and_every_route() -> None:
    assert [claim for claim in identity.Claims.__struct_fields__ if f"`{claim}`" not in PAGE] == []
    for route in ("POST /devices", "DELETE /devices/", "GET /messages", "POST /messages", "POST /receipts"):
        assert route in PAGE
    for route in ("POST /files", "GET /files/", "GET /ws"):
        assert route in PAGE


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"location","id":"aaaaaaaaaaaaaaaa","lat":91,"lon":0}',
        b'{"type":"location","id":"aaaaaaaaaaaaaaaa","lat":1e999,"lon":0}',
        b'{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"x","written_at":"yesterday"}',
        b'{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"x","written_at":"2026-01-05T09:00:00"}',
        b'{"type":"hello"}',
    ],
)
def test_a_damaged_frame_is_refused_with_its_place(frame: bytes) -> None:
    with pytest.raises(InvalidPayload, match="frame"):
        protocol.read_frame(frame)
