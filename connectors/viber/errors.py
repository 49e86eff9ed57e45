"""What the status of an answer means. https://developers.viber.com/docs/api/rest-bot-api/#error-codes,
https://creators.viber.com/docs/bots-api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn

from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain

TOO_MANY = 12
SLOWER = timedelta(minutes=10)
"""A user may get 100 messages in an hour without answering; Viber does not say how long to wait."""

SETTINGS: Mapping[int, str] = {
    2: "bot_token",  # invalidAuthToken
    8: "bot_token",  # publicAccountNotFound
    10: "bot_token",  # webhookNotSet: until it is set, the account may not send
}

REFUSALS: Mapping[int, str] = {
    1: "MEDIA_NOT_REACHABLE",  # invalidUrl
    3: "CHANNEL_FAILURE",  # badData
    4: "CHANNEL_FAILURE",  # missingData
    6: "RECIPIENT_NOT_OPTED_IN",  # receiverNotSubscribed
    7: "DELIVERY_REJECTED_DUE_TO_POLICY",  # publicAccountBlocked
    9: "DELIVERY_REJECTED_DUE_TO_POLICY",  # publicAccountSuspended
    11: "RECIPIENT_NOT_REACHABLE",  # receiverNoSuitableDevice
    13: "UNSUPPORTED_OPERATION",  # apiVersionNotSupported
    14: "UNSUPPORTED_OPERATION",  # incompatibleWithVersion
    15: "NO_PERMISSION",  # publicAccountNotAuthorized
    16: "UNSUPPORTED_OPERATION",  # inchatReplyMessageNotAllowed
    17: "UNSUPPORTED_OPERATION",  # publicAccountIsNotInline
    18: "RECIPIENT_NOT_REACHABLE",  # noPublicChat
    19: "UNSUPPORTED_OPERATION",  # cannotSendBroadcast
    20: "NO_PERMISSION",  # broadcastNotAllowed
    21: "NO_PERMISSION",  # unsupportedCountry
    22: "NO_PERMISSION",  # paymentUnsupported
    23: "RATE_LIMITED",  # freeMessagesExceeded
    24: "CHANNEL_BAD_CONFIGURATION",  # noBalance
}

NOT_REGISTERED = 5


def raise_failure(status: int) -> NoReturn:
    """Raise what happens next. What Viber says beside the number is not shown: it may quote the message."""
    shown = f"Viber answered with status {status}"
    if status == TOO_MANY:
        raise TryAgain(shown, after=SLOWER)
    if status in SETTINGS:
        raise Misconfigured(SETTINGS[status], shown)
    if status == NOT_REGISTERED:
        raise RecipientGone(shown, native_code=str(status))
    if status in REFUSALS:
        raise Refused(REFUSALS[status], shown, native_code=str(status))
    raise TryAgain(shown)
