"""Files of a message on their way out."""

from __future__ import annotations

import pytest

from connectors._shared.files import addresses, files_of, safe_name, stored
from omnibus.channel.registry import load_channel
from omnibus.errors import Refused
from omnibus.model.content import Attachment, AttachmentRef, Image
from omnibus.testing.sending import outbound_of


def test_a_file_name_cannot_write_headers_nor_paths() -> None:
    def named(name: str | None) -> str:
        return safe_name(Attachment(id="att_1", mime="text/plain", state="stored", file_name=name))

    assert named('../a\r\nX: "y".pdf') == "_a__X: _y_.pdf"
    assert named(None) == named("..") == "file"
    assert len(named("x" * 1_000)) == 200


def test_the_file_that_is_named_comes_first() -> None:
    files = [{"id": f"att_{number}", "mime": "image/png", "state": "stored"} for number in range(3)]
    content = {"type": "image", "attachment_id": "att_1"}
    channel = load_channel("connectors.line")
    message = outbound_of(channel, {"message": {"content": content, "attachments": files}}).message
    assert [file.id for file in files_of(message)] == ["att_1", "att_0", "att_2"]
    missing = outbound_of(channel, {"message": {"content": content}}).message
    with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
        files_of(missing)
    assert isinstance(missing.content, Image)


def test_files_elsewhere_are_addresses() -> None:
    def at(scheme: str, uri: str) -> Attachment:
        return Attachment(id="a", mime="a/b", state="stored", ref=AttachmentRef(scheme=scheme, uri=uri))

    files = [at("url", "https://example.com/1"), at("object", "blob:1"), at("url", "https://example.com/2")]
    assert addresses(files) == "https://example.com/1\nhttps://example.com/2"
    assert stored(files) == [files[1]]
