"""What an unwelcome answer of X means for the message in hand.

Statuses and problem types: https://docs.x.com/x-api/fundamentals/response-codes-and-errors
Numbered errors: https://developer.x.com/en/support/x-api/error-troubleshooting#error-codes
Rate limits: https://docs.x.com/x-api/fundamentals/rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn

import msgspec

from omnibus import clock
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http import Response, retry_after
from omnibus.http_answer import LONGEST_RETRY_AFTER

CAPPED = timedelta(hours=1)
"""A monthly cap is not lifted soon; somebody may buy more any time."""

CODES: Mapping[int, str] = {
    50: "RECIPIENT_NOT_REACHABLE",  # user not found
    63: "RECIPIENT_NOT_REACHABLE",  # user has been suspended
    108: "RECIPIENT_NOT_REACHABLE",  # cannot find specified user
    144: "RECIPIENT_NOT_REACHABLE",  # no status found with that id
    150: "RECIPIENT_NOT_OPTED_IN",  # you cannot send messages to users who are not following you
    151: "RECIPIENT_NOT_OPTED_IN",  # there was an error sending your message
    160: "UNSUPPORTED_OPERATION",
    179: "NO_PERMISSION",  # not authorized to see this status
    186: "UNSUPPORTED_OPERATION",  # post needs to be a bit shorter
    187: "DELIVERY_REJECTED_DUE_TO_POLICY",  # status is a duplicate
    226: "DELIVERY_REJECTED_DUE_TO_POLICY",  # looks automated
    323: "MEDIA_TYPE_UNSUPPORTED",  # only one GIF
    324: "MEDIA_TYPE_UNSUPPORTED",  # the validation of media ids failed
    349: "RECIPIENT_NOT_OPTED_IN",  # you cannot send messages to this user
    354: "UNSUPPORTED_OPERATION",  # the text of the message is over the limit
    385: "RECIPIENT_NOT_REACHABLE",  # replied to a post that is deleted or not visible to you
    386: "UNSUPPORTED_OPERATION",  # too many attachment types
    407: "UNSUPPORTED_OPERATION",
    433: "NO_PERMISSION",  # the author restricted who can reply
}

SETTINGS: Mapping[int, tuple[str, str]] = {
    32: ("access_token", "X cannot authenticate us; check api_key, app_secret and both parts of the token"),
    64: ("user_id", "the account is suspended"),
    89: ("access_token", "the token is invalid or has expired"),
    93: ("access_token", "the app may not access direct messages; allow it and authorise again"),
    99: ("api_key", "X does not know the app"),
    135: ("access_token", "our clock is wrong, or the token is"),
    215: ("access_token", "X cannot authenticate us"),
    261: ("api_key", "the app may not write; allow it and authorise again"),
    326: ("user_id", "the account is locked; log in at X to unlock it"),
    453: ("api_key", "the app's access level does not include this endpoint"),
}

PASSING = frozenset({88, 130, 131, 185, 500, 503})  # limits reached, over capacity, internal errors

WORDS: Mapping[str, str] = {  # what `detail` says where there is neither code nor type; most specific first
    "duplicate content": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "deleted or not visible": "RECIPIENT_NOT_REACHABLE",
    "permission to dm": "RECIPIENT_NOT_OPTED_IN",
    "cannot send messages": "RECIPIENT_NOT_OPTED_IN",
    "not verified to send message requests": "RECIPIENT_NOT_OPTED_IN",
    "restricted who can reply": "NO_PERMISSION",
    "not allowed to post a video": "MEDIA_TOO_LARGE",
    "media id": "MEDIA_NOT_REACHABLE",
}

TYPES: Mapping[str, str] = {
    "resource-not-found": "RECIPIENT_NOT_REACHABLE",
    "not-authorized-for-resource": "NO_PERMISSION",
    "invalid-request": "CHANNEL_FAILURE",
}


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the older kind."""

    code: int | None = None
    message: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an error."""

    title: str = ""
    detail: str = ""
    type: str = ""
    errors: tuple[Numbered, ...] = ()

    @property
    def code(self) -> int:
        """The number of the first error that has one; 0 without."""
        return next((one.code for one in self.errors if one.code), 0)

    @property
    def kind(self) -> str:
        """The last part of the type: ``client-forbidden``; empty for ``about:blank``, which says nothing."""
        return self.type.rpartition("/")[2] if "/" in self.type else ""

    @property
    def said(self) -> str:
        """All words, in lower case."""
        return " ".join((self.title, self.detail, *(one.message for one in self.errors))).lower()


def problem_of(response: Response) -> Problem:
    """The body of an error; something between us and X that answers otherwise is known by its status."""
    try:
        return msgspec.json.decode(response.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Problem()


def raise_failure(response: Response) -> NoReturn:
    """TryAgain for limits and faults of X, Misconfigured for tokens and access, Refused for the rest."""
    problem, status = problem_of(response), response.status
    if problem.kind == "usage-capped":
        raise TryAgain("the usage cap of the X app is reached", after=CAPPED)
    if status == 429 or status == 408 or status >= 500 or problem.code in PASSING:
        raise TryAgain(f"X answered {status}", after=_delay(response.headers))
    if problem.code in SETTINGS:
        raise Misconfigured(*SETTINGS[problem.code])
    if problem.kind == "client-forbidden":
        raise Misconfigured("api_key", "the app's access level does not include this endpoint")
    if status == 401 or problem.kind == "unsupported-authentication":
        raise Misconfigured("access_token", "X does not accept the token; authorise the account again")
    _refuse(problem, status)


def _refuse(problem: Problem, status: int) -> NoReturn:
    native_code = str(problem.code or problem.kind or status)
    if problem.code in CODES:
        raise Refused(CODES[problem.code], f"X says no (error {problem.code})", native_code=native_code)
    said = problem.said
    for sign, ours in WORDS.items():
        if sign in said:
            raise Refused(ours, sign, native_code=native_code)
    fallback = {403: "NO_PERMISSION", 404: "RECIPIENT_NOT_REACHABLE", 413: "MEDIA_TOO_LARGE"}.get(
        status, "CHANNEL_FAILURE"
    )
    raise Refused(TYPES.get(problem.kind, fallback), f"X answered {status}", native_code=native_code)


def _delay(headers: Mapping[str, str]) -> timedelta | None:
    """Until the window of the limit ends; what Retry-After says when it is longer."""
    asked = retry_after(headers)
    reset = next((value for name, value in headers.items() if name.lower() == "x-rate-limit-reset"), "")
    if not (reset.isascii() and reset.isdigit() and len(reset) < 12):
        return asked
    left = timedelta(seconds=int(reset) - clock.now_ms() // 1000)
    longest = max(left, asked or timedelta(0), timedelta(0))
    return min(longest, LONGEST_RETRY_AFTER)
