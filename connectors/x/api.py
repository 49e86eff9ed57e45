"""The X API: one call, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec

from connectors.x.errors import raise_failure
from connectors.x.oauth import authorization
from connectors.x.settings import API_URL, XSettings
from omnibus.errors import TryAgain
from omnibus.http import DEFAULT_TIMEOUT, Http, Part

MAX_ANSWER_BYTES = 1_000_000
UPLOAD_TIMEOUT = timedelta(minutes=2)

T = TypeVar("T")


class XApi:
    """Calls for one account."""

    def __init__(self, http: Http, settings: XSettings) -> None:
        self._http = http
        self._settings = settings
        self._base = settings.api_url.rstrip("/")
        self.allow_private = settings.api_url != API_URL

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        json: object = None,
        parts: Sequence[Part] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """The field `data` of the answer. Raises as `raise_failure` does, and TryAgain when no answer came."""
        url = self.url(path)
        response = await self._http.request(
            method,
            url,
            headers={"Authorization": authorization(self._settings, method, url, query or {})},
            json=json,
            parts=parts,
            query=query,
            timeout=DEFAULT_TIMEOUT if parts is None else UPLOAD_TIMEOUT,
            max_response_bytes=MAX_ANSWER_BYTES,
            allow_private=self.allow_private,
        )
        if not response.ok:
            raise_failure(response)
        return _data_of(response.body, answer)

    def url(self, path: str) -> str:
        """The address of an endpoint."""
        return f"{self._base}{path}"

    def headers(self, method: str, url: str) -> dict[str, str]:
        """For a request that is no call (a file)."""
        return {"Authorization": authorization(self._settings, method, url, {})}


class _Answer(msgspec.Struct, frozen=True):
    data: msgspec.Raw = msgspec.Raw(b"null")


def _data_of(body: bytes, kind: type[T]) -> T:
    """Raises TryAgain for an answer that is not of the X API, whatever its status says."""
    try:
        data = msgspec.json.decode(body, type=_Answer).data if body else msgspec.Raw(b"null")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise TryAgain("X answered with something that is not of its API") from None
