"""What fixtures cannot say: TwiML, signatures that are nearly right, where credentials go, and files Twilio fetches."""

from __future__ import annotations

import base64
import hmac
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha1, sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from aiohttp import web

from connectors.twilio.channel import CHANNEL
from connectors.twilio.media import TwilioMedia
from connectors.twilio.send import TwilioSender
from connectors.twilio.settings import TwilioSettings, VoicemailSettings
from connectors.twilio.twiml import answer
from connectors.twilio.verify import verify
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.receive import Request, Unverified
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused
from omnibus.http import Http
from omnibus.model.content import AttachmentRef
from omnibus.testing.sending import outbound_of
from omnibus.testing.served import served

TOKEN = "invented-auth-token"
URL = "https://in.example.com/in/sms"
AT = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
CALL = {"CallSid": "CA1", "CallStatus": "ringing", "Direction": "inbound", "From": "+12025550147", "To": "+12025550123"}
VOICEMAIL = VoicemailSettings(greeting="Leave a message <now> & we call back", language="en-GB", transcribe=True)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def settings(**more: object) -> TwilioSettings:
    return TwilioSettings(account_sid="ACinvented", auth_token=Secret(TOKEN), **more)  # type: ignore[arg-type]  # any setting


def signature(signed: str, token: str = TOKEN) -> str:
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), sha1).digest()).decode()


def request(body: bytes, given: str, *, url: str = URL, query: tuple[tuple[str, str], ...] = ()) -> Request:
    headers = (("x-twilio-signature", given),)
    return Request(method="POST", path="/in/sms", received_at=AT, body=body, headers=headers, url=url, query=query)


# --- signatures -----------------------------------------------------------------------------------


def test_a_repeated_name_is_signed_once_for_each_value_in_order() -> None:
    body = b"MediaUrl=https%3A%2F%2Fb.example.com&MediaUrl=https%3A%2F%2Fa.example.com&A=1"
    signed = f"{URL}A1MediaUrlhttps://a.example.comMediaUrlhttps://b.example.com"
    assert verify(request(body, signature(signed)), settings()) == "hmac"


def test_a_json_body_must_be_the_one_its_address_names() -> None:
    body = b'[{"type":"x"}]'
    url = f"{URL}?bodySHA256={sha256(body).hexdigest()}"
    query = (("bodySHA256", sha256(body).hexdigest()),)
    assert verify(request(body, signature(url), url=url, query=query), settings()) == "hmac"
    with pytest.raises(Unverified, match="not the one that was signed"):
        verify(request(body + b" ", signature(url), url=url, query=query), settings())


@pytest.mark.parametrize("signed", [f"{URL}A1".replace("in.example.com", "in.example.com:443"), f"{URL}A1"])
def test_the_port_that_goes_without_saying_may_be_signed_or_not(signed: str) -> None:
    for url in (URL, URL.replace("in.example.com", "in.example.com:443")):
        assert verify(request(b"A=1", signature(signed), url=url), settings()) == "hmac"


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (b"A=1", signature(f"{URL}A2")),
        (b"A=1", signature(f"{URL}A1", "another-token")),
        (b"A=1", ""),
        (b"&".join([b"a=1"] * 600), signature(URL + "a1")),
    ],
)
def test_anything_else_is_refused(body: bytes, given: str) -> None:
    with pytest.raises(Unverified):
        verify(request(body, given), settings())


def test_another_address_is_another_signature() -> None:
    """A request for one account of ours does not pass at another, even with the same token."""
    with pytest.raises(Unverified):
        verify(request(b"A=1", signature(f"{URL}A1"), url="https://in.example.com/in/other"), settings())


# --- TwiML ----------------------------------------------------------------------------------------


def twiml(fields: dict[str, str], given: TwilioSettings) -> ET.Element:
    reply = answer(request(urlencode(fields).encode(), ""), given)
    assert reply.content_type == "text/xml"
    return ET.fromstring(reply.body)


def test_a_caller_without_voicemail_hears_that_the_line_is_busy() -> None:
    assert [(verb.tag, verb.attrib) for verb in twiml(CALL, settings())] == [("Reject", {"reason": "busy"})]


def test_a_caller_is_greeted_and_recorded() -> None:
    say, record, hangup = twiml(CALL, settings(voicemail=VOICEMAIL))
    assert (say.tag, say.attrib, say.text) == ("Say", {"language": "en-GB"}, VOICEMAIL.greeting)
    assert (record.tag, record.attrib["maxLength"], hangup.tag) == ("Record", "120", "Hangup")
    back = f"{URL}?from=%2B12025550147&to=%2B12025550123"
    callbacks = {record.attrib[name] for name in ("action", "recordingStatusCallback", "transcribeCallback")}
    assert callbacks == {back}, "what comes back about the recording says whose call it was"


def test_a_greeting_is_not_transcribed_unless_asked_for() -> None:
    quiet = VoicemailSettings(greeting="Hello")
    assert "transcribe" not in twiml(CALL, settings(voicemail=quiet))[1].attrib


@pytest.mark.parametrize(
    "fields",
    [
        {**CALL, "SequenceNumber": "0", "CallbackSource": "call-progress-events"},
        {**CALL, "CallStatus": "completed", "RecordingUrl": "https://api.twilio.com/x"},
        {**CALL, "Direction": "outbound-api"},
        {"MessageSid": "SM1", "Body": "hi"},
        {},
    ],
)
def test_everything_else_needs_no_instructions(fields: dict[str, str]) -> None:
    assert list(twiml(fields, settings(voicemail=VOICEMAIL))) == []


# --- media and files ------------------------------------------------------------------------------


