"""The blob store: bodies and attachments by content address, on a local folder or an object store.

An object is named by what it holds (``blob:sha256:<hex>``), so writing it twice is harmless and nothing is ever
overwritten with something else. Backends: ``file:./folder`` (the default, no dependency) and ``s3://bucket/prefix``,
``gs://bucket/prefix``, ``az://container/prefix`` through obstore (the extra ``omnibus[blob]``).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from omnibus import clock
from omnibus.chunks import Chunks
from omnibus.errors import Misconfigured, OmnibusError, Refused, TryAgain

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PREFIX = "blob:sha256:"
CHUNK_BYTES = 256 * 1024
ABANDONED_AFTER = timedelta(days=1)
"""Age at which a temporary file cannot belong to a running upload any more."""
_OBJECT_STORES = ("s3", "gs", "az")


class BlobMissing(OmnibusError):
    """There is no blob at this address, or what is there is not what the address says: the record cannot be used."""

    def __init__(self, uri: str, why: str = "no such blob") -> None:
        super().__init__(f"{uri}: {why}")
        self.uri = uri


class BlobStore(Protocol):
    """Where bodies too large for a topic, and attachments, are kept. Safe to call concurrently.

    Every method raises ValueError for an address that is not ``blob:sha256:<64 hex digits>`` (a bug in the caller)
    and TryAgain when the backend cannot be reached.
    """

    async def put(self, uri: str, data: bytes | Chunks) -> None:
        """Store `data` durably. Raises ValueError unless `uri` is its content address."""
        ...

    async def get(self, uri: str) -> bytes:
        """The whole blob. Raises BlobMissing."""
        ...

    def open(self, uri: str) -> AsyncIterator[bytes]:
        """The blob in chunks. Raises BlobMissing at the first chunk, or after the last when the content is damaged."""
        ...

    async def put_stream(self, chunks: AsyncIterator[bytes], max_bytes: int) -> tuple[str, int]:
        """Store a stream; returns its address and size. Raises Refused (``MEDIA_TOO_LARGE``): nothing is kept then."""
        ...

    async def exists(self, uri: str) -> bool: ...

    async def url(self, uri: str, expires: timedelta) -> str | None:
        """An address a browser can fetch until it expires, or None where the backend has none."""
        ...


def blob_uri(data: bytes | Chunks) -> str:
    """The content address of `data`."""
    digest = hashlib.sha256()
    for chunk in _chunks_of(data):
        digest.update(chunk)
    return PREFIX + digest.hexdigest()


def _chunks_of(data: bytes | Chunks) -> Iterable[bytes]:
    return (data,) if isinstance(data, bytes) else data


def open_blobs(url: str) -> BlobStore:
    """The store a configured address names. Raises Misconfigured."""
    scheme, separator, rest = url.partition(":")
    if scheme == "file" and separator:
        return FolderBlobs(_folder(rest))
    if scheme in _OBJECT_STORES and rest.startswith("//"):
        return ObjectBlobs(_object_store(url))
    raise Misconfigured("blobs", f"expected file:./folder, s3://, gs:// or az:// and a bucket, got {scheme!r}")


def _folder(rest: str) -> Path:
    path = rest.removeprefix("//") if rest.startswith("//") else rest
    if not path:
        raise Misconfigured("blobs", "expected a folder after file:, as in file:./omnibus-data/blobs")
    return Path(path)


def _object_store(url: str) -> ObjectStore:
    try:
        stores = importlib.import_module("obstore.store")
    except ModuleNotFoundError:
        raise Misconfigured("blobs", "object stores need the extra: pip install 'omnibus[blob]'") from None
    try:
        store: ObjectStore = stores.from_url(url)
    except Exception as refusal:  # obstore raises bare classes here; each of them means the address is unusable
        raise Misconfigured("blobs", f"cannot open the object store: {refusal}") from refusal
    return store


def _digest_of(uri: str) -> str:
    digest = uri.removeprefix(PREFIX)
    if digest == uri or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ValueError(f"not a blob address: {uri[:100]!r}")
    return digest


def _digest_of_data(uri: str, data: bytes | Chunks) -> str:
    digest = _digest_of(uri)
    if blob_uri(data) != uri:
        raise _not_its_address()
    return digest


def _not_its_address() -> ValueError:
    return ValueError("the data is not what its address says")


def _verified(uri: str, data: bytes) -> bytes:
    if blob_uri(data) != uri:
        raise BlobMissing(uri, "the stored content is damaged")
    return data


def _too_large(max_bytes: int) -> Refused:
    return Refused("MEDIA_TOO_LARGE", f"larger than {max_bytes} bytes")


class FolderBlobs:
    """Blobs as files below one folder: ``ab/cd/<digest>``, written to a temporary file, synced, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept = False

    async def put(self, uri: str, data: bytes | Chunks) -> None:
        await asyncio.to_thread(self._write, _digest_of(uri), data)

    async def get(self, uri: str) -> bytes:
        path = self._path(_digest_of(uri))
        try:
            return _verified(uri, await asyncio.to_thread(path.read_bytes))
        except FileNotFoundError:
            raise BlobMissing(uri) from None
        except OSError as failure:
            raise TryAgain(f"the blob folder cannot be read: {failure.strerror}") from failure

    async def open(self, uri: str) -> AsyncIterator[bytes]:
        digest = _digest_of(uri)
        try:
            file = await asyncio.to_thread(self._path(digest).open, "rb")
        except FileNotFoundError:
            raise BlobMissing(uri) from None
        except OSError as failure:
            raise TryAgain(f"the blob folder cannot be read: {failure.strerror}") from failure
        try:
            seen = hashlib.sha256()
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                seen.update(chunk)
                yield chunk
        finally:
            file.close()
        if seen.hexdigest() != digest:
            raise BlobMissing(uri, "the stored content is damaged")

    async def put_stream(self, chunks: AsyncIterator[bytes], max_bytes: int) -> tuple[str, int]:
        digest, size, temporary = hashlib.sha256(), 0, None
        try:
            temporary = await asyncio.to_thread(self._new_temporary)
            with await asyncio.to_thread(temporary.open, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise _too_large(max_bytes)
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
                await asyncio.to_thread(_sync, file)
            await asyncio.to_thread(self._move_in, temporary, digest.hexdigest())
        except OSError as failure:
            raise TryAgain(f"the blob folder cannot be written: {failure.strerror}") from failure
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return PREFIX + digest.hexdigest(), size

    async def exists(self, uri: str) -> bool:
        return await asyncio.to_thread(self._path(_digest_of(uri)).exists)

    async def url(self, uri: str, expires: timedelta) -> str | None:
        return None

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest[2:4] / digest

    def _new_temporary(self) -> Path:
        folder = self._root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            _sweep(folder, clock.now_ms() / 1000 - ABANDONED_AFTER.total_seconds())
        return folder / secrets.token_hex(16)

    def _write(self, digest: str, data: bytes | Chunks) -> None:
        path = self._path(digest)
        size = len(data) if isinstance(data, bytes) else data.size
        try:
            if path.exists() and path.stat().st_size == size:
                _sync_folder(path.parent)  # whoever renamed it here may not have come to that yet
                return
            temporary = self._new_temporary()
            try:
                with temporary.open("wb") as file:
                    if _written(file, data) != digest:
                        raise _not_its_address()
                    _sync(file)
                self._move_in(temporary, digest)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as failure:
            raise TryAgain(f"the blob folder cannot be written: {failure.strerror}") from failure

    def _move_in(self, temporary: Path, digest: str) -> None:
        path = self._path(digest)
        new_folders = [folder for folder in (path.parent.parent, path.parent) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        # A rename is only durable once the folder is: the log may already point at this blob when the power goes.
        for folder in (path.parent, *(new.parent for new in new_folders)):
            _sync_folder(folder)


def _sweep(folder: Path, before: float) -> None:
    """Remove what a process that was killed left half written."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.stat().st_mtime < before:
                path.unlink()


def _written(file: BinaryIO, data: bytes | Chunks) -> str:
    """Write `data`, read once; returns its digest."""
    digest = hashlib.sha256()
    for chunk in _chunks_of(data):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ObjectBlobs:
    """Blobs as objects ``ab/cd/<digest>`` of an obstore store (S3, Google Cloud Storage, Azure, memory)."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._obstore = importlib.import_module("obstore")

    async def put(self, uri: str, data: bytes | Chunks) -> None:
        digest = _digest_of_data(uri, data)
        with _Reaching(uri):
            await self._obstore.put_async(
                self._store, _object_path(digest), data if isinstance(data, bytes) else iter(data)
            )

    async def get(self, uri: str) -> bytes:
        path = _object_path(_digest_of(uri))
        with _Reaching(uri):
            found = await self._obstore.get_async(self._store, path)
            data = bytes(await found.bytes_async())
        return _verified(uri, data)

    async def open(self, uri: str) -> AsyncIterator[bytes]:
        digest = _digest_of(uri)
        with _Reaching(uri):
            found = await self._obstore.get_async(self._store, _object_path(digest))
            stream = found.stream(min_chunk_size=CHUNK_BYTES)
        seen = hashlib.sha256()
        while True:
            with _Reaching(uri):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            if chunk:
                seen.update(chunk)
                yield bytes(chunk)
        if seen.hexdigest() != digest:
            raise BlobMissing(uri, "the stored content is damaged")

    async def put_stream(self, chunks: AsyncIterator[bytes], max_bytes: int) -> tuple[str, int]:
        temporary = f"tmp/{secrets.token_hex(16)}"
        digest, size = hashlib.sha256(), 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                digest.update(chunk)
                yield chunk

        with _Reaching(temporary):
            await self._obstore.put_async(self._store, temporary, counted())
            await self._obstore.rename_async(self._store, temporary, _object_path(digest.hexdigest()))
        return PREFIX + digest.hexdigest(), size

    async def exists(self, uri: str) -> bool:
        path = _object_path(_digest_of(uri))
        try:
            with _Reaching(uri):
                await self._obstore.head_async(self._store, path)
        except BlobMissing:
            return False
        return True

    async def url(self, uri: str, expires: timedelta) -> str | None:
        path = _object_path(_digest_of(uri))
        try:
            signed: str = await self._obstore.sign_async(self._store, "GET", path, expires)
        except ValueError:  # this kind of store signs nothing (memory, local folder)
            return None
        return signed


def _object_path(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


class _Reaching:
    """Turns obstore's errors into ours: not found, not allowed, and everything else a passing fault."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, FileNotFoundError):
            raise BlobMissing(self._uri) from None
        exceptions = importlib.import_module("obstore.exceptions")
        if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
            raise Misconfigured("blobs", "the object store refused our credentials") from error
        if isinstance(error, (exceptions.BaseError, OSError)):
            raise TryAgain(f"the object store cannot be reached ({type(error).__name__})") from error
