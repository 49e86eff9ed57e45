"""Webhooks of Meta: the signature, the handshake, and whose events a request holds.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors._shared import signatures
from omnibus.channel.declaration import ProviderRetry
from omnibus.channel.receive import Answer, Request, Unverified, Verdict, Webhook
from omnibus.config.fields import Secret

SIGNATURE = "x-hub-signature-256"
VERIFY_TOKEN = "hub.verify_token"  # noqa: S105 - the parameter's name, not its value

RETRY = ProviderRetry(max_age=timedelta(hours=36), ack_deadline_ms=5_000)
"""Unanswered events are sent again, less and less often, for 36 hours; whoever answers late loses the subscription.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications
"""


def meta_webhook(
    addresses: Callable[[Request], Sequence[str]],
    address: Callable[[Any], str | None],
    attributes: Callable[[Request, Any], Mapping[str, str]] = lambda _request, _settings: {},
) -> Webhook:
    """The webhook of an app; all its accounts get their events at the same address.

    Its accounts' settings have an `app_secret`, a `previous_app_secret` while it is being reset, and a `verify_token`.
    """

    def verify(request: Request, settings: Any) -> Verdict:
        """The body is signed with the app secret, hexadecimal HMAC SHA-256 behind ``sha256=``."""
        secrets = [secret for secret in (settings.app_secret, settings.previous_app_secret) if secret is not None]
        signatures.check_hmac(secrets, request.body, request.header(SIGNATURE), prefix="sha256=")
        return "hmac"

    return Webhook(
        verify=verify,
        challenge=challenge,
        secret_params=frozenset({VERIFY_TOKEN}),
        addresses=addresses,
        address=address,
        attributes=attributes,
    )


def challenge(request: Request, settings: Any) -> Answer | None:
    """Meta asks once with GET, and wants its challenge back from somebody who knows the verify token."""
    if request.method != "GET" or request.param("hub.mode") is None:
        return None
    token: Secret = settings.verify_token
    given = (request.param(VERIFY_TOKEN) or "").encode("utf-8", "replace")
    if request.param("hub.mode") != "subscribe" or not hmac.compare_digest(given, token.reveal().encode()):
        raise Unverified(f"{VERIFY_TOKEN} is missing or wrong")
    return Answer(body=(request.param("hub.challenge") or "").encode("utf-8", "replace"))
