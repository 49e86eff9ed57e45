"""A mailbox that is damaged, moved or numbered anew: what can be had is had once, and the rest is told."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.email.imap import fetch
from connectors.email.mapping import map_mail
from omnibus.channel.events import Message
from omnibus.model.content import Unsupported

Make = Callable[..., bytes]


async def off_loop(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return await asyncio.to_thread(call, *args, **named)


def numbered_anew(dovecot: Any) -> None:
    """What a restored or moved mailbox looks like: the same mails, other numbers.

    Dovecot takes the time in seconds for the new UIDVALIDITY, so within one second it would be the old one.
    """
    written = re.search(rb" V(\d+)", (dovecot.mailbox / "dovecot-uidlist").read_bytes())
    assert written is not None
    while time.time() < int(written[1]) + 1:
        time.sleep(0.05)
    for index in dovecot.mailbox.glob("dovecot*"):
        shutil.rmtree(index) if index.is_dir() else index.unlink()


async def test_a_mailbox_numbered_anew_is_known_again(reader: Any, dovecot: Any, make_mail: Make) -> None:
    """Stored mails are known by Message-ID, or by all of them; only what came meanwhile is new."""
    await off_loop(dovecot.put, make_mail("before"), make_mail("before too", message_id=False))
    async with reader.reading() as log:
        await off_loop(dovecot.put, *(make_mail(each, message_id=each % 5 != 0) for each in range(1, 21)))
        await log.until(lambda log: len(log.raws) == 20)
    await off_loop(dovecot.put, make_mail("meanwhile"), make_mail("meanwhile too", message_id=False))
    first = {raw.attributes["uidvalidity"] for raw in reader.log.raws}
    await off_loop(numbered_anew, dovecot)

    async with reader.reading() as log:
        await off_loop(dovecot.put, make_mail("afterwards"))
        await log.until(lambda log: len(log.raws) >= 23)
        assert log.subjects[20:] == ["meanwhile", "meanwhile too", "afterwards"]
        assert log.raws[-1].attributes["uidvalidity"] not in first
        assert {raw.origin for raw in log.raws} == {"live"}


async def test_a_mail_with_the_id_of_another_is_not_taken_for_it(reader: Any, dovecot: Any, make_mail: Make) -> None:
    """Neither when it comes, nor when the mailbox is numbered anew."""
    async with reader.reading() as log:
        await off_loop(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])
    same_id = make_mail(1).replace(b"Ana <ana@", b"Eve <eve@")
    await off_loop(dovecot.put, same_id)
    await off_loop(numbered_anew, dovecot)

    async with reader.reading() as log:
        await log.until(lambda log: len(log.raws) == 2)
        assert log.raws[-1].body == same_id


async def test_what_was_there_before_is_not_touched_when_a_mailbox_is_numbered_anew(
    reader: Any, dovecot: Any, make_mail: Make
) -> None:
    await off_loop(dovecot.put, make_mail("before"))
    async with reader.reading(after="leave") as log:
        await off_loop(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])
    await off_loop(numbered_anew, dovecot)

    async with reader.reading(after="delete"):
        pass
    assert reader.log.subjects == ["1"]
    assert "before" in await off_loop(dovecot.subjects)


def poison(dovecot: Any, subject: str) -> Path:
    """Make one mail unreadable: its file cannot be opened any more."""
    [path] = [each for each in dovecot.mailbox.glob("*/*") if f"Subject: {subject}".encode() in each.read_bytes()[:500]]
    path.write_bytes(b"")
    path.chmod(0)
    return Path(path)


async def test_a_mail_that_cannot_be_read_blocks_no_other(reader: Any, dovecot: Any, make_mail: Make) -> None:
    """This server hangs up on whoever asks for it; the others are had all the same, and it is recorded."""
    async with reader.reading():
        pass
    await off_loop(dovecot.put, *(make_mail(each) for each in range(1, 8)))
    await off_loop(poison, dovecot, "4")
    for _ in range(2 * fetch.TRIES + 2):
        running = asyncio.create_task(reader.receiver(timeout=timedelta(seconds=5)).run())
        whole = asyncio.create_task(reader.log.until(lambda log: len(log.raws) == 7))
        await asyncio.wait([running, whole], return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        whole.cancel()
        await asyncio.gather(running, whole, return_exceptions=True)
        if len(reader.log.raws) >= 7:
            break

    assert sorted(reader.log.subjects) == ["1", "2", "3", "5", "6", "7"]
    [unread] = [raw for raw in reader.log.raws if "problem" in raw.attributes]
    [event] = map_mail(unread)
    assert isinstance(event, Message)
    assert isinstance(event.content, Unsupported)
