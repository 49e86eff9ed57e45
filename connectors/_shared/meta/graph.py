"""The Graph API: one call, and what its answer means. https://developers.facebook.com/docs/graph-api/overview"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from connectors._shared.meta.meaning import GENERAL, PERMISSIONS, Meaning
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http import Http, Part, Response, retry_after

T = TypeVar("T")


class GraphError(msgspec.Struct, frozen=True, kw_only=True):
    """https://developers.facebook.com/docs/graph-api/guides/error-handling"""

    code: int = -1
    error_subcode: int | None = None
    is_transient: bool = False


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    error: GraphError


class GraphApi:
    """Calls the Graph API with one access token. Neither the token nor what is written gets into an exception."""

    def __init__(
        self,
        http: Http,
        *,
        url: str,
        version: str,
        access_token: Secret,
        meaning: Meaning,
        allow_private: bool = False,
        proof_secret: Secret | None = None,
    ) -> None:
        self._http = http
        self._base = f"{url.rstrip('/')}/{version}"
        self._headers = {"Authorization": f"Bearer {access_token.reveal()}"}
        self._meaning = meaning
        self._query = {} if proof_secret is None else {"appsecret_proof": proof(access_token, proof_secret)}
        self.allow_private = allow_private

    async def post(self, path: str, body: Mapping[str, Any], answer: type[T]) -> T:
        """Raises TryAgain, Misconfigured, RecipientGone, Refused."""
        return self._read(await self._request("POST", path, json=body), answer)

    async def upload(self, path: str, parts: Sequence[Part], answer: type[T]) -> T:
        """The same, with a form that has files."""
        return self._read(await self._request("POST", path, parts=parts), answer)

    async def get(self, path: str, answer: type[T]) -> T:
        """Raises as `post` does."""
        return self._read(await self._request("GET", path), answer)

    @property
    def headers(self) -> Mapping[str, str]:
        """What proves us to the addresses of media."""
        return self._headers

    async def _request(self, method: str, path: str, **body: Any) -> Response:
        url = f"{self._base}/{path}"
        return await self._http.request(
            method, url, headers=self._headers, query=self._query, allow_private=self.allow_private, **body
        )

    def _read(self, response: Response, answer: type[T]) -> T:
        if not response.ok:
            raise_failure(response, self._meaning)
        try:
            return msgspec.json.decode(response.body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise TryAgain("Meta answered with something that is not the Graph API's") from None


def proof(access_token: Secret, app_secret: Secret) -> str:
    """https://developers.facebook.com/docs/graph-api/guides/secure-requests#appsecret_proof"""
    return hmac.new(app_secret.reveal().encode(), access_token.reveal().encode(), hashlib.sha256).hexdigest()


def raise_failure(response: Response, meaning: Meaning) -> NoReturn:
    """Raise what happens next, by the code of the error, or by the status where something else answered."""
    error = _error_of(response)
    if response.status == 429 or response.status >= 500 or error.is_transient:
        raise TryAgain(f"Meta answered {_shown(error, response)}", after=retry_after(response.headers))
    for known in (meaning, GENERAL):
        _raise_known(error, known, response)
    if error.code in PERMISSIONS or response.status == 401:
        raise Misconfigured("access_token", f"Meta refuses it ({_shown(error, response)})")
    fallback = {403: "NO_PERMISSION", 413: "MEDIA_TOO_LARGE"}.get(response.status, "CHANNEL_FAILURE")
    raise Refused(fallback, f"Meta answered {_shown(error, response)}", native_code=_native(error, response))


def _raise_known(error: GraphError, meaning: Meaning, response: Response) -> None:
    """Raise when `meaning` knows the error: its subcode first, then the code alone."""
    for code in ((error.code, error.error_subcode), (error.code, None)):
        shown, native = f"Meta answered {_shown(error, response)}", _native(error, response)
        if code in meaning.passing:
            raise TryAgain(shown, after=retry_after(response.headers))
        if code in meaning.gone:
            raise RecipientGone(shown, native_code=native)
        if code in meaning.refusals:
            raise Refused(meaning.refusals[code], shown, native_code=native)
        if code in meaning.settings:
            raise Misconfigured(meaning.settings[code], shown)


def _error_of(response: Response) -> GraphError:
    try:
        return msgspec.json.decode(response.body, type=_Envelope).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return GraphError()


def _native(error: GraphError, response: Response) -> str:
    if error.code < 0:
        return str(response.status)
    return str(error.code) if error.error_subcode is None else f"{error.code}/{error.error_subcode}"


def _shown(error: GraphError, response: Response) -> str:
    """The message of an error is not shown: it may quote what was sent."""
    return f"HTTP {response.status}" if error.code < 0 else f"error {_native(error, response)}"
