"""A request of a gateway as events: messages, parts of messages, and delivery reports."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from connectors._shared.reading import MAX_ID_CHARS, each, identifier
from connectors._shared.sms.alphabets import decoded, from_hex
from connectors._shared.sms.fields import Fields
from connectors._shared.sms.numbers import MAX_ADDRESS_CHARS, normalized, party_of, thread_of
from connectors._shared.sms.parts import fragment_from_header, fragment_of, number_of
from connectors._shared.sms.receipts import reason_of, status_of
from connectors._shared.sms.times import time_or
from connectors.sms_gateway.presets import OUR_THREAD
from connectors.sms_gateway.requests import requests_of
from connectors.sms_gateway.rules import Rules, rules_of
from omnibus.channel.events import AnyEvent, Delivery, Fragment, Message
from omnibus.errors import InvalidPayload
from omnibus.model.content import Content, Text, Unsupported
from omnibus.model.raw import RawEvent

BINARY = 4
"""The data coding of 8-bit data (SMPP 3.4, section 5.2.19): ringtones, settings, vCards; no words."""
RECEIVED = frozenset({"received", "inbound", "incoming", "mo"})
"""A status that only says: this is a message."""

MAX_THREAD_CHARS = 2 * MAX_ADDRESS_CHARS + 1


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every message and report of the request. Raises InvalidPayload."""
    rules = rules_of(raw)
    requests = requests_of(raw, rules)
    if len(requests) == 1:
        return iter((_mapped(raw, rules, requests[0]),))
    return each(requests, lambda fields: (_mapped(raw, rules, fields),))


def threads(raw: RawEvent) -> Sequence[str]:
    """The threads of the request; what cannot be read has none."""
    rules = rules_of(raw)
    requests = requests_of(raw, rules)
    if len(requests) == 1:
        return (_thread(rules, requests[0]),)
    found: dict[str, None] = {}
    for fields in requests:
        try:
            found[_thread(rules, fields)] = None
        except InvalidPayload:
            continue
    return tuple(found)


def _mapped(raw: RawEvent, rules: Rules, fields: Fields) -> AnyEvent:
    status = _report_status(rules, fields)
    return _message(raw, rules, fields) if status is None else _delivery(raw, rules, fields, status)


def _report_status(rules: Rules, fields: Fields) -> str | None:
    status = fields.first(rules.status)
    return None if status is None or status.lower() in RECEIVED else status


def _thread(rules: Rules, fields: Fields) -> str:
    return _ends(rules, fields)[0] if _report_status(rules, fields) is None else _report_thread(rules, fields)


# --- messages -------------------------------------------------------------------------------------


def _message(raw: RawEvent, rules: Rules, fields: Fields) -> Message:
    thread, sender = _ends(rules, fields)
    content = _content(rules, fields)
    return Message(
        thread=thread,
        at=time_or(fields.first(rules.time), raw.received_at),
        native_id=_id(fields.first(rules.id)),
        sender=party_of(sender),
        content=content,
        fragment=_fragment(rules, fields) if isinstance(content, Text) else None,
    )


def _ends(rules: Rules, fields: Fields) -> tuple[str, str]:
    """The thread, and who wrote. Raises InvalidPayload without a sender or a number of ours."""
    sender, recipient = fields.first(rules.sender), fields.first(rules.recipient) or rules.number
    if sender is None or not sender.strip():
        raise InvalidPayload("sender", f"expected one of the fields {', '.join(rules.sender)[:200]}")
    if recipient is None or not recipient.strip():
        raise InvalidPayload("recipient", f"expected one of {', '.join(rules.recipient)[:200]}; or set from_number")
    return thread_of(recipient, sender), sender


def _content(rules: Rules, fields: Fields) -> Content:
    coding = _coding(rules, fields)
    if coding == BINARY:
        return Unsupported(native_type="binary")
    encoded = fields.first(rules.hex)
    if encoded is not None:
        return Text(text=decoded(from_hex(encoded, "hex"), coding or 0))
    name = next((name for name in rules.text if fields.get(name) is not None), None)
    if name is None:
        return Unsupported(native_type="message")
    return Text(text=_words(rules, fields, name))


def _words(rules: Rules, fields: Fields, name: str) -> str:
    """The words, in the character set that the request names for them."""
    charset = fields.first(rules.charset_field)
    if charset:
        try:
            return fields.get_in(name, charset[:40].strip()) or ""
        except LookupError:
            pass  # no such character set: read it as the rest
    return fields.get(name) or ""


def _coding(rules: Rules, fields: Fields) -> int | None:
    given = fields.first(rules.coding)
    if given is None:
        return None
    return rules.codings[given] if given in rules.codings else number_of(given)


def _fragment(rules: Rules, fields: Fields) -> Fragment | None:
    for name in rules.udh:
        if header := fields.get_in(name, "latin-1"):
            return fragment_from_header(_header_bytes(header))
    reference = fields.first(rules.reference)
    if reference is None:
        return None
    return fragment_of(reference, number_of(fields.first(rules.part)), number_of(fields.first(rules.parts)))


def _header_bytes(text: str) -> bytes:
    """A user data header comes as hexadecimal digits, or as the bytes themselves."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode("latin-1", "replace")


def _id(given: str | None) -> str | None:
    return given if given is not None and len(given) <= MAX_ID_CHARS else None


# --- delivery reports -----------------------------------------------------------------------------


def _delivery(raw: RawEvent, rules: Rules, fields: Fields, native: str) -> Delivery:
    status = status_of(native, rules.statuses)
    if status is None:
        raise InvalidPayload("status", f"nobody knows what {native[:40]!r} means; say so in incoming.statuses")
    error = fields.first(rules.error)
    return Delivery(
        thread=_report_thread(rules, fields),
        at=time_or(fields.first(rules.time), raw.received_at),
        target=identifier(fields.first(rules.report_id), "report_id"),
        status=status,
        reason=reason_of(native, error, rules.failures) if status == "failed" else None,
    )


def _report_thread(rules: Rules, fields: Fields) -> str:
    """The thread that the address we gave for the report names; else that of the two numbers, whichever way round."""
    given = fields.get(OUR_THREAD)
    if given:
        return thread_from_token(given)
    ours, theirs = fields.first(rules.sender) or rules.number or "", fields.first(rules.recipient) or ""
    if not ours.strip() or not theirs.strip():
        raise InvalidPayload("recipient", "the report names neither its thread nor its two numbers")
    if rules.number is not None and normalized(theirs) == rules.number:
        ours, theirs = theirs, ours
    return thread_of(ours, theirs)


def token_of_thread(thread: str) -> str:
    """A thread in letters, digits, - and _: gateways replace ``%`` signs in addresses."""
    return base64.urlsafe_b64encode(thread.encode("utf-8", "replace")).rstrip(b"=").decode()


def thread_from_token(token: str) -> str:
    """Raises InvalidPayload for a token that is none of ours."""
    try:
        data = token.encode("ascii")
        thread = base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidPayload(OUR_THREAD, "expected a thread of ours") from None
    if not 0 < len(thread) <= MAX_THREAD_CHARS:
        raise InvalidPayload(OUR_THREAD, "expected a thread of ours")
    return thread
