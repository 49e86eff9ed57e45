"""The widget in a real browser: Chromium without a window, driven over the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import pytest
from aiohttp import web

from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.cli.plugins import known_types, settings_of
from omnibus.cli.up import running
from omnibus.config.load import loads
from omnibus.model import content as c
from omnibus.model.codec import Event, decode
from omnibus.testing.ports import free_port
from omnibus.testing.served import served

T = TypeVar("T")
DEADLINE_S = 15.0
ARTIFACTS = Path(__file__).parents[3] / "artifacts" / "webchat"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--lang=en-US",
    "--remote-debugging-port=0",
    # Nothing leaves this machine, whatever a page or the browser itself wants.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, " ": 32, "Backspace": 8}
IN_WIDGET = """
const root = () => document.querySelector('omnibus-chat').shadowRoot;
const $ = (what) => root().querySelector(what);
const $$ = (what) => [...root().querySelectorAll(what)];
const texts = () => $$('.m:not([hidden]) .bubble').map((one) => one.textContent);
const focused = () => root().activeElement &&
  (root().activeElement.getAttribute('aria-label') || root().activeElement.textContent);
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """A running Chromium; the address of its DevTools."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("These tests need a browser: apt-get install chromium (or put Google Chrome on the PATH).")
    profile = Path(tempfile.mkdtemp(prefix="webchat-"))
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _devtools(profile / "DevToolsActivePort", process)
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(profile, ignore_errors=True)


def _devtools(file: Path, process: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        if process.poll() is not None:
            pytest.fail(f"Chromium ended by itself with status {process.returncode} before its DevTools were up.")
        time.sleep(0.05)
    pytest.fail("Chromium's DevTools did not come up within a minute.")


class DevTools:
    """The DevTools connection: commands and their answers, and the events of each page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command; fails with the browser's own words."""
        number = len(self._answers) + 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json(message if session is None else message | {"sessionId": session})
        async with asyncio.timeout(DEADLINE_S * 2):
            found = await answer
        assert "error" not in found, f"{method}: {found['error']}"
        result: dict[str, Any] = found["result"]
        return result

    async def browser(self) -> str:
        """A browser context of its own: no cookie or storage of another one."""
        found = await self.call("Target.createBrowserContext")
        context: str = found["browserContextId"]
        return context

    async def page(self, context: str) -> Page:
        """A new tab in that context."""
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"], context)
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.call(f"{domain}.enable")
        await page.size(1200, 800)
        return page

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers[said["id"]].set_result(said)
            elif (page := self._pages.get(said.get("sessionId", ""))) is not None:
                page.heard(said["method"], said["params"])


