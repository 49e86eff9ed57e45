"""Proofs: what is good is accepted, everything else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Standard

from connectors._shared import receivers, signatures
from omnibus.channel.receive import Request, Unverified, Webhook
from omnibus.config.fields import Secret, Settings
from omnibus.standard_webhooks import lenient_key, signed_headers

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TS = str(int(AT.timestamp()))
KEY, OLD = Secret("invented-key"), Secret("invented-old-key")
BODY = b'{"text":"hi"}'


def request(headers: Mapping[str, str], body: bytes = BODY, at: datetime = AT) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method="POST", path="/in/x", received_at=at, body=body, headers=pairs)


def mac(key: str, data: bytes, name: str = "sha256") -> bytes:
    return hmac.new(key.encode(), data, name).digest()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_signature_in_hex_or_base64_is_accepted(algorithm: Any) -> None:
    signature = mac("invented-key", BODY, algorithm)
    signatures.check_hmac([KEY], BODY, f"v={signature.hex()}", prefix="v=", algorithm=algorithm)
    encoded = base64.b64encode(signature).decode()
    signatures.check_hmac([KEY], BODY, encoded, encoding="base64", algorithm=algorithm)


def test_while_secrets_rotate_either_is_accepted() -> None:
    for key in ("invented-key", "invented-old-key"):
        signatures.check_hmac([KEY, OLD], BODY, mac(key, BODY).hex())
    with pytest.raises(Unverified):
        signatures.check_hmac([KEY, OLD], BODY, mac("a third", BODY).hex())


@pytest.mark.parametrize("given", [None, "", "zz", "é", "sha256=", "00" * 32, "00" * 31, "0" * 100_000])
def test_what_is_no_signature_is_refused(given: str | None) -> None:
    for encoding in ("hex", "base64"):
        with pytest.raises(Unverified):
            signatures.check_hmac([KEY], BODY, given, encoding=encoding)


@pytest.mark.parametrize(
    "given", [None, "", "x", "-1", "1e9", "²", TS + "0" * 20, str(int(TS) - 301), str(int(TS) + 301), f" {TS}"]
)
def test_a_time_that_is_far_from_now_or_none_is_refused(given: str | None) -> None:
    with pytest.raises(Unverified):
        signatures.check_timestamp(given, AT)


@pytest.mark.parametrize("given", [TS, str(int(TS) - 299), str(int(TS) + 299), TS + "123"])
def test_a_time_near_now_is_accepted_in_seconds_and_milliseconds(given: str) -> None:
    assert signatures.check_timestamp(given, AT) == given


def test_standard_webhooks_are_those_of_the_reference_library() -> None:
    secret = "whsec_" + base64.b64encode(b"invented-standard-key-0123456789").decode()
    reference = Standard(secret)
    theirs = {
        "webhook_id": "msg_1",
        "webhook_timestamp": TS,
        "webhook_signature": f"v1a,x v1,AAAA {reference.sign('msg_1', AT, BODY.decode())}",
    }
    signatures.check_standard_webhooks([Secret(secret)], request(theirs))
    now = datetime.now(UTC)
    ours = signed_headers([lenient_key(secret)], "msg_2", int(now.timestamp()), BODY)
    assert reference.verify(BODY, ours) == {"text": "hi"}


@pytest.mark.parametrize(
    "change",
    [
        {"webhook_id": "msg_2"},
        {"webhook_id": ""},
        {"webhook_timestamp": str(int(TS) + 1)},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v2,AAAA"},
        {"webhook_signature": "v1,not base64"},
    ],
)
def test_a_standard_webhook_that_was_changed_is_refused(change: dict[str, str]) -> None:
    secret = Secret("whsec_" + base64.b64encode(b"invented-standard-key-0123456789").decode())
    good = signed_headers([lenient_key(secret.reveal())], "msg_1", int(AT.timestamp()), BODY)
    headers = {name.replace("-", "_"): value for name, value in good.items()}
    signatures.check_standard_webhooks([secret], request(headers))
    with pytest.raises(Unverified):
        signatures.check_standard_webhooks([secret], request({**headers, **change}))
    with pytest.raises(Unverified):
        signatures.check_standard_webhooks([secret], request(headers, BODY + b" "))
    with pytest.raises(Unverified):
        signatures.check_standard_webhooks([secret], request(headers, at=AT + timedelta(minutes=6)))


def test_basic_and_bearer_credentials() -> None:
    basic = "Basic " + base64.b64encode(b"omnibus:invented-key").decode()
    signatures.check_basic("omnibus", KEY, basic)
    signatures.check_bearer([KEY], "bearer invented-key")
    for wrong in (None, "", "Basic", "Basic !!", "Basic \u00e9", "Bearer another", "Digest x", basic + "AAAA"):
        with pytest.raises(Unverified):
            signatures.check_basic("omnibus", KEY, wrong)
        with pytest.raises(Unverified):
            signatures.check_bearer([KEY], wrong)


class Account(Settings, frozen=True, kw_only=True):
    """Settings of every kind of proof."""

    webhook_secret: Secret | tuple[Secret, ...] | None = KEY
    app_secret: Secret | None = KEY
    signing_secret: Secret | None = KEY
    webhook_user: str | None = "omnibus"
    webhook_password: Secret | None = KEY


KINDS: dict[str, tuple[Callable[[], Webhook], dict[str, str], str]] = {
    "token": (lambda: receivers.webhook_with_token("X-Token"), {"x_token": "invented-key"}, "token"),
    "bearer": (receivers.webhook_with_bearer, {"authorization": "Bearer invented-key"}, "token"),
    "basic": (
        receivers.webhook_with_basic,
        {"authorization": "Basic " + base64.b64encode(b"omnibus:invented-key").decode()},
        "token",
    ),
    "hmac": (
        lambda: receivers.webhook_with_hmac("X-Hub-Signature-256", prefix="sha256="),
        {"x_hub_signature_256": "sha256=" + mac("invented-key", BODY).hex()},
        "hmac",
    ),
    "timestamped": (
        lambda: receivers.webhook_with_timestamped_hmac("X-Slack-Signature", "X-Slack-Request-Timestamp"),
        {
            "x_slack_signature": "v0=" + mac("invented-key", f"v0:{TS}:".encode() + BODY).hex(),
            "x_slack_request_timestamp": TS,
        },
        "hmac",
    ),
    "standard": (
        receivers.webhook_with_standard_signature,
        {
            "webhook_id": "m1",
            "webhook_timestamp": TS,
            "webhook_signature": "v1," + base64.b64encode(mac("invented-key", f"m1.{TS}.".encode() + BODY)).decode(),
        },
        "hmac",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_made_webhook_proves_its_sender(kind: str) -> None:
    make, headers, verdict = KINDS[kind]
    webhook = make()
    assert webhook.verify(request(headers), Account()) == verdict
    for name in headers:
        with pytest.raises(Unverified):
            webhook.verify(request({key: value for key, value in headers.items() if key != name}), Account())
    none = Account(webhook_secret=None, app_secret=None, signing_secret=None, webhook_password=None)
    assert webhook.verify(request({}), none) == "none"


def test_several_secrets_can_be_set() -> None:
    webhook = receivers.webhook_with_token("X-Token")
    both = Account(webhook_secret=(KEY, OLD))
    assert webhook.verify(request({"x_token": "invented-old-key"}), both) == "token"
    assert webhook.secret_headers == {"x-token"}


def test_refusals_quote_nothing() -> None:
    for check in (
        lambda: signatures.check_token([KEY], "sent-by-a-stranger"),
        lambda: signatures.check_hmac([KEY], BODY, "sent-by-a-stranger"),
        lambda: signatures.check_timestamp("sent-by-a-stranger", AT),
    ):
        with pytest.raises(Unverified) as refusal:
            check()
        assert "stranger" not in str(refusal.value)
        assert "invented" not in str(refusal.value)


def test_the_digest_is_hmac() -> None:
    assert signatures.digest(KEY, BODY) == hmac.new(b"invented-key", BODY, hashlib.sha256).digest()
