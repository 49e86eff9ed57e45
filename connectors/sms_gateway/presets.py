"""The gateways we know, as settings; and how an account's own settings are laid over them.

Kannel: https://www.kannel.org/download/kannel-userguide-snapshot/userguide.html (chapter 6, and "SMS Push")
Jasmin: https://docs.jasminsms.com/en/latest/apis/ja-http/index.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from connectors.sms_gateway.settings import GatewaySettings, IncomingSettings, OutgoingSettings

OUR_ID = "omnibus_id"
OUR_THREAD = "omnibus_thread"
"""Parameters of the address that we give for delivery reports: they come back as we wrote them."""

GENERIC = IncomingSettings(
    items=("messages", "results", "items"),
    id=("id", "message_id", "messageId", "msgid", "msg_id"),
    sender=("from", "sender", "msisdn", "source", "src", "originator"),
    recipient=("to", "recipient", "destination", "dest", "dst", "shortcode"),
    text=("text", "message", "body", "content", "msg"),
    hex=("hex", "data_hex"),
    time=("time", "timestamp", "date", "received_at"),
    coding=("coding", "dcs", "data_coding"),
    codings={},
    charset="utf-8",
    charset_field=("charset",),
    udh=("udh",),
    reference=("concat_ref", "ref", "reference"),
    part=("concat_part", "part", "part_number"),
    parts=("concat_total", "parts", "total_parts"),
    status=("status", "dlr", "dlr_status", "state"),
    report_id=(OUR_ID, "id", "message_id", "messageId", "msgid", "msg_id"),
    error=("error", "err", "error_code", "err_code"),
    statuses={},
    failures={},
    answer="OK",
)

GENERIC_OUT = OutgoingSettings(
    method="POST",
    format="json",
    auth="bearer",
    to_param="to",
    from_param="from",
    text_param="text",
    user_param="username",
    password_param="password",  # noqa: S106 - the name of a parameter
    coding_param="",
    id_param="",
    callback_param="",
    callback_query="",
    encoding="text",
    gsm_coding="0",
    unicode_coding="8",
    numbers="plus",
    constants={},
    max_parts=5,
    accepted=None,
    id_paths=("id", "message_id", "messageId", "messages.0.id", "data.id"),
    again=(),
    refusals={},
)

KANNEL = msgspec.structs.replace(
    GENERIC,
    items=(),
    codings={"1": 4, "2": 8},  # %c: 0 7 bits, 1 8 bits, 2 UCS-2
    status=("dlr",),
    report_id=(OUR_ID,),
    error=("answer",),
    # dlr-mask: 1 delivered, 2 not, 4 queued, 8 taken by the centre, 16 refused by it; and 34 expired, 66 unknown
    statuses={
        "1": "delivered",
        "2": "failed",
        "4": "sent",
        "8": "sent",
        "16": "failed",
        "34": "failed",
        "66": "failed",
    },
    failures={"2": "RECIPIENT_NOT_REACHABLE", "34": "DELIVERY_TIMED_OUT"},
    answer="",  # Kannel sends what it hears back to the person who wrote
)

KANNEL_OUT = msgspec.structs.replace(
    GENERIC_OUT,
    method="GET",
    format="query",
    auth="params",
    coding_param="coding",
    callback_param="dlr-url",
    callback_query="dlr=%d&answer=%A",
    unicode_coding="2",
    constants={"charset": "UTF-8", "dlr-mask": "27"},
    accepted=r"^(0: Accepted for delivery|3: Queued for later delivery)",
    again=("Temporal failure",),
    refusals={"Authorization failed": "CHANNEL_BAD_CONFIGURATION", "No route": "RECIPIENT_NOT_REACHABLE"},
)

JASMIN = msgspec.structs.replace(
    GENERIC,
    id=("id",),
    sender=("from",),
    recipient=("to",),
    text=("content",),
    hex=("binary",),
    time=(),
    udh=(),
    status=("message_status",),
    report_id=("id",),
    error=("err",),
    answer="ACK/Jasmin",
)

JASMIN_OUT = msgspec.structs.replace(
    GENERIC_OUT,
    format="form",
    auth="params",
    text_param="hex-content",
    coding_param="coding",
    callback_param="dlr-url",
    encoding="hex",
    constants={"dlr": "yes", "dlr-level": "3", "dlr-method": "POST"},
    accepted=r'^Success "(?P<id>[^"]+)"',
    refusals={
        "No route found": "RECIPIENT_NOT_REACHABLE",
        "Authentication failure": "CHANNEL_BAD_CONFIGURATION",
        "Authorization failed": "CHANNEL_BAD_CONFIGURATION",
        "Cannot charge": "CHANNEL_BAD_CONFIGURATION",
    },
)

PRESETS: Mapping[str, tuple[IncomingSettings, OutgoingSettings]] = {
    "generic": (GENERIC, GENERIC_OUT),
    "kannel": (KANNEL, KANNEL_OUT),
    "jasmin": (JASMIN, JASMIN_OUT),
}

T = TypeVar("T", IncomingSettings, OutgoingSettings)


def incoming_of(settings: GatewaySettings) -> IncomingSettings:
    """What the account's gateway sends."""
    return laid_over(PRESETS[settings.preset][0], settings.incoming)


def outgoing_of(settings: GatewaySettings) -> OutgoingSettings:
    """What it takes."""
    return laid_over(PRESETS[settings.preset][1], settings.outgoing)


def laid_over(preset: T, own: T) -> T:
    """The account's settings on top of the preset's; tables are joined."""
    given = {name: getattr(own, name) for name in own.__struct_fields__ if getattr(own, name) is not None}
    for name, value in given.items():
        below = getattr(preset, name)
        if isinstance(value, dict) and isinstance(below, dict):
            given[name] = {**below, **value}
    return msgspec.structs.replace(preset, **given)