class Page:
    """One tab."""

    def __init__(self, tools: DevTools, session: str, context: str) -> None:
        self._tools = tools
        self._session = session
        self._context = context
        self.complaints: list[str] = []
        self.sent: list[dict[str, Any]] = []

    def heard(self, method: str, params: Mapping[str, Any]) -> None:
        """Exceptions, what the browser itself objects to (a Content-Security-Policy, for example), and sent frames."""
        if method == "Network.webSocketFrameSent" and params["response"]["opcode"] == 1:
            self.sent.append(json.loads(params["response"]["payloadData"]))
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            if entry.get("source") != "network" and "WebSocket" not in entry["text"]:
                self.complaints.append(entry["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._tools.call(method, self._session, **params)

    async def another_tab(self) -> Page:
        """A second tab of the same browser."""
        return await self._tools.page(self._context)

    async def goto(self, url: str) -> None:
        """Open a page; returns when its widget is there."""
        await self.call("Page.navigate", url=url)
        await self.until("location.href.startsWith('http') && document.querySelector('omnibus-chat') !== null")

    async def reload(self) -> None:
        await self.js("window.before = true")
        await self.call("Page.reload")
        await self.until("window.before === undefined && document.querySelector('omnibus-chat') !== null")

    async def js(self, expression: str) -> Any:
        """The value of an expression in the page; `$` and `$$` look inside the widget."""
        source = f"(async () => {{ {IN_WIDGET}; return ({expression}); }})()"
        found = await self.call("Runtime.evaluate", expression=source, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """The first true value of an expression; fails when it does not become true in time."""
        ends = time.monotonic() + DEADLINE_S
        last: object = None
        while time.monotonic() < ends:
            try:
                if value := await self.js(f"await (async () => {expression})()"):
                    return value
            except AssertionError as problem:  # the page is still loading, or went away beneath us
                last = problem
            await asyncio.sleep(0.02)
        await self.shot("failed")
        raise AssertionError(f"never true: {expression} ({last}); {self.complaints}")

    async def click(self, what: str) -> None:
        """Click in the middle of an element of the widget (or of the page)."""
        await self.until(f"($({what!r}) || document.querySelector({what!r})) !== null")
        box = await self.js(
            f"(() => {{ const b = ($({what!r}) || document.querySelector({what!r})).getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def write(self, text: str) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release one key."""
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        await self.call("Input.dispatchKeyEvent", type="keyDown", **stroke, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **stroke)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    async def prefers(self, **features: str) -> None:
        """Media features such as ``prefers_color_scheme="dark"``."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=named)

    async def offline(self, gone: bool) -> None:
        """Take the network away, or give it back."""
        await self.call(
            "Network.emulateNetworkConditions", offline=gone, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    async def choose_file(self, path: Path) -> None:
        """Put a file into the widget's file field, as the browser's dialog does."""
        found = await self.call(
            "Runtime.evaluate",
            expression="document.querySelector('omnibus-chat').shadowRoot.querySelector('input[type=file]')",
        )
        await self.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])

    async def to_front(self) -> None:
        await self.call("Page.bringToFront")

    async def shot(self, name: str) -> None:
        """A picture for people, in ``artifacts/webchat``."""
        await self.js("document.fonts.ready.then(() => true)")
        found = await self.call("Page.captureScreenshot", format="png")
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        (ARTIFACTS / f"{name}.png").write_bytes(base64.b64decode(found["data"]))


@pytest.fixture
async def devtools(chromium: str) -> AsyncIterator[DevTools]:
    """The running Chromium, for one test."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(chromium, max_msg_size=64_000_000, compress=0) as socket,
    ):
        tools = DevTools(socket)
        yield tools
        await tools.close()


@pytest.fixture
async def page(devtools: DevTools) -> AsyncIterator[Page]:
    """One tab of a browser nobody has used; fails when a script in it threw or broke a policy."""
    context = await devtools.browser()
    page = await devtools.page(context)
    yield page
    await devtools.call("Target.disposeBrowserContext", browserContextId=context)
    assert page.complaints == []


STAGES = ("connectors", "normalizer", "router", "sinks")
CONFIG = """
bus: "embedded:{folder}/bus"
blobs: "file:{folder}/blobs"
partitions: 2
http: {{port: {port}}}
api: {{tokens: [invented-api-token]}}
channels:
  site:
    type: webchat
    cookie_secret: invented-cookie-secret
    typing_token: invented-typing-token
    allowed_origins: ["{embedding}"]
    title: Example Store
    greeting: Hello! Ask us about your order, a delivery or an invoice.
queues:
  general: {{}}
routes:
  - {{name: everything, to: "queue:general"}}
"""


class Site:
    """A whole installation with a web chat called `site`, and a page of another site that embeds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._running = AsyncExitStack()
        self._embedding = AsyncExitStack()
        self._api = aiohttp.ClientSession()
        self.embedding = ""

    async def start(self) -> None:
        """Start every stage; after `stop`, with what was stored before."""
        if not self.embedding:
            await self._start_embedding_page()
        text = CONFIG.format(folder=self._folder, port=self._port, embedding=self.embedding)
        config = loads(text, settings_of=settings_of, known_types=known_types)
        await self._running.enter_async_context(running(config, STAGES))

    async def stop(self) -> None:
        await self._running.aclose()

    async def close(self) -> None:
        await self._api.close()
        await self.stop()
        await self._embedding.aclose()

    @property
    def demo(self) -> str:
        return f"http://127.0.0.1:{self._port}/ch/site/"

    async def conversation(self) -> dict[str, Any]:
        """The one conversation there is, as soon as it was routed."""

        async def routed() -> dict[str, Any] | None:
            found = (await self._call("GET", "conversations"))["conversations"]
            assert len(found) <= 1, "there is more than one conversation"
            return found[0] if found and found[0].get("queue") == "general" else None

        return await eventually("a conversation in the queue", routed)

    async def reply(self, content: c.Content, name: str = "Bruno") -> None:
        """An agent answers: a command to the router, as a ticket system gives it."""
        found = await self.conversation()
        command = {
            "type": "reply",
            "content": msgspec.to_builtins(content),
            "author": {"type": "agent", "display_name": name},
        }
        await self._call("POST", f"conversations/{found['id']}/commands", command)

    async def typing(self, name: str) -> None:
        """An agent begins to write."""
        headers = {"Authorization": "Bearer invented-typing-token"}
        notice = {"thread": (await self.conversation())["thread_key"], "name": name}
        async with self._api.post(f"{self.demo}typing", json=notice, headers=headers) as answer:
            assert await answer.json() == {"reached": 1}

    async def events(self, kind: str) -> list[Any]:
        """The data of the events of that type, from our side's copy of the log."""
        return [event.data for event in await self._decoded("omnibus.events") if event.type == kind]

    async def has_received(self, texts: list[str]) -> None:
        """The pipeline received exactly these messages, in this order."""

        async def all_of_them() -> bool | None:
            found = await self.events("omnibus.message.received.v1")
            return [c.text_of(data.message.content) for data in found] == texts or None

        await eventually(f"the messages {texts}", all_of_them)

    async def has_delivery(self, status: str) -> None:
        """A reply is known to have come that far."""

        async def known() -> bool | None:
            found = await self.events("omnibus.message.delivery.v1")
            return any(data.delivery.status == status and data.message_id for data in found) or None

        await eventually(f"a reply that was {status}", known)

    async def _decoded(self, topic: str) -> list[Event]:
        bus = open_bus(f"embedded:{self._folder / 'bus'}", Topics())
        await bus.open()
        try:
            bounds = await bus.bounds(topic)
            pages = [await bus.read(topic, partition, first) for partition, (first, _) in bounds.items()]
        finally:
            await bus.close()
        return sorted((decode(record) for page in pages for record in page), key=lambda event: event.time)

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/{path}"
        headers = {"Authorization": "Bearer invented-api-token"}
        async with self._api.request(method, url, json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def _start_embedding_page(self) -> None:
        """On another site (`localhost` is none of `127.0.0.1`), with a policy that allows the chat and nothing else."""

        async def embed(_request: web.Request) -> web.Response:
            chat = f"127.0.0.1:{self._port}"
            policy = (
                f"default-src 'none'; script-src http://{chat}; connect-src http://{chat} ws://{chat}; "
                f"img-src http://{chat} blob:"
            )
            html = (
                "<!doctype html><html lang=pt-BR><title>Loja</title><h1>Loja</h1>"
                f"<script src='http://{chat}/ch/site/widget.js' data-lang=pt-BR async></script></html>"
            )
            return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": policy})

        app = web.Application()
        app.router.add_get("/", embed)
        url = await self._embedding.enter_async_context(served(app))
        self.embedding = url.replace("127.0.0.1", "localhost")


async def eventually(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """The first thing `look` finds; fails with `what` was expected when it finds nothing in time."""
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"expected {what}")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A running installation."""
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.close()
