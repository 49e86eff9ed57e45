"""The small parts that chat channels share."""

from __future__ import annotations

import pytest

from connectors._shared.chat.files import addresses, files_of, safe_name, stored
from connectors._shared.chat.progress import REMEMBERED, Progress
from connectors._shared.chat.reading import Foreign, facts, read, threads_of
from connectors._shared.chat.words import pieces, plain, shortened, units
from omnibus.channel.registry import load_channel
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.model.content import Attachment, AttachmentRef, Image, Text
from omnibus.testing.sending import outbound_of


class Thing(Foreign, frozen=True, kw_only=True):
    name: str
    parts: tuple[int, ...] = ()


def test_a_complaint_names_the_place() -> None:
    with pytest.raises(InvalidPayload, match=r"^\$\.thing\.parts\[1\]: Expected `int`, got `str`"):
        read(b'{"name": "a", "parts": [1, "x"]}', Thing, "$.thing")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"name": "\\ud800"}'])
def test_garbage_is_an_invalid_payload(data: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read(data, Thing)


def test_fields_nobody_knows_do_no_harm() -> None:
    assert read(b'{"name": "a", "new": {}}', Thing) == Thing(name="a")


def test_facts_are_what_is_there() -> None:
    assert facts(a="x", b=None, c="", d=0, e=False, f="y" * 500) == {"a": "x", "d": 0, "e": False, "f": "y" * 400}


def test_nothing_readable_has_no_threads() -> None:
    assert threads_of([]) == ()


async def test_each_piece_is_sent_once() -> None:
    progress, tries = Progress(), []

    async def send(piece: str) -> tuple[str, ...]:
        tries.append(piece)
        if tries == ["a", "b"]:
            raise TryAgain("down")
        return (piece.upper(), piece.upper() * 2)

    with pytest.raises(TryAgain):
        await progress.send("msg_1", "abc", send)
    assert await progress.send("msg_1", "abc", send) == ("A", "AA", "B", "BB", "C", "CC")
    assert tries == ["a", "b", "b", "c"]
    await progress.send("msg_1", "a", send)
    assert tries[-1] == "a", "what was sent whole is forgotten: sending it again is what somebody wants"


async def test_what_is_remembered_is_bounded() -> None:
    progress = Progress()

    async def send(piece: str) -> tuple[str, ...]:
        if piece == "b":
            raise TryAgain("down")
        return (piece,)

    for number in range(REMEMBERED + 1):
        with pytest.raises(TryAgain):
            await progress.send(f"msg_{number}", "ab", send)
    assert len(progress._begun) == REMEMBERED


@pytest.mark.parametrize("text", ["A sentence. " * 900, "🚲" * 3_000, "é" * 9_000, "word " * 2_000 + "🚲"])
def test_no_piece_is_longer_than_the_channel_takes(text: str) -> None:
    cut = pieces(text, 1_000)
    assert all(units(piece) <= 1_000 for piece in cut)
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")


def test_nothing_to_say_is_no_piece() -> None:
    assert pieces(" \n ", 100) == []


@pytest.mark.parametrize(
    ("text", "short"), [("abc", "abc"), ("abcdef", "abcd…"), ("🚲🚲🚲", "🚲🚲…"), ("a🚲🚲🚲", "a🚲…")]
)
def test_a_label_fits(text: str, short: str) -> None:
    assert shortened(text, 5) == short
    assert units(short) <= 5


def test_html_becomes_words() -> None:
    assert plain(Text(text="<p>a &amp; b</p><ul><li>c</li></ul>", format="html")) == "a & b\nc"
    assert plain(Text(text="a < b")) == "a < b"


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
