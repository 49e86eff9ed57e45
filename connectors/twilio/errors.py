"""Twilio's error codes in the one failure vocabulary. https://www.twilio.com/docs/api/errors"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http_answer import Response, response_error, retry_after
from omnibus.model.entities import FailureReason

FAILURES: Mapping[int, str] = {
    11200: "MEDIA_NOT_REACHABLE",  # Twilio could not fetch from the media address
    11751: "MEDIA_TOO_LARGE",  # 5 MB for phones, 16 MB for WhatsApp
    12300: "MEDIA_TYPE_UNSUPPORTED",
    14107: "RATE_LIMITED",
    21211: "RECIPIENT_NOT_REACHABLE",  # not a phone number
    21265: "RECIPIENT_NOT_REACHABLE",  # a short code cannot be written to
    21266: "UNSUPPORTED_OPERATION",  # to and from are the same
    21408: "NO_PERMISSION",  # the region is switched off in the console
    21602: "UNSUPPORTED_OPERATION",  # nothing to say
    21608: "NO_PERMISSION",  # trial accounts write to verified numbers only
    21610: "RECIPIENT_NOT_OPTED_IN",  # the person wrote STOP
    21611: "RATE_LIMITED",  # the sender's queue is full
    21612: "RECIPIENT_NOT_REACHABLE",  # no route between the two numbers
    21614: "RECIPIENT_NOT_REACHABLE",  # not a mobile number
    21617: "UNSUPPORTED_OPERATION",  # more than 1,600 characters
    21620: "MEDIA_NOT_REACHABLE",
    21623: "UNSUPPORTED_OPERATION",  # more than ten files
    21635: "RECIPIENT_NOT_REACHABLE",  # a landline
    21655: "TEMPLATE_NOT_FOUND",
    21656: "TEMPLATE_NOT_FOUND",  # its variables do not fit
    30001: "RATE_LIMITED",
    30002: "CHANNEL_BAD_CONFIGURATION",  # the account is suspended
    30003: "RECIPIENT_NOT_REACHABLE",  # switched off, or out of reach
    30004: "DELIVERY_REJECTED_DUE_TO_POLICY",  # blocked by the carrier or the person
    30005: "RECIPIENT_NOT_REACHABLE",  # no such number
    30006: "RECIPIENT_NOT_REACHABLE",  # a landline, or a carrier that takes no messages
    30007: "DELIVERY_REJECTED_DUE_TO_POLICY",  # filtered as spam
    30008: "CHANNEL_FAILURE",
    30009: "CHANNEL_FAILURE",
    30010: "DELIVERY_REJECTED_DUE_TO_POLICY",  # dearer than the price limit of the account
    30011: "MEDIA_TYPE_UNSUPPORTED",  # no MMS there
    30017: "RATE_LIMITED",  # the carrier is congested
    30018: "DELIVERY_REJECTED_DUE_TO_POLICY",  # the country wants a registered sender
    30019: "MEDIA_TOO_LARGE",
    30022: "RATE_LIMITED",
    30023: "RATE_LIMITED",  # the day's share of the campaign is used up
    30024: "CHANNEL_BAD_CONFIGURATION",
    30032: "CHANNEL_BAD_CONFIGURATION",  # the toll-free number is not verified
    30034: "CHANNEL_BAD_CONFIGURATION",  # the number belongs to no registered campaign (A2P 10DLC)
    30036: "DELIVERY_TIMED_OUT",
    30410: "DELIVERY_TIMED_OUT",  # the carrier did not answer
    63003: "RECIPIENT_NOT_REACHABLE",
    63005: "UNSUPPORTED_OPERATION",  # the channel does not take this content
    63007: "CHANNEL_BAD_CONFIGURATION",  # no such sender on that channel
    63013: "DELIVERY_REJECTED_DUE_TO_POLICY",
    63014: "RECIPIENT_NOT_OPTED_IN",  # the person has blocked us, or wants no more
    63016: "OUTSIDE_ALLOWED_SENDING_WINDOW",  # WhatsApp's 24 hours
    63018: "RATE_LIMITED",
    63019: "MEDIA_NOT_REACHABLE",
    63024: "RECIPIENT_NOT_REACHABLE",
    63027: "TEMPLATE_NOT_FOUND",
    63032: "DELIVERY_REJECTED_DUE_TO_POLICY",
    63034: "MEDIA_TOO_LARGE",
    63049: "DELIVERY_REJECTED_DUE_TO_POLICY",
}

RETRYABLE = frozenset({14107, 21611, 30001, 30003, 30008, 30017, 30022, 30410, 63018})
"""Codes after which the same message may still arrive when it is sent once more."""

GONE = frozenset({21211, 21614, 21635, 30005, 30006})
"""The number takes no messages and never will."""

MISCONFIGURED: Mapping[int, tuple[str, str]] = {
    20003: ("auth_token", "Twilio does not accept the credentials"),
    20404: ("account_sid", "Twilio knows no such account"),
    21603: ("from_number", "Twilio needs a number to send from"),
    21606: ("from_number", "Twilio says this account cannot send text messages from that number"),
    21659: ("from_number", "Twilio says that number is none of its own"),
    21660: ("from_number", "Twilio says that number belongs to another account"),
    21701: ("messaging_service_sid", "Twilio knows no such messaging service"),
    21703: ("messaging_service_sid", "the messaging service has no numbers"),
    21704: ("messaging_service_sid", "the messaging service has no numbers"),
    21705: ("messaging_service_sid", "Twilio knows no such messaging service"),
}


def reason_of(code: str | None) -> FailureReason:
    """Why a message was not delivered, from the code of a status callback."""
    number = int(code) if code and code.isascii() and code.isdigit() and len(code) < 7 else 0
    told = None if number == 0 else f"https://www.twilio.com/docs/api/errors/{number}"
    return FailureReason(
        code=FAILURES.get(number, "CHANNEL_FAILURE"),
        native_code=str(number) if number else None,
        description=told,
        retryable=number in RETRYABLE,
    )


def raise_failure(response: Response, code: int | None) -> NoReturn:
    """Raise what happens next. Twilio's words may quote the recipient or the message, so they are left out."""
    native = str(code or response.status)
    if response.status == 429 or code in (14107, 20429, 21611):
        raise TryAgain("Twilio asks us to slow down", after=retry_after(response.headers))
    if code is not None and code in MISCONFIGURED:
        raise Misconfigured(*MISCONFIGURED[code])
    if response.status == 401:
        raise Misconfigured("auth_token", "Twilio does not accept the credentials")
    if code is None or code not in FAILURES:
        _raise_status(response, native)
    if code in GONE:
        raise RecipientGone(f"Twilio error {code}", native_code=native)
    raise Refused(FAILURES[code], f"Twilio error {code}", native_code=native)


def _raise_status(response: Response, native: str) -> NoReturn:
    try:
        response_error(response)
    except Refused as refusal:
        raise Refused(refusal.code, f"Twilio error {native}", native_code=native) from None
