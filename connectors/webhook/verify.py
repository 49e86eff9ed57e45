"""Who may post to a webhook account, as its settings say."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from connectors._shared import signatures
from connectors.webhook.settings import MAPPING_ATTRIBUTE, MappingSettings, WebhookSettings
from omnibus.channel.receive import Request, Unverified, Verdict
from omnibus.config.fields import Secret

_DEFAULT = MappingSettings()
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def verify(request: Request, settings: WebhookSettings) -> Verdict:
    """How the sender was proven. Raises Unverified."""
    match settings.verify:
        case "none":
            return "none"
        case "loopback":
            _check_loopback(request)
            return "none"
        case "token":
            signatures.check_token(_secrets(settings), request.header(settings.token_header.lower()))
            return "token"
        case "bearer":
            signatures.check_bearer(_secrets(settings), request.header("authorization"))
            return "token"
        case "hmac":
            _check_hmac(request, settings)
            return "hmac"
        case "standard_webhooks":
            signatures.check_standard_webhooks(_secrets(settings), request)
            return "hmac"


def secret_headers(settings: WebhookSettings) -> frozenset[str]:
    """The header that holds the token is not stored."""
    return frozenset({settings.token_header.lower()}) if settings.verify == "token" else frozenset()


def stored_mapping(_request: Request, settings: WebhookSettings) -> Mapping[str, str]:
    """The account's mapping, kept with the raw event: the mapping is pure and sees nothing else.

    So an event keeps its meaning when the settings change; replaying with the new settings is a decision of its own.
    """
    if settings.mapping == _DEFAULT:
        return {}
    return {MAPPING_ATTRIBUTE: msgspec.json.encode(settings.mapping).decode()}


def _check_loopback(request: Request) -> None:
    """A request that came through a proxy on this machine looks local and is not."""
    if not _is_loopback(request.remote or ""):
        raise Unverified("only this machine may post here; set verify to let others in")
    if any(request.header(name) is not None for name in _FORWARDED):
        raise Unverified("the request came through a proxy; set verify to let others in")


def _is_loopback(remote: str) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _check_hmac(request: Request, settings: WebhookSettings) -> None:
    how, signed = settings.hmac, request.body
    if how.timestamp_header is not None:
        given = request.header(how.timestamp_header.lower())
        timestamp = signatures.check_timestamp(given, request.received_at, how.window)
        signed = how.template.replace("{timestamp}", timestamp).encode() + signed
    signatures.check_hmac(
        _secrets(settings),
        signed,
        request.header(how.header.lower()),
        prefix=how.prefix,
        encoding=how.encoding,
        algorithm=how.algorithm,
    )


def _secrets(settings: WebhookSettings) -> list[Secret]:
    return [secret for secret in (settings.webhook_secret, settings.previous_secret) if secret is not None]
