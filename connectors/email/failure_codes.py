"""Mail's ways of saying no, in the one failure vocabulary. RFC 3463 lists the enhanced codes, IANA keeps them:
https://www.iana.org/assignments/smtp-enhanced-status-codes
"""

from __future__ import annotations

_BY_DETAIL = {
    "1.0": "RECIPIENT_NOT_REACHABLE",
    "1.1": "RECIPIENT_NOT_REACHABLE",
    "1.2": "RECIPIENT_NOT_REACHABLE",
    "1.3": "RECIPIENT_NOT_REACHABLE",
    "1.6": "RECIPIENT_NOT_REACHABLE",
    "1.10": "RECIPIENT_NOT_REACHABLE",
    "2.1": "RECIPIENT_NOT_REACHABLE",
    "2.2": "RECIPIENT_NOT_REACHABLE",  # mailbox full
    "2.3": "MEDIA_TOO_LARGE",
    "3.4": "MEDIA_TOO_LARGE",
    "4.7": "DELIVERY_TIMED_OUT",
    "7.0": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "7.1": "DELIVERY_REJECTED_DUE_TO_POLICY",
    "7.8": "CHANNEL_BAD_CONFIGURATION",
    "7.9": "CHANNEL_BAD_CONFIGURATION",
}
_BY_SUBJECT = {
    "1": "RECIPIENT_NOT_REACHABLE",
    "2": "RECIPIENT_NOT_REACHABLE",
    "3": "CHANNEL_FAILURE",
    "4": "CHANNEL_FAILURE",
    "5": "CHANNEL_FAILURE",
    "6": "MEDIA_TYPE_UNSUPPORTED",
    "7": "DELIVERY_REJECTED_DUE_TO_POLICY",
}
GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""Nobody is there, and nobody will be: the identity is marked unreachable."""


def failure_code(status: str) -> str:
    """The code for an enhanced status such as `5.1.1`; '' gives CHANNEL_FAILURE."""
    _, _, detail = status.partition(".")
    return _BY_DETAIL.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0], "CHANNEL_FAILURE")
