"""Vonage's error codes in the one failure vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http_answer import Response, response_error, retry_after
from omnibus.model.entities import FailureReason

MESSAGES: Mapping[str, str] = {  # https://developer.vonage.com/api-errors/messages
    "1000": "RATE_LIMITED",
    "1010": "UNSUPPORTED_OPERATION",
    "1020": "UNSUPPORTED_OPERATION",
    "1022": "TEMPLATE_NOT_FOUND",
    "1030": "CHANNEL_FAILURE",
    "1040": "RECIPIENT_NOT_REACHABLE",  # a number that begins like none
    "1050": "RECIPIENT_NOT_REACHABLE",  # barred
    "1060": "CHANNEL_BAD_CONFIGURATION",  # the account is barred
    "1070": "CHANNEL_BAD_CONFIGURATION",  # no credit
    "1080": "CHANNEL_BAD_CONFIGURATION",
    "1090": "UNSUPPORTED_OPERATION",  # too long
    "1100": "CHANNEL_FAILURE",
    "1120": "CHANNEL_BAD_CONFIGURATION",  # this sender is not allowed there
    "1140": "NO_PERMISSION",
    "1160": "NO_PERMISSION",  # trial accounts write to listed numbers only
    "1170": "RECIPIENT_NOT_REACHABLE",
    "1180": "RECIPIENT_NOT_REACHABLE",  # switched off for the moment
    "1190": "RECIPIENT_NOT_REACHABLE",  # no longer active
    "1200": "RECIPIENT_NOT_REACHABLE",
    "1210": "DELIVERY_REJECTED_DUE_TO_POLICY",  # taken for spam
    "1220": "RECIPIENT_NOT_REACHABLE",
    "1230": "CHANNEL_FAILURE",
    "1240": "RECIPIENT_NOT_OPTED_IN",  # the person wrote STOP
    "1241": "RATE_LIMITED",
    "1250": "RECIPIENT_NOT_REACHABLE",
    "1260": "RECIPIENT_NOT_REACHABLE",
    "1270": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "1280": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "1290": "RECIPIENT_NOT_REACHABLE",  # their credit is used up
    "1300": "RECIPIENT_NOT_REACHABLE",  # not a user of that channel
    "1310": "RECIPIENT_NOT_REACHABLE",  # their device cannot take the message
    "1330": "CHANNEL_FAILURE",
    "1331": "CHANNEL_FAILURE",
    "1340": "OUTSIDE_ALLOWED_SENDING_WINDOW",
    "1360": "DELIVERY_TIMED_OUT",
    "1370": "CHANNEL_BAD_CONFIGURATION",
    "1380": "MEDIA_NOT_REACHABLE",
    "1381": "MEDIA_TOO_LARGE",
    "1382": "MEDIA_TYPE_UNSUPPORTED",
}

RECEIPTS: Mapping[str, str] = {  # https://developer.vonage.com/messaging/sms/guides/delivery-receipts#dlr-error-codes
    "1": "CHANNEL_FAILURE",
    "2": "RECIPIENT_NOT_REACHABLE",  # switched off for the moment
    "3": "RECIPIENT_NOT_REACHABLE",  # no longer active
    "4": "DELIVERY_REJECTED_DUE_TO_POLICY",  # barred by the person
    "5": "RECIPIENT_NOT_REACHABLE",
    "6": "DELIVERY_REJECTED_DUE_TO_POLICY",  # taken for spam
    "7": "RECIPIENT_NOT_REACHABLE",
    "8": "CHANNEL_FAILURE",
    "9": "RECIPIENT_NOT_OPTED_IN",  # the person asked for no more
    "10": "UNSUPPORTED_OPERATION",
    "11": "RECIPIENT_NOT_REACHABLE",
    "12": "RECIPIENT_NOT_REACHABLE",
    "13": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "14": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "15": "RECIPIENT_NOT_REACHABLE",
    "16": "RATE_LIMITED",
    "50": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "51": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "52": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "53": "RECIPIENT_NOT_OPTED_IN",
    "54": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "99": "CHANNEL_FAILURE",
}

RETRYABLE = frozenset({"1000", "1030", "1100", "1180", "1220", "1230", "1241", "1331", "2", "7", "8", "16"})
GONE = frozenset({"1170", "1190", "1300"})


def reason_of_message(code: str | None) -> FailureReason:
    """Why a message of the Messages API did not arrive."""
    return _reason(MESSAGES, code, "https://developer.vonage.com/api-errors/messages")


def reason_of_receipt(code: str | None) -> FailureReason:
    """Why a text message did not arrive, from a delivery receipt of the SMS API."""
    return _reason(RECEIPTS, code, "https://developer.vonage.com/messaging/sms/guides/delivery-receipts")


def _reason(table: Mapping[str, str], code: str | None, page: str) -> FailureReason:
    native = (code or "")[:40] or None
    return FailureReason(
        code=table.get(native or "", "CHANNEL_FAILURE"),
        native_code=native,
        description=page if native in table else None,
        retryable=native in RETRYABLE,
    )


def code_in(kind: str | None) -> str | None:
    """The code of an error's address: ``https://developer.vonage.com/api-errors/messages#1120``."""
    code = (kind or "").rpartition("#")[2]
    return code if code.isascii() and code.isdigit() and len(code) < 6 else None


def raise_failure(response: Response, code: str | None) -> NoReturn:
    """Raise what happens next. Vonage's words may quote what was sent, so they are left out."""
    native = code or str(response.status)
    if response.status == 429 or code in ("1000", "1241"):
        raise TryAgain("Vonage asks us to slow down", after=retry_after(response.headers))
    if response.status == 401:
        raise Misconfigured("private_key", "Vonage does not accept the credentials (key, or key and secret)")
    if response.status == 402 or code in ("1060", "1070", "1080"):
        raise Misconfigured("api_key", "Vonage says the account is barred, or has no credit")
    if code in GONE:
        raise RecipientGone(f"Vonage error {native}", native_code=native)
    if code is None or code not in MESSAGES or response.status >= 500:
        _raise_status(response, native)
    raise Refused(MESSAGES[code], f"Vonage error {native}", native_code=native)


def _raise_status(response: Response, native: str) -> NoReturn:
    try:
        response_error(response)
    except Refused as refusal:
        raise Refused(refusal.code, f"Vonage error {native}", native_code=native) from None
