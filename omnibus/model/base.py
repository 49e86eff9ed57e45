"""Building blocks of the unified model: the base record, timestamps, open enums."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every record in the contract: immutable, unknown fields ignored, absent means default."""


Timestamp = Annotated[datetime, Meta(tz=True, description="RFC 3339, UTC, millisecond precision")]
Id = Annotated[str, Meta(min_length=1, max_length=128, description="Opaque: store it, compare it, never parse it")]
Scalar = str | int | float | bool
Attributes = dict[str, Scalar]


def known(*values: str) -> Any:
    """Annotation of an open enum: these values are known today, others must pass through."""
    listed = ", ".join(f"`{value}`" for value in values)
    return Meta(description=f"Open enum; known values: {listed}", extra_json_schema={"x-known-values": list(values)})


Channel = Annotated[str, Meta(description="The medium: `email`, `webchat`, `telegram` ...", min_length=1)]
Direction = Annotated[str, known("inbound", "outbound", "internal")]
Visibility = Annotated[str, known("public", "internal")]
AuthorType = Annotated[str, known("contact", "agent", "bot", "system")]
MessageStatus = Annotated[str, known("received", "queued", "sent", "delivered", "read", "failed", "deleted")]
AutoSubmitted = Annotated[str, known("no", "auto_reply", "auto_generated", "bulk", "bounce")]
ConversationStatus = Annotated[
    str, known("new", "open", "waiting_on_contact", "on_hold", "snoozed", "resolved", "closed")
]
Priority = Annotated[str, known("low", "normal", "high", "urgent")]
Origin = Annotated[str, known("live", "backfill", "replay", "synthetic")]
CreationReason = Annotated[str, known("message", "call", "form", "outbound", "proactive", "transfer", "backfill")]
AttachmentState = Annotated[str, known("pending", "stored", "external", "expired", "blocked", "too_large")]
Verified = Annotated[str, known("none", "channel", "hmac", "jwt", "otp", "agent")]
FailureCode = Annotated[
    str,
    known(
        "RATE_LIMITED",
        "RECIPIENT_NOT_REACHABLE",
        "RECIPIENT_NOT_OPTED_IN",
        "OUTSIDE_ALLOWED_SENDING_WINDOW",
        "CHANNEL_FAILURE",
        "CHANNEL_BAD_CONFIGURATION",
        "MEDIA_TYPE_UNSUPPORTED",
        "MEDIA_TOO_LARGE",
        "MEDIA_NOT_REACHABLE",
        "TEMPLATE_NOT_FOUND",
        "DELIVERY_TIMED_OUT",
        "DELIVERY_REJECTED_DUE_TO_POLICY",
        "NO_PERMISSION",
        "UNSUPPORTED_OPERATION",
    ),
]
