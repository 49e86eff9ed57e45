"""The blob store keeps content by its address, on a folder and on an object store alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from omnibus.blobs import BlobMissing, BlobStore, FolderBlobs, ObjectBlobs, blob_uri, open_blobs
from omnibus.errors import Misconfigured, Refused, TryAgain

LETTER = b"Dear support, the kettle sings off key."
BACKENDS: dict[str, Callable[[Path], BlobStore]] = {
    "folder": lambda path: open_blobs(f"file:{path}"),
    "obstore-local": lambda path: ObjectBlobs(LocalStore(path, mkdir=True)),
    "obstore-memory": lambda path: ObjectBlobs(MemoryStore()),
}


@pytest.fixture(params=BACKENDS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BACKENDS[request.param](tmp_path / "blobs")


async def chunks_of(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def files_below(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


async def test_what_was_put_is_what_comes_back(blobs: BlobStore) -> None:
    await blobs.put(blob_uri(LETTER), LETTER)

    assert await blobs.get(blob_uri(LETTER)) == LETTER
    assert b"".join([chunk async for chunk in blobs.open(blob_uri(LETTER))]) == LETTER
    assert await blobs.exists(blob_uri(LETTER))


async def test_putting_twice_is_harmless(blobs: BlobStore) -> None:
    await asyncio.gather(*(blobs.put(blob_uri(LETTER), LETTER) for _ in range(8)))

    assert await blobs.get(blob_uri(LETTER)) == LETTER


class MadeAnew:
    """Content that is there only while it is read."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return (self._data[at : at + 7] for at in range(0, self.size, 7))


async def test_what_is_made_chunk_by_chunk_is_kept_as_the_whole_would_be(blobs: BlobStore) -> None:
    assert blob_uri(MadeAnew(LETTER)) == blob_uri(LETTER)
    for _ in range(2):
        await blobs.put(blob_uri(LETTER), MadeAnew(LETTER))

    assert await blobs.get(blob_uri(LETTER)) == LETTER
    with pytest.raises(ValueError, match="not what its address says"):
        await blobs.put(blob_uri(b"something else"), MadeAnew(LETTER))


async def test_an_empty_blob_is_a_blob(blobs: BlobStore) -> None:
    await blobs.put(blob_uri(b""), b"")

    assert await blobs.get(blob_uri(b"")) == b""
    assert [chunk async for chunk in blobs.open(blob_uri(b""))] == []


async def test_a_stream_is_stored_under_the_address_of_its_content(blobs: BlobStore) -> None:
    uri, size = await blobs.put_stream(chunks_of(LETTER), max_bytes=len(LETTER))

    assert (uri, size) == (blob_uri(LETTER), len(LETTER))
    assert await blobs.get(uri) == LETTER


async def test_a_large_blob_is_read_in_several_chunks(blobs: BlobStore) -> None:
    data = bytes(range(256)) * 4096
    uri, _ = await blobs.put_stream(chunks_of(data, 100_000), max_bytes=2_000_000)

    assert b"".join([chunk async for chunk in blobs.open(uri)]) == data


async def test_a_stream_over_its_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    with pytest.raises(Refused) as refusal:
        await blobs.put_stream(chunks_of(LETTER), max_bytes=len(LETTER) - 1)

    assert refusal.value.code == "MEDIA_TOO_LARGE"
    assert files_below(tmp_path) == []


async def test_an_object_store_refuses_a_stream_over_its_limit_too(tmp_path: Path) -> None:
    blobs = ObjectBlobs(LocalStore(tmp_path))
    with pytest.raises(Refused) as refusal:
        await blobs.put_stream(chunks_of(LETTER), max_bytes=len(LETTER) - 1)

    assert refusal.value.code == "MEDIA_TOO_LARGE"
    assert [file for file in files_below(tmp_path) if file.stat().st_size] == []


async def test_a_source_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half of"
        raise TryAgain("the provider hung up")

    with pytest.raises(TryAgain, match="hung up"):
        await FolderBlobs(tmp_path).put_stream(broken(), max_bytes=100)

    assert files_below(tmp_path) == []


async def test_a_missing_blob_says_so(blobs: BlobStore) -> None:
    uri = blob_uri(b"never stored")

    assert not await blobs.exists(uri)
    with pytest.raises(BlobMissing, match=uri):
        await blobs.get(uri)
    with pytest.raises(BlobMissing):
        _ = [chunk async for chunk in blobs.open(uri)]


async def test_content_that_does_not_match_its_address_is_not_stored(blobs: BlobStore) -> None:
    with pytest.raises(ValueError, match="not what its address says"):
        await blobs.put(blob_uri(LETTER), b"something else")

    assert not await blobs.exists(blob_uri(LETTER))


@pytest.mark.parametrize(
    "uri", ["", "blob:sha256:", "blob:sha256:../../etc/passwd", "blob:sha256:" + "A" * 64, "blob:md5:" + "a" * 64]
)
async def test_an_address_that_is_not_one_never_reaches_the_disk(blobs: BlobStore, uri: str) -> None:
    with pytest.raises(ValueError, match="not a blob address"):
        await blobs.get(uri)
    with pytest.raises(ValueError, match="not a blob address"):
        await blobs.put(uri, b"")


async def test_damaged_content_is_never_handed_out(tmp_path: Path) -> None:
    blobs, uri = FolderBlobs(tmp_path), blob_uri(LETTER)
    await blobs.put(uri, LETTER)
    (stored,) = files_below(tmp_path)
    stored.write_bytes(LETTER.replace(b"kettle", b"violin"))

    with pytest.raises(BlobMissing, match="damaged"):
        await blobs.get(uri)
    with pytest.raises(BlobMissing, match="damaged"):
        _ = [chunk async for chunk in blobs.open(uri)]


async def test_a_folder_that_cannot_be_written_is_a_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("a file where the folder should be")

    with pytest.raises(TryAgain):
        await FolderBlobs(tmp_path).put(blob_uri(LETTER), LETTER)


async def test_what_a_killed_process_left_half_written_is_removed_after_a_day(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    left, fresh = tmp_path / "tmp" / "left", tmp_path / "tmp" / "fresh"
    left.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(left, (0, 0))
    await FolderBlobs(tmp_path).put(blob_uri(LETTER), LETTER)

    assert not left.exists()
    assert fresh.exists()


async def test_an_object_store_signs_addresses_and_a_folder_has_none(tmp_path: Path) -> None:
    store = S3Store("letters", region="us-east-1", access_key_id="AKIDEXAMPLE", secret_access_key="invented")
    signed = await ObjectBlobs(store).url(blob_uri(LETTER), timedelta(minutes=5))

    assert signed is not None
    assert "X-Amz-Expires=300" in signed
    assert await FolderBlobs(tmp_path).url(blob_uri(LETTER), timedelta(minutes=5)) is None
    assert await ObjectBlobs(MemoryStore()).url(blob_uri(LETTER), timedelta(minutes=5)) is None


@pytest.mark.parametrize("url", ["", "file:", "ftp://files.example.com", "omnibus-data", "s3:bucket"])
def test_an_address_of_no_known_store_names_the_known_ones(url: str) -> None:
    with pytest.raises(Misconfigured, match="blobs: expected"):
        open_blobs(url)


def test_the_object_stores_open_by_address() -> None:
    assert isinstance(open_blobs("s3://letters/inbox"), ObjectBlobs)
