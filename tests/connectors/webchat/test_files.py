"""Files: streamed in when they are what they claim to be, out to those whose chat has them, harmless in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from connectors.webchat.mapping import map_event
from omnibus.channel.events import Message
from omnibus.model import content as c
from omnibus.model.content import Attachment, AttachmentRef

if TYPE_CHECKING:
    from tests.connectors.webchat.conftest import Installation, Widget

Browsers = Callable[[], aiohttp.ClientSession]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100


def form(data: bytes, mime: str = "image/png", name: str = "box.png", field: str = "file") -> aiohttp.FormData:
    fields = aiohttp.FormData()
    fields.add_field(field, data, filename=name, content_type=mime)
    return fields


async def upload(
    installation: Installation, browser: aiohttp.ClientSession, widget: Widget, data: aiohttp.FormData, account: str
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {widget.welcome['session']}"}
    async with browser.post(installation.url("/files", account), data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_a_file_is_uploaded_sent_and_seen_again(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        status, uploaded = await upload(installation, browser, widget, form(PNG), "site")
        await widget.say("like this", files=[uploaded])
    async with installation.widget(browser) as widget:
        [entry] = widget.entries
    async with browser.get(installation.url("/" + entry["files"][0]["url"])) as answer:
        body, headers = await answer.read(), answer.headers

    assert status == 200
    assert body == PNG
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    [raw] = await installation.raws()
    [message] = list(map_event(raw))
    assert isinstance(message, Message)
    assert message.content == c.Image(attachment_id="0", caption="like this")
    assert message.attachments[0].ref == AttachmentRef(scheme="object", uri=uploaded["uri"])
    assert await installation.blobs.get(uploaded["uri"]) == PNG


async def test_a_file_of_ours_reaches_the_visitor_and_nobody_else(
    installation: Installation, browsers: Browsers
) -> None:
    visitor, other = browsers(), browsers()
    pdf = b"%PDF-1.7 invented"
    uri, _ = await installation.blobs.put_stream(chunks(pdf), 1_000)
    attachment = Attachment(
        id="att_1",
        mime="application/pdf",
        state="stored",
        file_name='inv"oice.pdf',
        ref=AttachmentRef(scheme="object", uri=uri),
    )
    async with installation.widget(visitor) as widget:
        await widget.say("my invoice, please")
        [raw] = await installation.raws()
        content = c.File(attachment_id="att_1")
        await installation.reply(raw.thread or "", content, "msg_1", attachments=(attachment,))
        while "files" not in (entry := (await widget.until("message"))["entry"]):
            pass
    plain = installation.url("/files/" + uri.rpartition(":")[2])
    async with visitor.get(installation.url("/" + entry["files"][0]["url"])) as answer:
        assert await answer.read() == pdf
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''inv%22oice.pdf"
        assert answer.headers["Content-Type"] == "application/octet-stream"
    async with visitor.get(plain) as answer:
        assert (answer.status, await answer.read()) == (200, pdf)
    async with other.get(plain) as answer:
        assert answer.status == 404
    async with installation.widget(other) as stranger:
        headers = {"Authorization": f"Bearer {stranger.welcome['session']}"}
        async with other.get(plain, headers=headers) as answer:
            assert answer.status == 404


async def test_a_link_opens_that_file_with_that_name_only(installation: Installation, browsers: Browsers) -> None:
    browser = browsers()
    async with installation.widget(browser) as widget:
        _, uploaded = await upload(installation, browser, widget, form(PNG), "site")
        await widget.say("", files=[uploaded])
        url = (await widget.until("message"))["entry"]["files"][0]["url"]
    for forged in (url.replace("image%2Fpng", "text%2Fhtml"), url.replace("box.png", "box.exe"), url[:-1] + "_"):
        async with browsers().get(installation.url("/" + forged)) as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("data", "mime", "status"),
    [
        (b"<script>alert(1)</script>", "text/html", 415),
        (b"<svg/>", "image/svg+xml", 415),
        (b"<script>alert(1)</script>", "image/png", 415),
        (b"", "text/plain", 400),
        (b"x" * 1_001, "text/plain", 413),
        (b"x" * 200_000, "text/plain", 413),
    ],
)
async def test_what_is_not_taken_is_refused(
    installation: Installation, browser: aiohttp.ClientSession, data: bytes, mime: str, status: int
) -> None:
    async with installation.widget(browser, account="strict") as widget:
        answered, body = await upload(installation, browser, widget, form(data, mime), "strict")
    assert answered == status, body


async def test_a_request_that_is_no_upload_is_refused(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser):
        async with browser.post(installation.url("/files"), json={"file": "x"}) as answer:
            assert answer.status == 400
        async with browser.post(installation.url("/files"), data=form(PNG, field="other")) as answer:
            assert answer.status == 400


async def test_who_has_no_chat_uploads_nothing(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with browser.post(installation.url("/files"), data=form(PNG)) as answer:
        assert answer.status == 403


async def test_a_visitor_uploads_so_many_files_and_no_more(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser, account="strict") as widget:
        statuses = [(await upload(installation, browser, widget, form(PNG), "strict"))[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]


async def test_a_file_of_another_chat_cannot_be_sent(installation: Installation, browsers: Browsers) -> None:
    ana, eve = browsers(), browsers()
    async with installation.widget(ana) as widget:
        _, uploaded = await upload(installation, ana, widget, form(PNG), "site")
    async with installation.widget(eve) as widget:
        await widget.send({"type": "message", "id": "a" * 16, "files": [uploaded]})
        assert (await widget.until("error"))["code"] == "file_refused"
    async with installation.widget(ana) as widget:
        await widget.send({"type": "message", "id": "b" * 16, "files": [uploaded | {"mime": "text/html"}]})
        assert (await widget.until("error"))["code"] == "file_refused"


async def test_an_embedding_page_may_upload_and_a_foreign_one_may_not(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    for origin, allowed in (
        ("https://shop.example.com", "https://shop.example.com"),
        ("https://evil.example.net", None),
    ):
        async with browser.options(installation.url("/files"), headers={"Origin": origin}) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        async with installation.widget(browser) as widget:
            headers = {"Authorization": f"Bearer {widget.welcome['session']}", "Origin": origin}
            async with browser.post(installation.url("/files"), data=form(PNG), headers=headers) as answer:
                assert answer.status == (200 if allowed else 403)


async def chunks(data: bytes) -> Any:
    yield data
