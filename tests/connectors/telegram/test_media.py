"""A file id becomes bytes, or a reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.telegram.media import TelegramMedia
from omnibus.channel.send import SenderTools
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.model.content import AttachmentRef

if TYPE_CHECKING:
    from tests.connectors.telegram.conftest import FakeBotApi

VOICE = AttachmentRef(scheme="native", uri="AwACexample")


async def test_a_file_is_found_and_streamed(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    telegram.files["documents/AwACexample.bin"] = bytes(300_000)
    content = await TelegramMedia(sender_tools).fetch(VOICE)
    chunks = [chunk async for chunk in content.chunks]
    assert b"".join(chunks) == bytes(300_000)
    assert len(chunks) > 1
    assert content.file_name == "AwACexample.bin"


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("Bad Request: file is too big", "MEDIA_TOO_LARGE"),
        ("Bad Request: wrong file_id or the file is temporarily unavailable", "MEDIA_NOT_REACHABLE"),
        ("Bad Request: something new", "MEDIA_NOT_REACHABLE"),
    ],
)
async def test_what_telegram_refuses_is_final(
    telegram: FakeBotApi, sender_tools: SenderTools, description: str, code: str
) -> None:
    telegram.will_answer("getFile", (400, {"ok": False, "error_code": 400, "description": description}))
    with pytest.raises(Refused) as caught:
        await TelegramMedia(sender_tools).fetch(VOICE)
    assert caught.value.code == code


async def test_a_link_that_has_expired_is_final(sender_tools: SenderTools) -> None:
    content = await TelegramMedia(sender_tools).fetch(VOICE)
    with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
        await anext(content.chunks)


async def test_a_reference_of_another_kind_is_not_ours(sender_tools: SenderTools) -> None:
    with pytest.raises(Refused, match="not a file id"):
        await TelegramMedia(sender_tools).fetch(AttachmentRef(scheme="url", uri="https://files.example.com/a"))


@pytest.mark.parametrize("path", ["/var/lib/telegram-bot-api/7000000900/voice/1.oga", "../../etc/passwd"])
async def test_a_path_of_the_servers_own_disk_is_a_wrong_setting(
    telegram: FakeBotApi, sender_tools: SenderTools, path: str
) -> None:
    """A Bot API server in local mode says where the file is on its disk."""
    telegram.will_answer("getFile", (200, {"ok": True, "result": {"file_id": "AwACexample", "file_path": path}}))
    with pytest.raises(Misconfigured, match="--local"):
        await TelegramMedia(sender_tools).fetch(VOICE)


async def test_telegram_away_is_a_passing_fault(telegram: FakeBotApi, sender_tools: SenderTools) -> None:
    telegram.will_answer("getFile", (502, "<html>"))
    with pytest.raises(TryAgain):
        await TelegramMedia(sender_tools).fetch(VOICE)
