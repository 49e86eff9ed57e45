"""From an HTTP request to our `Request`, and from that to the raw event that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import parse_qsl

from aiohttp import web

from omnibus import clock
from omnibus.channel.receive import SECRET_HEADERS, Request, Unacceptable, Verdict, Webhook
from omnibus.model import ids
from omnibus.model.raw import RawEvent
from omnibus.telemetry.redact import MASK

MAX_PARAMS = 200
MAX_FORWARDED = 20

Network = IPv4Network | IPv6Network
Pairs = tuple[tuple[str, str], ...]


class Proxies:
    """The proxies whose ``X-Forwarded-For`` is believed; nobody else's is, since anybody can write that header."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def client_of(self, peer: str | None, forwarded: Sequence[str]) -> str | None:
        """The nearest address that is not one of our proxies, from the right, as RFC 7239 section 8.1 advises."""
        if not self._networks or not self._trusts(peer):
            return peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")][-MAX_FORWARDED:]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return peer
            peer = str(address)
            if not self._trusts(peer):
                return peer
        return peer

    def _trusts(self, peer: str | None) -> bool:
        address = _address(peer or "")
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def request_of(http: web.Request, body: bytes, proxies: Proxies, public_url: str = "") -> Request:
    """The request as it arrived, whole. Raises Unacceptable for a query with too many parameters."""
    target = readable(http.raw_path)
    path, _, query = target.partition("?")
    headers = tuple([(readable(name).lower(), readable(value)) for name, value in http.headers.items()])
    return Request(
        method=http.method,
        path=path,
        received_at=clock.now(),
        body=body,
        query=_query(query) if query else (),
        headers=headers,
        remote=proxies.client_of(http.remote, http.headers.getall("X-Forwarded-For", ())),
        url=f"{public_url or f'{http.scheme}://{readable(http.host)}'}{target}",
    )


def _query(text: str) -> Pairs:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMS))
    except ValueError:
        raise Unacceptable(f"more than {MAX_PARAMS} query parameters") from None


def readable(text: str) -> str:
    """Header text that can be stored: the server keeps bytes that are not UTF-8 as lone surrogates."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


class Masks:
    """The headers and query parameters of an account that must not be stored."""

    def __init__(self, webhook: Webhook, settings: object) -> None:
        named = frozenset(name.lower() for name in webhook.secret_headers_of(settings))
        self._headers = SECRET_HEADERS | frozenset(name.lower() for name in webhook.secret_headers) | named
        self._params = webhook.secret_params | webhook.secret_params_of(settings)

    def headers(self, pairs: Pairs) -> Pairs:
        return _without(pairs, self._headers)

    def params(self, pairs: Pairs) -> Pairs:
        return _without(pairs, self._params)


def _without(pairs: Pairs, secret: frozenset[str]) -> Pairs:
    for name, _ in pairs:
        if name in secret:
            return tuple([(name, MASK if name in secret else value) for name, value in pairs])
    return pairs


def raw_event_of(
    request: Request, *, channel: str, account: str, verified: Verdict, masks: Masks, attributes: dict[str, str]
) -> RawEvent:
    """The raw event that keeps this request, byte for byte but for its secrets."""
    return RawEvent(
        id=ids.random_id("raw"),
        channel=channel,
        account=account,
        received_at=request.received_at,
        body=request.body,
        method=request.method,
        path=request.path,
        query=masks.params(request.query),
        headers=masks.headers(request.headers),
        verified=verified,
        remote=request.remote,
        attributes=attributes,
    )
