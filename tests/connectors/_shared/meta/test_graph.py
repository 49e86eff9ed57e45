"""What an answer of the Graph API means, by its code before its status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from connectors._shared.meta.graph import proof, raise_failure
from connectors._shared.meta.meaning import Meaning, code_of
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, RecipientGone, Refused, TryAgain
from omnibus.http import Response

OURS = Meaning(
    passing=frozenset({(7, 70)}),
    settings={(8, None): "page_id"},
    gone=frozenset({(100, 1)}),
    refusals={(100, None): "CHANNEL_FAILURE", (10, 99): "OUTSIDE_ALLOWED_SENDING_WINDOW"},
)


def answer(status: int, headers: dict[str, str] | None = None, **error: Any) -> Response:
    body = msgspec.json.encode({"error": {"message": "Ana wrote hello", **error}}) if error else b"<html>"
    return Response(status=status, headers=headers or {}, body=body)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(400, code=7, error_subcode=70), TryAgain),
        (answer(400, code=8), Misconfigured),
        (answer(400, code=100, error_subcode=1), RecipientGone),
        (answer(400, code=100, error_subcode=2), Refused),
        (answer(403, code=10, error_subcode=99), Refused),
        (answer(403, code=10), Misconfigured),
        (answer(400, code=190, error_subcode=463), Misconfigured),
        (answer(403, code=299), Misconfigured),
        (answer(400, code=613), TryAgain),
        (answer(400, code=100, is_transient=True), TryAgain),
        (answer(500, code=100), TryAgain),
        (answer(502), TryAgain),
        (answer(404), Refused),
        (answer(401), Misconfigured),
    ],
)
def test_the_code_decides_what_happens_next(response: Response, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught:
        raise_failure(response, OURS)
    assert type(caught.value) is expected
    assert "Ana" not in str(caught.value)


def test_meta_says_how_long_to_wait() -> None:
    with pytest.raises(TryAgain) as caught:
        raise_failure(answer(429, {"Retry-After": "90"}, code=4), OURS)
    assert caught.value.after == timedelta(seconds=90)


def test_codes_in_reports_have_the_same_words() -> None:
    assert code_of(100, OURS) == "CHANNEL_FAILURE"
    assert code_of(190, OURS) == "CHANNEL_BAD_CONFIGURATION"
    assert code_of(613, OURS) == "RATE_LIMITED"
    assert code_of(368, OURS) == "DELIVERY_REJECTED_DUE_TO_POLICY"
    assert code_of(123_456, OURS) == "CHANNEL_FAILURE"


def test_the_proof_is_the_token_signed_with_the_secret() -> None:
    """As ``printf token | openssl dgst -sha256 -hmac secret`` has it."""
    assert proof(Secret("token"), Secret("secret")) == (
        "e941110e3d2bfe82621f0e3e1434730d7305d106c5f68c87165d0b27a4611a4a"
    )
