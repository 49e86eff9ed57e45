"""What the statuses and messages of the Messaging API mean.

https://developers.line.biz/en/reference/messaging-api/#status-codes,
https://developers.line.biz/en/reference/messaging-api/#error-responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import msgspec

from omnibus.errors import Misconfigured, Refused
from omnibus.http import Response, response_error


class Problem(msgspec.Struct, frozen=True):
    message: str = ""


class TokenUsed(Refused):
    """The reply token has been used, or its minute is over: push instead."""

    def __init__(self) -> None:
        super().__init__("OUTSIDE_ALLOWED_SENDING_WINDOW", "the reply token counts no more", native_code="400")


REFUSALS: Mapping[str, str] = {
    "failed to send messages": "RECIPIENT_NOT_REACHABLE",  # there is no such user, or they are no friend
    "the property, 'to'": "RECIPIENT_NOT_REACHABLE",
    "not found": "RECIPIENT_NOT_REACHABLE",
    "access to this api is not available": "NO_PERMISSION",
    "you have reached your monthly limit": "RATE_LIMITED",  # until the month is over, or the plan is another
    "may not send messages": "NO_PERMISSION",
}


def raise_failure(response: Response) -> NoReturn:
    """Raise what happens next after an answer that is not 2xx. Nothing of it is shown: it may quote the message."""
    said = _said(response)
    if response.status == 401:
        raise Misconfigured("access_token", "LINE refuses it (HTTP 401); issue a new one")
    if "invalid reply token" in said:
        raise TokenUsed
    for sign, ours in REFUSALS.items():
        if sign in said:
            raise Refused(ours, f"LINE says: {sign}", native_code=str(response.status))
    response_error(response)


def _said(response: Response) -> str:
    try:
        return msgspec.json.decode(response.body, type=Problem).message.lower()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
