"""What Twilio gets back: TwiML, which tells it what to do with a message or a call.

https://www.twilio.com/docs/messaging/twiml, https://www.twilio.com/docs/voice/twiml
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from connectors._shared.sms.fields import Fields, first_of, pairs_of
from connectors.twilio.settings import TwilioSettings, VoicemailSettings
from omnibus.channel.receive import Answer, Request
from omnibus.errors import InvalidPayload

XML = "text/xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def answer(request: Request, settings: TwilioSettings) -> Answer:
    """Nothing to do, except for somebody who calls: they leave a message, or hear that the line is busy."""
    fields = _fields(request)
    if not _asks_what_to_do(fields):
        return _twiml("")
    if settings.voicemail is None:
        return _twiml('<Reject reason="busy"/>')
    return _twiml(_voicemail(request, fields, settings.voicemail))


def _asks_what_to_do(fields: Fields) -> bool:
    """A call that comes in and rings: status callbacks about it have a number in their sequence."""
    return (
        fields.text("CallStatus") == "ringing"
        and fields.text("Direction") == "inbound"
        and fields.get("SequenceNumber") is None
        and fields.get("RecordingStatus") is None
    )


def _voicemail(request: Request, fields: Fields, voicemail: VoicemailSettings) -> str:
    """https://www.twilio.com/docs/voice/twiml/say, https://www.twilio.com/docs/voice/twiml/record

    Requests about the recording do not say whose call it was, so their address does.
    """
    ends = urlencode({"from": fields.text("From"), "to": fields.text("To")})
    back = escape(f"{request.url.partition('?')[0]}?{ends}")
    voice = "" if voicemail.voice is None else f' voice="{escape(voicemail.voice)}"'
    transcribe = f' transcribe="true" transcribeCallback="{back}"' if voicemail.transcribe else ""
    return (
        f'<Say language="{escape(voicemail.language)}"{voice}>{escape(voicemail.greeting)}</Say>'
        f'<Record maxLength="{voicemail.max_seconds}" playBeep="true" action="{back}"'
        f' recordingStatusCallback="{back}"{transcribe}/><Hangup/>'
    )


def _fields(request: Request) -> Fields:
    try:
        return Fields({}, first_of([*pairs_of(request.body), *request.query]))
    except InvalidPayload:
        return Fields({}, {})


def _twiml(verbs: str) -> Answer:
    return Answer(body=f"{_HEAD}<Response>{verbs}</Response>".encode(), content_type=XML)
