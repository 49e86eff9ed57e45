"""Where the bytes of an attachment come from: the channel's own part, or a public address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from normalizer.media_kind import HEAD_BYTES
from omnibus.channel.declaration import Account
from omnibus.channel.registry import load_part
from omnibus.channel.send import MediaContent, MediaPart, SenderTools
from omnibus.errors import Misconfigured, OmnibusError, Refused, TryAgain
from omnibus.model.content import AttachmentRef
from omnibus.runtime import Runtime


class Unreachable(TryAgain):
    """The source fails for the moment: the provider is away, or the account's token is wrong."""


class MediaSources:
    """Opens references. One media part for each account, made when first needed."""

    def __init__(self, runtime: Runtime, max_bytes: int) -> None:
        self._runtime = runtime
        self._max_bytes = max_bytes
        self._parts: dict[str, MediaPart] = {}

    @asynccontextmanager
    async def open(self, ref: AttachmentRef, account: Account) -> AsyncIterator[MediaContent]:
        """Raises as the sources do: TryAgain, Misconfigured, Refused, AddressRefused; also while chunks are read."""
        if ref.scheme == "url":
            # Somebody else wrote this address: never into our own network, not even by a redirect.
            async with self._runtime.http.stream(ref.uri, max_bytes=self._max_bytes, allow_private=False) as download:
                yield MediaContent(chunks=download.chunks, mime=download.header("content-type"))
            return
        content = await self._part(account).fetch(ref)
        if not isinstance(content.chunks, AsyncGenerator):
            yield content
            return
        async with aclosing(content.chunks):
            yield content

    def _part(self, account: Account) -> MediaPart:
        if account.name not in self._parts:
            if account.channel.media is None:
                raise Refused("MEDIA_NOT_REACHABLE", f"channel {account.channel.name} cannot fetch media")
            tools = SenderTools(
                account=account, http=self._runtime.http, blobs=self._runtime.blobs, topics=self._runtime.topics
            )
            self._parts[account.name] = load_part(account.channel, account.channel.media)(tools)
        return self._parts[account.name]


class Watched:
    """Chunks on their way to the store. Keeps how they begin, and what the source raised: a store may wrap that."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.head = b""
        self.failure: OmnibusError | None = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            with as_source_faults():
                async for chunk in self._chunks:
                    if len(self.head) < HEAD_BYTES:
                        self.head += chunk[: HEAD_BYTES - len(self.head)]
                    yield chunk
        except OmnibusError as failure:
            self.failure = failure
            raise


@contextmanager
def as_source_faults() -> Iterator[None]:
    """Passing faults of a source become Unreachable, so that they differ from those of our own blob store.

    A wrong token is one of them: it must hold up this account's media, not the worker.
    """
    try:
        yield
    except TryAgain as fault:
        raise Unreachable(str(fault), after=fault.after) from None
    except Misconfigured as mistake:
        raise Unreachable(str(mistake)) from None


def pace_of(ref: AttachmentRef, account: Account) -> str:
    """Whose rate a download counts for: the host's of a public address, else the account's."""
    if ref.scheme != "url":
        return f"account {account.name}"
    try:
        return urlsplit(ref.uri).hostname or ""
    except ValueError:
        return ""