@asynccontextmanager
async def answering(**routes: Handler) -> AsyncIterator[str]:
    app = web.Application()
    for name, handler in routes.items():
        app.router.add_route("*", f"/{name}{{rest:.*}}", handler)
    async with served(app) as url:
        yield url


@asynccontextmanager
async def tools(given: TwilioSettings, folder: Path, public_url: str = "") -> AsyncIterator[SenderTools]:
    account = Account(name="sms", channel=CHANNEL, settings=given, inactivity=CHANNEL.inactivity, public_url=public_url)
    async with Http(allow_private=True) as http:
        yield SenderTools(account=account, http=http, blobs=FolderBlobs(folder), topics=Topics())


async def read(part: TwilioMedia, uri: str) -> bytes:
    content = await part.fetch(AttachmentRef(scheme="native", uri=uri))
    return b"".join([chunk async for chunk in content.chunks])


async def test_credentials_go_to_twilio_and_stay_behind_when_it_redirects(tmp_path: Path) -> None:
    seen: list[tuple[str, str | None]] = []

    async def storage(request: web.Request) -> web.Response:
        seen.append(("storage", request.headers.get("Authorization")))
        return web.Response(body=b"bytes")

    async with answering(file=storage) as elsewhere:

        async def media(request: web.Request) -> web.Response:
            seen.append(("twilio", request.headers.get("Authorization")))
            raise web.HTTPTemporaryRedirect(f"{elsewhere}/file")

        async with answering(media=media) as api, tools(settings(api_url=api), tmp_path) as given:
            assert await read(TwilioMedia(given), f"{api}/media/ME1") == b"bytes"
    expected = "Basic " + base64.b64encode(f"ACinvented:{TOKEN}".encode()).decode()
    assert seen == [("twilio", expected), ("storage", None)]


@pytest.mark.parametrize(
    "uri",
    [
        "https://media.example.com/picture.jpg",
        "https://api.twilio.com.example.com/x",
        "http://api.twilio.com/x",
        "https://api.twilio.com:8443/x",
        "https://[broken/x",
    ],
)
async def test_an_address_that_is_not_twilios_gets_no_credentials(uri: str, tmp_path: Path) -> None:
    async with tools(settings(), tmp_path) as given:
        with pytest.raises(Refused, match="not an address of Twilio"):
            await TwilioMedia(given).fetch(AttachmentRef(scheme="native", uri=uri))


@pytest.mark.parametrize(
    ("status", "error"), [(404, "MEDIA_NOT_REACHABLE"), (401, "auth_token"), (410, "MEDIA_NOT_REACHABLE")]
)
async def test_a_file_that_is_gone_is_gone_and_a_wrong_token_is_not_its_fault(
    status: int, error: str, tmp_path: Path
) -> None:
    async def media(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with answering(media=media) as api, tools(settings(api_url=api), tmp_path) as given:
        with pytest.raises((Refused, Misconfigured), match=error):
            await read(TwilioMedia(given), f"{api}/media/ME1")


THREAD = {"thread_key": "+12025550123/+12025550147"}


async def test_a_message_says_where_its_reports_go_and_where_its_files_are(tmp_path: Path) -> None:
    data = b"\x89PNG invented"
    forms: list[dict[str, str]] = []

    async def messages(request: web.Request) -> web.Response:
        forms.append(dict(parse_qsl((await request.read()).decode())))
        return web.json_response({"sid": f"SM{len(forms)}"}, status=201)

    given_settings = settings()
    async with answering(**{"2010-04-01": messages}) as api:
        given_settings = settings(api_url=api)
        async with tools(given_settings, tmp_path, "https://in.example.com") as given:
            await given.blobs.put(blob_uri(data), data)
            sender = TwilioSender(given)
            attachment = {
                "id": "att_1",
                "mime": "image/png",
                "state": "stored",
                "ref": {"scheme": "object", "uri": blob_uri(data)},
            }
            content = {"type": "image", "attachment_id": "att_1"}
            sent = await sender.send(
                outbound_of(
                    CHANNEL, {"message": {"content": content, "attachments": [attachment]}, "conversation": THREAD}
                )
            )
    assert sent.native_ids == ("SM1",)
    callback = urlsplit(forms[0]["StatusCallback"])
    assert (callback.path, dict(parse_qsl(callback.query))) == ("/in/sms", {"thread": THREAD["thread_key"]})
    link = urlsplit(forms[0]["MediaUrl"])
    assert link.path.startswith("/ch/sms/files/")
    assert sha256(data).hexdigest() in link.path
    assert TOKEN not in forms[0]["MediaUrl"]


async def test_a_file_without_an_address_is_refused_and_says_why(tmp_path: Path) -> None:
    async with tools(settings(), tmp_path) as given:
        attachment = {
            "id": "att_1",
            "mime": "image/png",
            "state": "stored",
            "ref": {"scheme": "object", "uri": blob_uri(b"x")},
        }
        message = {"content": {"type": "image", "attachment_id": "att_1"}, "attachments": [attachment]}
        with pytest.raises(Refused, match=r"http\.public_url"):
            await TwilioSender(given).send(outbound_of(CHANNEL, {"message": message, "conversation": THREAD}))


async def test_the_probe_tells_the_accounts_name(tmp_path: Path) -> None:
    async def account(_: web.Request) -> web.Response:
        return web.json_response({"sid": "ACinvented", "friendly_name": "Example desk"})

    async with answering(**{"2010-04-01": account}) as api, tools(settings(api_url=api), tmp_path) as given:
        assert await TwilioSender(given).probe() == "Example desk"


def test_half_an_api_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="belong together"):
        settings(api_key_sid="SKinvented")
