"""What error codes of the Graph API mean, in answers and in reports alike."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Code = tuple[int, int | None]
"""A code of the Graph API and its subcode; None stands for all others."""


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel's error codes mean; the general ones of the Graph API are known here.

    passing: try again. settings: wrong in our configuration, by setting. gone: nobody is there. refusals: final, by our
    vocabulary.
    """

    passing: frozenset[Code] = frozenset()
    settings: Mapping[Code, str] = {}
    gone: frozenset[Code] = frozenset()
    refusals: Mapping[Code, str] = {}


GENERAL = Meaning(  # https://developers.facebook.com/docs/graph-api/guides/error-handling#errorcodes
    passing=frozenset(
        {
            (1, None),  # API unknown: possibly a temporary issue
            (2, None),  # API service: a temporary issue
            (4, None),  # API too many calls
            (17, None),  # API user too many calls
            (32, None),  # page request limit
            (341, None),  # application limit reached
            (613, None),  # calls to this API have exceeded the rate limit
        }
    ),
    settings={
        (0, None): "access_token",  # we could not authenticate the app user
        (102, None): "access_token",  # API session
        (190, None): "access_token",  # the token has expired or been revoked
        (3, None): "access_token",  # API method: capability or permissions issue
        (10, None): "access_token",  # permission is not granted or has been removed
    },
    refusals={(368, None): "DELIVERY_REJECTED_DUE_TO_POLICY"},  # temporarily blocked for policies violations
)
PERMISSIONS = range(200, 300)
"""Permission codes: not granted, or removed."""


RATE_LIMITS = frozenset({4, 17, 32, 341, 613, 80_007, 130_429, 131_056})


def code_of(code: int, meaning: Meaning) -> str:
    """The failure vocabulary's word for a code that arrives in a report instead of an answer."""
    for known in (meaning, GENERAL):
        if (code, None) in known.gone:
            return "RECIPIENT_NOT_REACHABLE"
        if (code, None) in known.refusals:
            return known.refusals[code, None]
        if (code, None) in known.settings:
            return "CHANNEL_BAD_CONFIGURATION"
        if (code, None) in known.passing:
            return "RATE_LIMITED" if code in RATE_LIMITS else "CHANNEL_FAILURE"
    return "CHANNEL_FAILURE"
