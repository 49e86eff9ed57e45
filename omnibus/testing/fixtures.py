"""Channel fixtures: a provider's request as it arrives, the events it becomes, and replies with the calls they make.

In ``<channel>/fixtures``:

- ``account.json``: the settings of the test account; secrets invented.
- ``<name>.raw.json``: {method, path, query, headers, body, received_at, verified, transport, attributes, account,
  settings, answer}. `body` is an object or list (sent as compact JSON), a text, {"file": "mail.eml"} or
  {"base64": "..."}. `settings` are laid over the account's. `answer` {status, body, content_type} makes it a handshake:
  it is answered and not stored.
- ``<name>.unified.json``: what the mapping yields, as `omnibus.channel.events.to_json` writes it.
- ``<name>.send.json``: {outbound, settings, blobs, exchange: [{request, response}], result | error}; see `sending`.
- ``waivers.json``: {"<check>": "reason"}, for checks of sending that cannot apply, and {"hosts": [...]}.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from omnibus.channel.declaration import Channel
from omnibus.channel.receive import SECRET_HEADERS, Answer, Request, Verdict, Webhook
from omnibus.config.convert import FAILED, Converter
from omnibus.config.document import parse
from omnibus.config.errors import ConfigErrors
from omnibus.model.raw import RawEvent
from omnibus.telemetry.redact import MASK

RAW = ".raw.json"
UNIFIED = ".unified.json"
SEND = ".send.json"
PUBLIC_URL = "https://in.example.com"

Pairs = tuple[tuple[str, str], ...]


class AnswerFixture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a handshake."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain"

    def answer(self) -> Answer:
        return Answer(status=self.status, body=self.body.encode(), content_type=self.content_type)


class RawFixture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file ``<name>.raw.json``."""

    received_at: datetime
    method: str | None = "POST"
    path: str | None = "/in/test"
    query: dict[str, str | list[str]] | list[tuple[str, str]] = {}
    headers: dict[str, str | list[str]] | list[tuple[str, str]] = {}
    body: Any = ""
    account: str | None = None
    attributes: dict[str, str] | None = None
    transport: str = "webhook"
    verified: Verdict = "none"
    settings: dict[str, Any] = {}
    answer: AnswerFixture | None = None
    remote: str | None = "127.0.0.1"
    url: str | None = None
    comment: str = ""


class Fixture(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a provider, ready to be received or mapped."""

    name: str
    folder: Path
    file: RawFixture
    request: Request
    settings: Any
    webhook: Webhook | None

    @property
    def account(self) -> str:
        """The account's name: as given, else as the path ``/in/<account>`` says, else ``test``."""
        if self.file.account is not None:
            return self.file.account
        path = self.file.path or ""
        return path.removeprefix("/in/").partition("/")[0] if path.startswith("/in/") else "test"

    @property
    def is_handshake(self) -> bool:
        return self.file.answer is not None

    def raw(self, channel: Channel) -> RawEvent:
        """The raw event the ingress would store."""
        return RawEvent(
            id=f"raw_{self.name}",
            channel=channel.name,
            account=self.account,
            received_at=self.file.received_at,
            body=self.request.body,
            transport=self.file.transport,
            method=self.file.method,
            path=self.file.path,
            query=_masked(self.request.query, secret_params_of(self.webhook, self.settings)),
            headers=_masked(self.request.headers, secret_headers_of(self.webhook, self.settings)),
            verified=self.file.verified,
            remote=self.file.remote,
            attributes=self._attributes(),
        )

    def _attributes(self) -> dict[str, str]:
        if self.file.attributes is not None:
            return self.file.attributes
        return dict(self.webhook.attributes(self.request, self.settings)) if self.webhook is not None else {}


def secret_headers_of(webhook: Webhook | None, settings: Any) -> frozenset[str]:
    """The headers that are masked before a request is stored."""
    if webhook is None:
        return SECRET_HEADERS
    return SECRET_HEADERS | webhook.secret_headers | webhook.secret_headers_of(settings)


def secret_params_of(webhook: Webhook | None, settings: Any) -> frozenset[str]:
    """The query parameters that are masked before a request is stored."""
    return frozenset() if webhook is None else webhook.secret_params | webhook.secret_params_of(settings)


def names_in(folder: Path, suffix: str) -> list[str]:
    """The fixtures of a kind, by name."""
    return sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))


def load_fixture(channel: Channel, folder: Path, name: str) -> Fixture:
    """Read ``<name>.raw.json``. Raises AssertionError with the file and what is wrong."""
    file = read(folder / f"{name}{RAW}", RawFixture)
    settings = settings_of(channel, folder, file.settings)
    webhook = webhook_of(channel, settings) if file.transport == "webhook" else None
    query = _pairs(file.query)
    path = file.path or ""
    return Fixture(
        name=name,
        folder=folder,
        file=file,
        settings=settings,
        webhook=webhook,
        request=Request(
            method=file.method or "POST",
            path=path,
            received_at=file.received_at,
            body=body_of(file.body, folder),
            query=query,
            headers=tuple((key.lower(), value) for key, value in _pairs(file.headers)),
            remote=file.remote,
            url=file.url or f"{PUBLIC_URL}{path}",
        ),
    )


def settings_of(channel: Channel, folder: Path, over: Mapping[str, Any]) -> Any:
    """The test account's settings, with `over` laid on top. Raises AssertionError."""
    given = {**plain_json(folder / "account.json"), **over}
    return settings_from(channel.settings, given, str(folder / "account.json"))


def settings_from(cls: type[msgspec.Struct], given: Mapping[str, Any], file: str) -> Any:
    """Settings of a class from plain data, read as a configuration is. Raises AssertionError."""
    converter = Converter()
    try:
        node, _ = parse(json.dumps(given).encode(), file, {})
        value = converter.read(node, cls, "account")
    except ConfigErrors as errors:
        raise AssertionError(f"{file}: {errors}") from None
    if value is FAILED:
        raise AssertionError("\n".join(str(error) for error in converter.errors))
    return value


def webhook_of(channel: Channel, settings: Any) -> Webhook | None:
    """The webhook an account with these settings receives by."""
    return next((way for way in channel.ways_in(settings).values() if isinstance(way, Webhook)), None)


def body_of(body: Any, folder: Path) -> bytes:
    """The bytes of a fixture's body."""
    match body:
        case {"file": str(name), **rest} if not rest:
            return (folder / name).read_bytes()
        case {"base64": str(text), **rest} if not rest:
            return base64.b64decode(text)
        case str():
            return body.encode()
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def read(path: Path, cls: Any) -> Any:
    """A fixture file as `cls`. Raises AssertionError with the file's name."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=cls)
    except FileNotFoundError:
        raise AssertionError(f"{path} is missing") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AssertionError(f"{path}: {error}") from None


def plain_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty when there is no such file."""
    data: dict[str, Any] = read(path, dict[str, Any]) if path.exists() else {}
    return data


def _pairs(given: dict[str, str | list[str]] | list[tuple[str, str]]) -> Pairs:
    if isinstance(given, list):
        return tuple(given)
    return tuple(
        (name, value) for name, values in given.items() for value in ([values] if isinstance(values, str) else values)
    )


def _masked(pairs: Pairs, secret: frozenset[str]) -> Pairs:
    return tuple((name, MASK if name in secret else value) for name, value in pairs)
