"""Which of Twilio's requests this is. They all come to one address and are told apart by their fields."""

from __future__ import annotations

from typing import Literal

from connectors._shared.sms.fields import Fields

Kind = Literal["message", "status", "call", "recording", "transcription", "live_transcription", "unknown"]

_BY_FIELD: tuple[tuple[str, Kind], ...] = (
    ("MessageStatus", "status"),  # https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
    ("TranscriptionEvent", "live_transcription"),  # https://www.twilio.com/docs/voice/twiml/transcription
    ("TranscriptionStatus", "transcription"),  # https://www.twilio.com/docs/voice/twiml/record#transcribe-callback
    ("RecordingStatus", "recording"),  # https://www.twilio.com/docs/voice/twiml/record#recordingstatuscallback
    ("CallStatus", "call"),  # https://www.twilio.com/docs/voice/twiml#request-parameters
    ("MessageSid", "message"),  # https://www.twilio.com/docs/messaging/guides/webhook-request
)


def kind_of(fields: Fields) -> Kind:
    """The kind of a form request, by the first field that only it has."""
    for name, kind in _BY_FIELD:
        if fields.has(name):
            return kind
    return "unknown"
