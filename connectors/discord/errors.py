"""What the errors of the API mean.

https://docs.discord.com/developers/topics/opcodes-and-status-codes#json, https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn

import msgspec

from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http import Response, response_error, retry_after
from omnibus.http_answer import LONGEST_RETRY_AFTER

PASSING = frozenset(
    {
        20016,  # slowmode rate limit
        20028,  # the channel has hit the write rate limit
        20029,  # the server has hit the write rate limit
        40003,  # opening direct messages too fast
        40004,  # send messages has been temporarily disabled
        40006,  # this feature has been temporarily disabled
        40062,  # service resource is being rate limited
        110001,  # application not yet available
        130000,  # API resource is currently overloaded
    }
)

SETTINGS: Mapping[int, str] = {
    40001: "bot_token",  # unauthorized
    40002: "bot_token",  # the account has to be verified
    50014: "bot_token",  # invalid authentication token
}

GONE = frozenset({10013})  # unknown user

REFUSALS: Mapping[int, str] = {
    10003: "RECIPIENT_NOT_REACHABLE",  # unknown channel
    10008: "MEDIA_NOT_REACHABLE",  # unknown message
    20009: "DELIVERY_REJECTED_DUE_TO_POLICY",  # explicit content
    30015: "UNSUPPORTED_OPERATION",  # more than ten attachments
    40005: "MEDIA_TOO_LARGE",  # request entity too large
    40007: "NO_PERMISSION",  # the user is banned
    40058: "UNSUPPORTED_OPERATION",  # cannot send a message in a forum channel
    50001: "NO_PERMISSION",  # missing access
    50006: "UNSUPPORTED_OPERATION",  # empty message
    50007: "RECIPIENT_NOT_REACHABLE",  # cannot send messages to this user
    50008: "UNSUPPORTED_OPERATION",  # non-text channel
    50009: "NO_PERMISSION",  # the server's verification level is too high
    50013: "NO_PERMISSION",  # permissions missing
    50024: "UNSUPPORTED_OPERATION",  # cannot be done in a channel of this kind
    50033: "RECIPIENT_NOT_REACHABLE",  # invalid recipient
    50035: "UNSUPPORTED_OPERATION",  # invalid form body
    50045: "MEDIA_TOO_LARGE",  # file exceeds the maximum size
    50046: "MEDIA_TYPE_UNSUPPORTED",  # invalid file
    50083: "NO_PERMISSION",  # the thread is archived
    50110: "MEDIA_TYPE_UNSUPPORTED",  # the file is invalid
    50123: "MEDIA_TYPE_UNSUPPORTED",  # the type of the file is invalid
    50146: "MEDIA_NOT_REACHABLE",  # uploaded file not found
    50278: "RECIPIENT_NOT_REACHABLE",  # no mutual servers, https://github.com/discord/discord-api-docs/issues/8238
    160002: "NO_PERMISSION",  # cannot reply without reading the history
    160005: "NO_PERMISSION",  # the thread is locked
    200000: "DELIVERY_REJECTED_DUE_TO_POLICY",  # blocked by automatic moderation
    200001: "DELIVERY_REJECTED_DUE_TO_POLICY",  # title blocked by automatic moderation
    240000: "DELIVERY_REJECTED_DUE_TO_POLICY",  # blocked by harmful links filter
    400001: "NO_PERMISSION",  # file uploads are limited for this server
}

FALLBACKS: Mapping[int, str] = {403: "NO_PERMISSION", 413: "MEDIA_TOO_LARGE"}


class Problem(msgspec.Struct, frozen=True):
    """https://docs.discord.com/developers/reference#error-messages"""

    code: int = 0
    retry_after: float | None = None


def raise_failure(response: Response) -> NoReturn:
    """Raise what happens next after an answer that is not 2xx. Nothing of it is shown: it may quote the message."""
    problem = _problem(response)
    shown = f"Discord answered HTTP {response.status}, code {problem.code}"
    if response.status == 429 or problem.code in PASSING:
        raise TryAgain(shown, after=_delay(problem, response))
    if response.status == 401 or problem.code in SETTINGS:
        raise Misconfigured(SETTINGS.get(problem.code, "bot_token"), shown)
    native_code = str(problem.code or response.status)
    if problem.code in GONE:
        raise RecipientGone(shown, native_code=native_code)
    if problem.code in REFUSALS:
        raise Refused(REFUSALS[problem.code], shown, native_code=native_code)
    if problem.code and 400 <= response.status < 500:
        raise Refused(FALLBACKS.get(response.status, "CHANNEL_FAILURE"), shown, native_code=native_code)
    response_error(response)


def _problem(response: Response) -> Problem:
    try:
        return msgspec.json.decode(response.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Problem()


def _delay(problem: Problem, response: Response) -> timedelta | None:
    """The body is more exact than the header, which has whole seconds."""
    if problem.retry_after is None:
        return retry_after(response.headers)
    return min(timedelta(seconds=min(max(problem.retry_after, 0.0), 1e6)), LONGEST_RETRY_AFTER)
