"""An account's rules as the mapping uses them: preset and own settings in one, each field as a list of names."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from connectors.sms_gateway.presets import PRESETS, laid_over
from connectors.sms_gateway.settings import IncomingSettings, Names
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

RULES_ATTRIBUTE = "rules"
"""The attribute of a raw event with its account's preset and incoming settings, as they were then."""
QUERY_ATTRIBUTE = "query"
"""The attribute with the query as it was written, where that is not UTF-8; without the token."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept with a raw event."""

    preset: str = "generic"
    number: str | None = None
    incoming: IncomingSettings = IncomingSettings()


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are in the requests of a gateway."""

    kannel: bool
    number: str | None
    items: tuple[str, ...]
    id: tuple[str, ...]
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    text: tuple[str, ...]
    hex: tuple[str, ...]
    time: tuple[str, ...]
    coding: tuple[str, ...]
    codings: dict[str, int]
    charset: str
    charset_field: tuple[str, ...]
    udh: tuple[str, ...]
    reference: tuple[str, ...]
    part: tuple[str, ...]
    parts: tuple[str, ...]
    status: tuple[str, ...]
    report_id: tuple[str, ...]
    error: tuple[str, ...]
    statuses: dict[str, str]
    failures: dict[str, str]


def rules_of(raw: RawEvent) -> Rules:
    """The rules the account had when the request was received. Raises InvalidPayload when they cannot be read."""
    try:
        return _rules(raw.attributes.get(RULES_ATTRIBUTE, "{}"))
    except (msgspec.MsgspecError, KeyError, LookupError) as error:
        raise InvalidPayload(f"attributes.{RULES_ATTRIBUTE}", str(error)) from error


@lru_cache(maxsize=256)
def _rules(text: str) -> Rules:
    kept = msgspec.json.decode(text, type=Kept)
    found = laid_over(PRESETS[kept.preset][0], kept.incoming)
    "".encode(found.charset or "utf-8")
    return Rules(
        kannel=kept.preset == "kannel",
        number=kept.number,
        items=_names(found.items),
        id=_names(found.id),
        sender=_names(found.sender),
        recipient=_names(found.recipient),
        text=_names(found.text),
        hex=_names(found.hex),
        time=_names(found.time),
        coding=_names(found.coding),
        codings=found.codings or {},
        charset=found.charset or "utf-8",
        charset_field=_names(found.charset_field),
        udh=_names(found.udh),
        reference=_names(found.reference),
        part=_names(found.part),
        parts=_names(found.parts),
        status=_names(found.status),
        report_id=_names(found.report_id),
        error=_names(found.error),
        statuses=dict(found.statuses or {}),
        failures=found.failures or {},
    )


def _names(given: Names | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())
