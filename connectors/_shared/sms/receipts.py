"""Delivery reports in the words of SMPP, which most gateways pass on.

SMPP 3.4, section 5.2.28 (states) and 5.1.3 (command status), https://smpp.org/SMPP_v3_4_Issue1_2.pdf
"""

from __future__ import annotations

from collections.abc import Mapping

from omnibus.model.base import MessageStatus
from omnibus.model.entities import FailureReason

STATUSES: Mapping[str, MessageStatus] = {
    "DELIVRD": "delivered",
    "DELIVERED": "delivered",
    "READ": "read",
    "SEEN": "read",
    "ACCEPTD": "sent",
    "ACCEPTED": "sent",
    "ENROUTE": "sent",
    "BUFFERED": "sent",
    "SUBMITTED": "sent",
    "SENT": "sent",
    "ESME_ROK": "sent",
    "QUEUED": "queued",
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "EXPIRED": "failed",
    "DELETED": "failed",
    "UNDELIV": "failed",
    "UNDELIVERED": "failed",
    "UNDELIVERABLE": "failed",
    "REJECTD": "failed",
    "REJECTED": "failed",
    "FAILED": "failed",
    "ERROR": "failed",
    "UNKNOWN": "failed",
    "SKIPPED": "failed",
}

FAILURES: Mapping[str, str] = {
    "EXPIRED": "DELIVERY_TIMED_OUT",
    "UNDELIV": "RECIPIENT_NOT_REACHABLE",
    "UNDELIVERED": "RECIPIENT_NOT_REACHABLE",
    "UNDELIVERABLE": "RECIPIENT_NOT_REACHABLE",
    "REJECTD": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "REJECTED": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "ESME_RINVDSTADR": "RECIPIENT_NOT_REACHABLE",
    "ESME_RTHROTTLED": "RATE_LIMITED",
    "ESME_RMSGQFUL": "RATE_LIMITED",
    "ESME_RBINDFAIL": "CHANNEL_BAD_CONFIGURATION",
    "ESME_RINVPASWD": "CHANNEL_BAD_CONFIGURATION",
    "ESME_RINVSRCADR": "CHANNEL_BAD_CONFIGURATION",
}


def status_of(native: str, own: Mapping[str, str]) -> MessageStatus | None:
    """The status a native one stands for, by the account's own table first; None when nobody knows it."""
    status = own.get(native) or STATUSES.get(native.upper())
    if status is None and native.upper().startswith("ESME_"):
        return "failed"
    return status


def reason_of(native: str, error: str | None, own: Mapping[str, str]) -> FailureReason:
    """Why a message did not arrive; `error` is the network's own code."""
    code = own.get(native) or FAILURES.get(native.upper(), "CHANNEL_FAILURE")
    number = (error or "").strip()[:40]
    native_code = number if number.strip("0") else native[:40]
    return FailureReason(code=code, native_code=native_code or None, retryable=code == "RATE_LIMITED")
