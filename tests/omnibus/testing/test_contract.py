"""The contract suite finds what is wrong with a channel: a good one passes, and each fault is named."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omnibus.testing import Report, run_contract

CHANNEL = '''"""Pigeons."""
from collections.abc import Iterator
from typing import Annotated

import msgspec

from omnibus.channel.declaration import Capabilities, Channel
from omnibus.channel.events import Edit, Message, Party
from omnibus.channel.receive import Answer, Request, Unverified, Webhook
from omnibus.config.fields import ApiUrl, Secret, Settings, WebhookSecret, described
from omnibus.errors import InvalidPayload
from omnibus.model.content import Text
from omnibus.model.raw import RawEvent


class PigeonSettings(Settings, frozen=True, kw_only=True):
    """One loft."""

    webhook_secret: WebhookSecret
    api_url: ApiUrl = "https://api.example.com"


class Note(msgspec.Struct, frozen=True):
    """A note on a leg."""

    id: int
    loft: str
    note: str


def read(raw: RawEvent) -> Note:
    try:
        return msgspec.json.decode(raw.body, type=Note)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidPayload("body", str(error)) from error


def map_event(raw: RawEvent) -> Iterator[Message]:
    note = read(raw)
    yield Message(
        thread=note.loft,
        at=raw.received_at,
        native_id=str(note.id),
        sender=Party(scheme="opaque", value=note.loft),
        content=Text(text=note.note),
    )


def threads(raw: RawEvent) -> list[str]:
    return [read(raw).loft]


def verify(request: Request, settings: PigeonSettings) -> str:
    if request.header("x-pigeon-token") != settings.webhook_secret.reveal():
        raise Unverified("wrong token")
    return "token"


def challenge(request: Request, settings: PigeonSettings) -> Answer | None:
    asked = request.param("challenge")
    return None if asked is None else Answer(body=asked.encode())


CHANNEL = Channel(
    name="{name}",
    title="Pigeon Post",
    docs="https://docs.example.com",
    settings=PigeonSettings,
    capabilities=Capabilities(sends=frozenset({{"text"}})),
    emits=frozenset({{Message}}),
    map=map_event,
    threads=threads,
    receive={{
        "webhook": Webhook(verify=verify, challenge=challenge, secret_headers=frozenset({{"x-pigeon-token"}})),
    }},
    send=".send:PigeonSender",
)
'''

SEND = '''"""Pigeons fly."""
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import TryAgain
from omnibus.http import expect_ok
from omnibus.model.events import Outbound


class PigeonSender:
    """Sends notes."""

    def __init__(self, tools: SenderTools) -> None:
        self._tools = tools

    async def send(self, outbound: Outbound) -> Sent:
        settings = self._tools.account.settings
        answer = expect_ok(
            await self._tools.http.request(
                "POST",
                settings.api_url + "/fly",
                headers={"X-Key": settings.webhook_secret.reveal()},
                json={"loft": outbound.recipient.value, "note": outbound.message.content.text},
            )
        )
        try:
            return Sent(native_ids=(str(answer.json()["id"]),))
        except Exception as error:
            raise TryAgain("the answer makes no sense") from None

    async def close(self) -> None:
        pass
'''

TEXT: dict[str, Any] = {
    "path": "/in/test",
    "headers": {"content-type": "application/json", "x-pigeon-token": "invented-token"},
    "body": {"id": 1, "loft": "17", "note": "coo"},
    "received_at": "2026-01-05T09:00:01Z",
    "verified": "token",
}
UNIFIED: list[dict[str, Any]] = [
    {
        "kind": "message",
        "thread": "17",
        "at": "2026-01-05T09:00:01Z",
        "native_id": "1",
        "sender": {"scheme": "opaque", "value": "17"},
        "content": {"type": "text", "text": "coo"},
    }
]
HANDSHAKE: dict[str, Any] = {
    **TEXT,
    "method": "GET",
    "query": {"challenge": "4711"},
    "body": "",
    "verified": "none",
    "answer": {"body": "4711"},
}
OUT: dict[str, Any] = {
    "outbound": {"recipient": {"value": "17"}},
    "exchange": [
        {
            "request": {
                "url": "https://api.example.com/fly",
                "headers": {"X-Key": "*"},
                "body": {"loft": "17", "note": "hello"},
            },
            "response": {"body": {"id": 7}},
        }
    ],
    "result": {"native_ids": ["7"]},
}
README = "# Pigeons\n\n## Set up\n\nFeed them.\n\n## Limits\n\nHawks.\n"

Files = dict[str, Any]
Build = Callable[..., str]
_names = itertools.count()


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Writes a channel package, with some of its files changed (None: gone), and gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def write(**changed: Any) -> str:
        name = f"pigeon_{next(_names)}"
        made.append(name)
        files: Files = {
            "__init__.py": '"""Pigeons."""\n',
            "channel.py": CHANNEL.replace("{name}", name).replace("{{", "{").replace("}}", "}"),
            "send.py": SEND,
            "README.md": README,
            "fixtures/account.json": {"webhook_secret": "invented-token"},
            "fixtures/text.raw.json": TEXT,
            "fixtures/text.unified.json": UNIFIED,
            "fixtures/handshake.raw.json": HANDSHAKE,
            "fixtures/text.send.json": OUT,
        }
        for key, value in changed.items():
            file = _file(key)
            files[file] = value(files[file]) if callable(value) else value
        _write(tmp_path / name, files)
        return name

    yield write
    for name in [module for module in sys.modules if module.partition(".")[0] in made]:
        del sys.modules[name]


def _file(key: str) -> str:
    return {"channel": "channel.py", "send": "send.py", "readme": "README.md"}.get(key, f"fixtures/{key}.json").replace(
        "__", "."
    )


def _write(folder: Path, files: Files) -> None:
    (folder / "fixtures").mkdir(parents=True)
    for name, content in files.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text, encoding="utf-8")


def problems(report: Report) -> dict[str, str]:
    return {finding.statement: finding.problem for finding in report.problems}


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def after_reading(line: str) -> Callable[[str], str]:
    return replaced("    note = read(raw)\n", f"    note = read(raw)\n    {line}\n")


def before_the_call(line: str) -> Callable[[str], str]:
    return replaced("        answer = expect_ok", f"        {line}\n        answer = expect_ok")


def test_a_good_channel_passes(build: Build) -> None:
    report = run_contract(build())
    assert problems(report) == {}
    assert len(report.findings) >= 18


@pytest.mark.parametrize(
    ("changed", "statement", "problem"),
    [
        ({"text__unified": None}, "a request becomes exactly its events", "--update-fixtures"),
        (
            {"text__unified": [{**UNIFIED[0], "thread": "18"}]},
            "a request becomes exactly its events",
            '-    "thread": "18"',
        ),
        ({"channel": replaced("str(note.id)", "raw.id")}, "mapping again gives the same ids", "ids depend"),
        (
            {"channel": replaced("native_id=str(note.id)", "native_id=str(raw.received_at)")},
            "mapping again gives the same ids",
            "ids depend",
        ),
        ({"channel": replaced("frozenset({Message})", "frozenset({Message, Edit})")}, "what it emits is shown", "Edit"),
        ({"channel": replaced("frozenset({Message})", "frozenset()")}, "what it emits is shown", "Message"),
        (
            {"channel": replaced("return [read(raw).loft]", 'return [read(raw).loft, "x"]')},
            "threads are those of the events",
            "threads()",
        ),
        (
            {"channel": replaced("return [read(raw).loft]", "return []")},
            "threads are those of the events",
            "names none",
        ),
        (
            {"channel": replaced("UnicodeDecodeError, RecursionError", "UnicodeDecodeError")},
            "a hostile request costs no more than its size",
            "RecursionError",
        ),
        (
            {"channel": replaced("(msgspec.MsgspecError, ", "(msgspec.ValidationError, ")},
            "a damaged request is valid or refused",
            "DecodeError",
        ),
        (
            {"channel": after_reading("note.note[0]")},
            "a damaged request is valid or refused",
            "IndexError",
        ),
        (
            {"channel": after_reading("list(msgspec.json.decode(raw.body)).index('id') and 1 / 0")},
            "a damaged request is valid or refused",
            "with fields in another order",
        ),
        (
            {"channel": after_reading("[int('1') for _ in note.note * 40]")},
            "a hostile request costs no more than its size",
            "lines of Python",
        ),
        (
            {"channel": replaced('        raise Unverified("wrong token")', "        pass")},
            "a forged request is refused",
            "without any one of its headers",
        ),
        (
            {"channel": replaced('return "token"', 'return "hmac"')},
            "a request of the provider is accepted",
            "",
        ),
        (
            {"channel": replaced('return "token"', 'return "hmac"'), "text__raw": {**TEXT, "verified": "hmac"}},
            "a forged request is refused",
            "of the body changed",
        ),
        ({"channel": replaced("Answer(body=asked.encode())", "Answer()")}, "a handshake is answered", ""),
        (
            {"channel": replaced('frozenset({"text"})', 'frozenset({"text", "image"})')},
            "what it sends is shown",
            "image",
        ),
        ({"send": replaced('"/fly"', '"/walk"')}, "a message makes exactly its calls", "/walk"),
        ({"send": replaced('"note": outbound', '"word": outbound')}, "a message makes exactly its calls", '"word"'),
        (
            {"send": before_the_call("await self._tools.http.request('GET', settings.api_url)")},
            "a message makes exactly its calls",
            "expected POST",
        ),
        (
            {"text__send": {**OUT, "exchange": OUT["exchange"] * 2}},
            "a message makes exactly its calls",
            "did not make",
        ),
        ({"text__send": {**OUT, "result": {"native_ids": ["8"]}}}, "a message makes exactly its calls", '"8"'),
        ({"send": replaced("expect_ok(", "(")}, "a provider in trouble is tried again", "Retry-After"),
        (
            {"send": replaced("except Exception as error", "except KeyError as error")},
            "an answer that makes no sense is no surprise",
            "TypeError",
        ),
        (
            {"send": before_the_call("__import__('logging').info(settings.webhook_secret.reveal())")},
            "a message makes exactly its calls",
            "secret of account.json is in a log line",
        ),
        (
            {"send": replaced('"the answer makes no sense"', "self._tools.account.settings.webhook_secret.reveal()")},
            "an answer that makes no sense is no surprise",
            "secret of account.json is in a TryAgain",
        ),
        (
            {"channel": replaced("    webhook_secret: WebhookSecret\n", "    webhook_secret: Secret\n")},
            "settings come through file and environment",
            "without a description: webhook_secret",
        ),
        (
            {"channel": replaced("    api_url:", '    other_token: Annotated[str, described("x")] = ""\n    api_url:')},
            "settings show no secret",
            "other_token",
        ),
        ({"readme": None}, "the readme tells an operator what to do", "missing"),
        ({"readme": "# Pigeons\n\n## Set up\n"}, "the readme tells an operator what to do", "Limits"),
        (
            {"text__raw": {**TEXT, "comment": "ana@" + "somewhere-real" + ".com"}},
            "fixtures show nobody real",
            "somewhere-real",
        ),
        ({"text__raw": {**TEXT, "comment": "AKIA" + "ABCDEFGHIJKLMNOP"}}, "fixtures show nobody real", "AWS"),
        ({"stray__unified": []}, "the folder is complete", "stray"),
        ({"channel": replaced('send=".send:', 'send=".gone:')}, "every part can be imported", ".gone"),
    ],
)
def test_each_fault_is_found(build: Build, changed: dict[str, Any], statement: str, problem: str) -> None:
    found = problems(run_contract(build(**changed)))
    assert statement in found
    assert problem in found[statement]


def test_a_folder_that_cannot_be_read_is_one_finding(build: Build) -> None:
    for changed in (
        {"channel": "import nothing_of_this_name\n"},
        {"channel": "CHANNEL = 1\n"},
        {"text__raw": "{"},
        {"text__raw": {**TEXT, "boddy": 1}},
        {"waivers": {"a_forged_request_is_refused": "because we would rather not look at it"}},
    ):
        report = run_contract(build(**changed))
        assert [finding.statement for finding in report.problems] == ["the folder can be read"]


def test_a_channel_without_fixtures_fails(build: Build) -> None:
    gone = dict.fromkeys(["text__raw", "text__unified", "handshake__raw", "text__send"])
    found = problems(run_contract(build(**gone)))
    assert "has no .raw.json" in found["the folder is complete"]


def test_updating_writes_what_the_channel_does(build: Build, tmp_path: Path) -> None:
    package = build(text__unified=None, text__send={key: OUT[key] for key in ("outbound", "exchange")})
    run_contract(package, update=True)
    assert json.loads((tmp_path / package / "fixtures/text.unified.json").read_bytes()) == UNIFIED
    assert json.loads((tmp_path / package / "fixtures/text.send.json").read_bytes())["result"] == {
        "native_ids": ["7"],
        "status": "sent",
    }
    assert problems(run_contract(package)) == {}
