"""Phone calls: what happened to a call, what was recorded of it, and what was said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from connectors._shared.reading import identifier, read
from connectors._shared.sms.fields import Fields
from connectors.twilio.contents import MAX_URL_CHARS, media_at
from connectors.twilio.places import Place, party_at, place_of_call
from omnibus.channel.events import AnyEvent, CallEvent, Message
from omnibus.errors import InvalidPayload
from omnibus.model.content import Audio
from omnibus.model.raw import RawEvent

VERBS = {  # https://www.twilio.com/docs/voice/api/call-resource#call-status-values
    "queued": "ringing",
    "initiated": "ringing",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "ended",
    "busy": "ended",
    "no-answer": "ended",
    "failed": "ended",
    "canceled": "ended",
}
RECORDED_MESSAGE = "RecordVerb"
"""RecordingSource of what a caller said after the tone; anything else records a conversation."""

AS_MP3 = ".mp3"
"""https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file: without it, an uncompressed WAV."""


class _Spoken(msgspec.Struct, frozen=True):
    transcript: str = ""


def call(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """A status of a call, from its status callback or from the request for instructions."""
    status = fields.text("CallStatus")
    verb = VERBS.get(status)
    if verb is None:
        raise InvalidPayload("CallStatus", f"expected a status of a call, got {status[:40]!r}")
    place = place_of_call(fields)
    yield CallEvent(
        thread=place.thread,
        at=time_of(fields.get("Timestamp"), raw),
        call_id=identifier(fields.get("CallSid"), "CallSid"),
        verb=verb,
        sender=party_at(place.theirs, fields.get("CallerName") or None),
        direction=place.direction,
        duration_s=_seconds(fields.get("CallDuration")) if verb == "ended" else None,
        reason=status if verb == "ended" else None,
    )


def recording(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """A recording is ready. One that a caller left is a voicemail, and a message that can be listened to.

    Those that have just begun, or came to nothing, are no event.
    """
    if fields.text("RecordingStatus") != "completed":
        return
    place, sid = place_of_call(fields), identifier(fields.get("RecordingSid"), "RecordingSid")
    url = identifier_of_url(fields.get("RecordingUrl"))
    left_by_caller = fields.text("RecordingSource") == RECORDED_MESSAGE
    event = CallEvent(
        thread=place.thread,
        at=time_of(fields.get("RecordingStartTime"), raw),
        native_id=sid,
        call_id=identifier(fields.get("CallSid"), "CallSid"),
        verb="voicemail" if left_by_caller else "recording_ready",
        sender=party_at(place.theirs),
        direction=place.direction,
        duration_s=_seconds(fields.get("RecordingDuration")),
        recording_ref=url,
    )
    yield event
    if left_by_caller:
        yield _voicemail(event, place, url)


def _voicemail(event: CallEvent, place: Place, url: str) -> Message:
    attributes = {"call_id": event.call_id} | ({"duration_s": event.duration_s} if event.duration_s is not None else {})
    return Message(
        thread=event.thread,
        at=event.at,
        native_id=event.native_id,
        sender=party_at(place.theirs),
        content=Audio(attachment_id="0", voice_note=True),
        attachments=(media_at(url + AS_MP3, "audio/mpeg"),),
        attributes=attributes,
    )


def transcription(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """What a voicemail says, written down; one that failed is no event."""
    if fields.text("TranscriptionStatus") != "completed":
        return
    sid = identifier(fields.get("TranscriptionSid"), "TranscriptionSid")
    yield _transcript(raw, fields, sid, fields.text("TranscriptionText"))


def live_transcription(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """A sentence of a running call, once it is final. https://www.twilio.com/docs/voice/twiml/transcription"""
    if fields.text("TranscriptionEvent") != "transcription-content" or fields.text("Final") == "false":
        return
    sid = identifier(fields.get("TranscriptionSid"), "TranscriptionSid")
    spoken = read(fields.text("TranscriptionData").encode(), _Spoken, "TranscriptionData")
    yield _transcript(raw, fields, f"{sid}:{fields.text('SequenceId')[:20]}", spoken.transcript)


def _transcript(raw: RawEvent, fields: Fields, native_id: str, text: str) -> CallEvent:
    place = place_of_call(fields)
    return CallEvent(
        thread=place.thread,
        at=time_of(fields.get("Timestamp"), raw),
        native_id=native_id,
        call_id=identifier(fields.get("CallSid"), "CallSid"),
        verb="transcript_ready",
        sender=party_at(place.theirs),
        direction=place.direction,
        text=text,
        transcript_ref=fields.text("TranscriptionUrl")[:MAX_URL_CHARS] or None,
        recording_ref=fields.text("RecordingUrl")[:MAX_URL_CHARS] or None,
    )


def identifier_of_url(url: str | None) -> str:
    """Raises InvalidPayload when there is no address of a recording."""
    if not url or len(url) > MAX_URL_CHARS:
        raise InvalidPayload("RecordingUrl", "expected an address")
    return url


def time_of(given: str | None, raw: RawEvent) -> datetime:
    """A time as mails have it (RFC 2822) or as RFC 3339 has it; else when we received the request."""
    try:
        at = datetime.fromisoformat(given) if given and given[:1].isdigit() else parsedate_to_datetime(given or "")
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return raw.received_at


def _seconds(given: str | None) -> float | None:
    return float(given) if given and given.isascii() and given.isdigit() and len(given) < 8 else None
