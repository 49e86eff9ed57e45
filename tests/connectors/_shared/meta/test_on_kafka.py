"""The same installation with one Kafka broker instead of the embedded bus: nothing but the address differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from omnibus import clock
from omnibus.testing.kafka import cluster

if TYPE_CHECKING:
    from tests.connectors._shared.meta.conftest import Installation

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    with cluster() as running:
        yield f"kafka://{','.join(running.addresses)}"


async def test_a_signed_request_is_answered_over_kafka(
    installation: Installation, say: Callable[..., dict[str, Any]]
) -> None:
    """From the front door by way of every stage to the provider and back: a copy is dropped, a forgery refused."""
    body = say({"1055": "Is it open today?"})
    assert await installation.webhook("wa-one", body, secret="of-somebody-else") == 401
    assert await installation.webhook("wa-one", body) == 200
    assert await installation.webhook("wa-one", body) == 200
    [received] = await installation.all("message.received")
    native_id = await installation.answered(received.message.conversation_id, "Until six.")
    [(token, path, sent)] = installation.graph.calls
    assert (token, path, sent["to"], sent["text"]["body"]) == (
        "token-one", "1055/messages", "12025550101", "Until six.",
    )  # fmt: skip

    status = {"id": native_id, "status": "read", "timestamp": str(clock.now_ms() // 1000)}
    status["biz_opaque_callback_data"] = sent["biz_opaque_callback_data"]
    metadata = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1055"}, "statuses": [status]}
    entry = {"id": "9001", "changes": [{"field": "messages", "value": metadata}]}
    assert await installation.webhook("wa-one", {"object": "whatsapp_business_account", "entry": [entry]}) == 200
    *_, read = await installation.all("message.delivery", 2)
    assert read.delivery.status == "read"
    [_, answer] = [
        event.type
        for event in await installation.events("omnibus.queue.general")
        if event.type in ("omnibus.conversation.assigned.v1", "omnibus.message.sent.v1")
    ]
    assert answer == "omnibus.message.sent.v1"
    assert len(installation.of_type(await installation.events(), "message.received")) == 1
