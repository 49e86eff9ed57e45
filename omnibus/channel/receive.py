"""The receiver contracts: how what a provider sends becomes a raw event on the bus.

Two kinds. A **webhook** is a description (`Webhook`): the ingress serves ``POST /in/<account>``, calls `verify`, stores
the bytes and answers. A **receiver** is a class with a life of its own: a poller, a socket, a listener, or HTTP routes
that a webhook cannot express; the supervisor starts it and starts it again with back-off when it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from omnibus.bus.port import Out
from omnibus.errors import OmnibusError
from omnibus.model.raw import RawEvent

if TYPE_CHECKING:
    from aiohttp import web

    from omnibus.blobs import BlobStore
    from omnibus.bus.port import Bus
    from omnibus.bus.topics import Topics
    from omnibus.channel.declaration import Account
    from omnibus.http import Http

Verdict = Literal["none", "token", "hmac", "jwt", "signature", "transport"]
"""How a sender was proven; `none` where the account asks for no proof."""

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
"""Headers whose values are masked before a request is stored."""

ADDRESSES = "addresses"
"""The attribute of a raw event that names, with spaces between them, the addresses this copy of a request is for."""


class Unverified(OmnibusError):
    """The sender could not be proven: the ingress answers 401 and stores nothing. `why` must not quote secrets."""


class NotSignedYet(Unverified):
    """The provider sends the same once more, with its proof: the ingress answers 503 and stores nothing.

    For providers that now and then leave out the proof, and take 401 for the end of it.
    """


class Unacceptable(OmnibusError):
    """The request can never be understood (no body, wrong method): the ingress answers 400 and stores nothing."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request as it arrived. Header names are lower case; `received_at` is our clock."""

    method: str
    path: str
    received_at: datetime
    body: bytes = b""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    remote: str | None = None
    url: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    def param(self, name: str) -> str | None:
        """The first query parameter of that name."""
        return next((value for key, value in self.query if key == name), None)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider gets back."""

    status: int = 200
    body: bytes = b"ok"
    content_type: str = "text/plain"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """How requests of a provider are proven and answered. All parts are pure functions.

    `verify(request, settings)` returns how the sender was proven or raises Unverified; it compares in constant time.
    `challenge(request, settings)` returns the answer to a provider's handshake (which is not stored), None for a
    normal request; it is called before `verify` for GET and after it for other methods. `answer(request)` is what the
    provider gets once the log has the request; `answer_with(request, settings)` comes first, where it depends on the
    account (a gateway wants its own word, a caller a greeting). `secret_headers` are masked before storing, besides
    SECRET_HEADERS, and `secret_params` are query parameters treated alike; `secret_headers_of(settings)` and
    `secret_params_of(settings)` add those an operator names.
    `attributes(request, settings)` is what the mapping has to know of the account's settings (never a secret): it is
    stored with the raw event, because a mapping sees nothing else, so what an event means does not change when somebody
    edits the configuration later.

    Some providers send the events of several accounts in one request (Meta: of all pages of an app). Then
    `addresses(request)` are the provider's names of the accounts it speaks of, and `address(settings)` is that of one
    of ours. An account of this channel that is addressed in a request to another gets a copy of its own, when its own
    settings prove the sender, too; the attribute `ADDRESSES` of each copy names the addresses the copy is for, and the
    mapping keeps to those. Addresses of nobody stay with the account the request was sent to.
    """

    verify: Callable[[Request, Any], Verdict]
    challenge: Callable[[Request, Any], Answer | None] = lambda _request, _settings: None
    answer: Callable[[Request], Answer] = lambda _request: Answer()
    answer_with: Callable[[Request, Any], Answer] | None = None
    secret_headers: frozenset[str] = frozenset()
    secret_params: frozenset[str] = frozenset()
    secret_headers_of: Callable[[Any], frozenset[str]] = lambda _settings: frozenset()
    secret_params_of: Callable[[Any], frozenset[str]] = lambda _settings: frozenset()
    attributes: Callable[[Request, Any], Mapping[str, str]] = lambda _request, _settings: {}
    methods: frozenset[str] = frozenset({"POST"})
    addresses: Callable[[Request], Sequence[str]] = lambda _request: ()
    address: Callable[[Any], str | None] = lambda _settings: None

    def answered(self, request: Request, settings: Any) -> Answer:
        """What the provider gets once the log has the request."""
        return self.answer(request) if self.answer_with is None else self.answer_with(request, settings)


class ReceiverTools(Protocol):
    """What a receiver may use. One instance for each account it serves."""

    @property
    def account(self) -> Account: ...

    @property
    def http(self) -> Http: ...

    @property
    def blobs(self) -> BlobStore: ...

    @property
    def bus(self) -> Bus: ...

    @property
    def topics(self) -> Topics: ...

    async def publish(self, raws: Sequence[RawEvent], also: Sequence[Out] = ()) -> None:
        """Store raw events (split by thread, claim-checked when large) and `also` in one go; durable on return.

        Raises Overloaded when the bounded queue is full: answer "try later" to the provider.
        """
        ...

    async def publish_with_cursor(self, raws: Sequence[RawEvent], cursor: bytes) -> None:
        """The same, and move this account's cursor in the same transaction. Raises Fenced when another took over."""
        ...

    async def cursor(self) -> bytes | None:
        """Take over this account's cursor (older instances are fenced) and read it."""
        ...

    def status(self, state: Literal["ok", "degraded", "disconnected"], reason: str = "") -> None:
        """Tell the operator how the connection is; changes are logged, counted and shown in health."""
        ...


class Receiver(Protocol):
    """A receiver class: `Receiver(tools)`, then `run()` until cancelled.

    With ``shared = True`` on the class there is one instance for all accounts of the channel: `Receiver([tools, ...])`.
    What `run` raises decides: Misconfigured pauses the account, anything else restarts it with back-off.
    """

    async def run(self) -> None: ...


class HttpReceiver(Receiver, Protocol):
    """A receiver that also serves HTTP below ``/ch/<account>`` (web chat)."""

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Route definitions with paths relative to ``/ch/<account>`` (``/ws``, ``/widget.js``)."""
        ...
