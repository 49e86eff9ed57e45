"""An HTTP answer, and what it means for the record in hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import msgspec
import orjson

from omnibus import clock
from omnibus.errors import InvalidPayload, Refused, TryAgain

LONGEST_RETRY_AFTER = timedelta(days=1)
_PASSING = frozenset({408, 425, 429})
_FINAL = {
    401: "CHANNEL_BAD_CONFIGURATION",
    403: "NO_PERMISSION",
    405: "UNSUPPORTED_OPERATION",
    413: "MEDIA_TOO_LARGE",
    415: "MEDIA_TYPE_UNSUPPORTED",
}


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, read to its end. `url` is the one that answered, after redirects."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    url: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case of letters."""
        return header(self.headers, name)

    def json(self) -> Any:
        """The body as JSON; what it holds is foreign, read it into a type at once. Raises InvalidPayload."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise InvalidPayload("response.body", f"expected JSON: {error.msg}") from None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The first header of that name, in any case of letters."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """The delay a ``Retry-After`` header asks for (seconds or an HTTP date, RFC 9110 section 10.2.3), at most a day."""
    value = (header(headers, "retry-after") or "").strip()
    if not value or len(value) > 64:
        return None
    delay = _seconds(value) if value[0] in "0123456789.-+" else _until(value, now or clock.now())
    return None if delay is None else min(max(delay, timedelta(0)), LONGEST_RETRY_AFTER)


def response_error(response: Response) -> NoReturn:
    """Raise what an unwelcome status means: TryAgain for 408, 425, 429 and 5xx, Refused for the rest.

    The message holds the status only: bodies may repeat the text of a message.
    """
    status = response.status
    if status in _PASSING or status >= 500:
        raise TryAgain(f"HTTP {status}", after=retry_after(response.headers))
    raise Refused(_FINAL.get(status, "CHANNEL_FAILURE"), f"HTTP {status}", native_code=str(status))


def expect_ok(response: Response) -> Response:
    """The response when its status is 2xx; otherwise raises as `response_error` does."""
    return response if response.ok else response_error(response)


def _seconds(value: str) -> timedelta | None:
    try:
        return timedelta(seconds=float(value))
    except ValueError:
        return None
    except OverflowError:
        return LONGEST_RETRY_AFTER


def _until(value: str, now: datetime) -> timedelta | None:
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
