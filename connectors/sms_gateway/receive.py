"""Who may post for a gateway, what it hears back, and what is kept with its requests."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from connectors._shared import signatures
from connectors.sms_gateway.presets import incoming_of
from connectors.sms_gateway.rules import QUERY_ATTRIBUTE, RULES_ATTRIBUTE
from connectors.sms_gateway.settings import GatewaySettings
from omnibus.channel.receive import Answer, Request, Unverified, Verdict
from omnibus.config.fields import Secret

_LOST = "\ufffd"


def verify(request: Request, settings: GatewaySettings) -> Verdict:
    """How the gateway was proven. Raises Unverified."""
    match settings.verify:
        case "none":
            return "none"
        case "token":
            signatures.check_token(_secrets(settings), request.param(settings.token_param))
        case "header":
            signatures.check_token(_secrets(settings), request.header(settings.token_header.lower()))
        case "basic":
            _check_basic(settings, request.header("authorization"))
    return "token"


def answer(_request: Request, settings: GatewaySettings) -> Answer:
    """What the gateway wants to hear."""
    return Answer(body=(incoming_of(settings).answer or "").encode())


def secret_headers(settings: GatewaySettings) -> frozenset[str]:
    """The header that holds the token is not stored."""
    return frozenset({settings.token_header.lower()}) if settings.verify == "header" else frozenset()


def secret_params(settings: GatewaySettings) -> frozenset[str]:
    """Nor is the parameter; all requests may have it, because the address of delivery reports has."""
    return frozenset({settings.token_param})


def kept(request: Request, settings: GatewaySettings) -> Mapping[str, str]:
    """What the mapping needs to know: the account's rules, and a query that is not UTF-8 as it was written.

    So an event keeps its meaning when the settings change.
    """
    found = {RULES_ATTRIBUTE: _rules(settings)}
    if any(_LOST in value for _, value in request.query):
        found[QUERY_ATTRIBUTE] = _written_query(request.url, settings.token_param)
    return found


def _rules(settings: GatewaySettings) -> str:
    own = settings.incoming
    given = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    return msgspec.json.encode({"preset": settings.preset, "number": settings.from_number, "incoming": given}).decode()


def _written_query(url: str, token_param: str) -> str:
    query = url.partition("?")[2]
    return "&".join(piece for piece in query.split("&") if unquote(piece.partition("=")[0]) != token_param)


def _check_basic(settings: GatewaySettings, authorization: str | None) -> None:
    first, *others = _secrets(settings)
    try:
        signatures.check_basic(settings.webhook_user, first, authorization)
    except Unverified:
        if not others:
            raise
        signatures.check_basic(settings.webhook_user, others[0], authorization)


def _secrets(settings: GatewaySettings) -> list[Secret]:
    return [secret for secret in (settings.webhook_secret, settings.previous_secret) if secret is not None]
