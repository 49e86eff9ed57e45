"""Files people sent: their bytes as they come in, and what a refusal means for a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from omnibus.errors import Misconfigured, Refused
from omnibus.http import Http


async def downloaded(
    http: Http,
    url: str,
    *,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    allow_private: bool | None = None,
    follow: int = 0,
    credential: Misconfigured | None = None,
) -> AsyncIterator[bytes]:
    """The bytes at `url`. Redirects lead nowhere unless `follow` says how many: they could take our token along.

    Raises TryAgain, and as `about_a_file` does.
    """
    with about_a_file(credential):
        async with http.stream(
            url, max_bytes=max_bytes, headers=headers, allow_private=allow_private, follow=follow
        ) as download:
            async for chunk in download.chunks:
                yield chunk


@contextmanager
def about_a_file(credential: Misconfigured | None = None) -> Iterator[None]:
    """A refusal inside means that the file cannot be had: raises Refused (MEDIA_NOT_REACHABLE, MEDIA_TOO_LARGE).

    Wrong credentials (HTTP 401) are not the file's fault: then `credential` is raised, where it is given.
    """
    try:
        yield
    except Refused as refusal:
        if refusal.native_code == "401" and credential is not None:
            raise credential from None
        code = "MEDIA_TOO_LARGE" if refusal.code == "MEDIA_TOO_LARGE" else "MEDIA_NOT_REACHABLE"
        raise Refused(code, refusal.reason, native_code=refusal.native_code) from None
