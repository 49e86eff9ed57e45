"""A post and a message of one customer, through the real front door, to answers in public and in private."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnibus.testing.pipeline import pipeline
from omnibus.testing.ports import free_port

if TYPE_CHECKING:
    from tests.connectors.x.conftest import FakeX

ANA = "2200000000000000002"
CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  x: {{type: x, user_id: "1100000000000000001", client_secret: invented-client-secret, access_token: invented-token,
       api_url: "{provider}"}}
queues: {{general: {{}}}}
routes: [{{name: everything, to: queue:general}}]
sinks:
  files: {{type: jsonl, from: [queue:general], folder: {folder}/queues}}
"""


async def test_a_customer_is_answered_where_they_wrote(
    tmp_path: Path,
    fake_x: FakeX,
    signed: Callable[..., tuple[bytes, dict[str, str]]],
    dm: Callable[..., dict[str, Any]],
    mention: Callable[..., dict[str, Any]],
) -> None:
    port = free_port()
    async with pipeline(tmp_path, CONFIG.format(folder=tmp_path, port=port, provider=fake_x.url), port) as desk:

        async def receive(body: dict[str, Any]) -> int:
            data, headers = signed(body, "invented-client-secret", newer=True)
            async with desk.session.post(f"{desk.url}/in/x", data=data, headers=headers) as answer:
                return answer.status

        assert await receive(mention("Is @example_store open?", "2008100000000000100")) == 200
        assert await receive(dm("Where is my parcel?", "2008100000000000200")) == 200
        public = await desk.first(
            "message.received", lambda data: data.message.content.__struct_config__.tag == "social"
        )
        private = await desk.first(
            "message.received", lambda data: data.message.content.__struct_config__.tag == "text"
        )
        assert public.subject != private.subject
        await desk.reply(public.subject, "Yes, until six.")
        await desk.reply(private.subject, "It comes today.")
        for event in (public, private):
            await desk.first("message.delivery", partial(_is_of, event.subject))

    calls = {path: body for _, path, body in fake_x.calls}
    assert calls == {
        "/2/tweets": {"text": "Yes, until six.", "reply": {"in_reply_to_tweet_id": "2008100000000000100"}},
        f"/2/dm_conversations/with/{ANA}/messages": {"text": "It comes today."},
    }


def _is_of(conversation: str, data: Any) -> bool:
    return bool(data.conversation_id == conversation)
