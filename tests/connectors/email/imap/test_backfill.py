"""Mail that was there before: bounded, marked, resumed where it stopped, and never in the way of new mail."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.email.settings import BackfillSettings
from omnibus.blobs import FolderBlobs
from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.model.raw import RawEvent, decode_raw

MAILS = int(os.environ.get("OMNIBUS_BACKFILL_MAILS", "2000"))


def fill(dovecot: Any, make_mail: Any, count: int) -> None:
    """Mails put into the mailbox's folder by hand, as a migration does: by IMAP it would take minutes."""
    dovecot.put()
    for number in range(count):
        path = dovecot.mailbox / "cur" / f"{1_700_000_000 + number}.M{number}P1.mx:2,"
        path.write_bytes(make_mail(number))
        os.utime(path, (1_700_000_000 + number,) * 2)
    dovecot.own(dovecot.mailbox)


def is_backfill(raw: RawEvent) -> bool:
    return raw.origin == "backfill"


async def test_so_many_of_the_newest_mails_are_taken_once_and_marked(reader: Any, dovecot: Any, make_mail: Any) -> None:
    await asyncio.to_thread(dovecot.put, *(make_mail(each) for each in range(1, 8)))
    async with reader.reading(backfill=BackfillSettings(count=3)) as log:
        await log.until(lambda log: len(log.raws) == 3)
        await asyncio.to_thread(dovecot.put, make_mail("new"))
        await log.until(lambda log: len(log.raws) == 4)
        assert [(raw.origin, subject) for raw, subject in zip(log.raws, log.subjects, strict=True)] == [
            ("backfill", "5"),
            ("backfill", "6"),
            ("backfill", "7"),
            ("live", "new"),
        ]
    async with reader.reading(backfill=BackfillSettings(count=3)) as log:
        assert len(log.raws) == 4


async def test_mail_from_a_day_on_is_taken_also_when_it_is_asked_for_later(
    reader: Any, dovecot: Any, make_mail: Any
) -> None:
    await asyncio.to_thread(dovecot.put, make_mail("old"), date='"01-Jan-2020 10:00:00 +0000"')
    await asyncio.to_thread(dovecot.put, make_mail("newer"), date='"01-Mar-2025 10:00:00 +0000"')
    async with reader.reading() as log:
        await asyncio.to_thread(dovecot.put, make_mail("live"))
        await log.until(lambda log: log.subjects == ["live"])

    async with reader.reading(backfill=BackfillSettings(since=date(2025, 2, 28))) as log:
        await log.until(lambda log: log.subjects == ["live", "newer"])
        assert is_backfill(log.raws[-1])


def test_one_bound_must_be_given() -> None:
    with pytest.raises(ValueError, match="either since or count"):
        BackfillSettings()


async def killed(folder: Path, dovecot: Any, password: str, where: str, step: int) -> int:
    """Run the process; its return code is -9 when it died as it was told."""
    script = Path(__file__).with_name("receiver_process.py")
    arguments = [str(folder), str(dovecot.port), dovecot.user, password, where, str(step)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *arguments)
    return await asyncio.wait_for(process.wait(), 100)


async def stored(folder: Path) -> list[RawEvent]:
    blobs, topics = FolderBlobs(folder / "blobs"), Topics()
    bus = open_bus(f"embedded:{folder}/bus", topics, blobs)
    await bus.open()
    found: list[RawEvent] = []
    while records := await bus.read(topics.raw("email"), 0, len(found)):
        found += [decode_raw(record.value or b"") for record in records]
    await bus.close()
    return found


@pytest.mark.timeout(600)
async def test_a_large_mailbox_is_taken_once_although_the_process_is_killed_again_and_again(
    dovecot: Any, make_mail: Any, tmp_path: Path
) -> None:
    """Killed between fetching and storing, and between storing and flagging; each mail is stored once and flagged."""
    await asyncio.to_thread(fill, dovecot, make_mail, MAILS)
    for where, step in (("before", 1), ("before", 7), ("after", 3), ("after", 1), ("before", 5)):
        assert await killed(tmp_path, dovecot, "invented-password", where, step) == -9
    assert await killed(tmp_path, dovecot, "invented-password", "never", 0) == 0

    raws = await stored(tmp_path)
    subjects = Counter(raw.body.split(b"Subject: ")[1].split(b"\r\n")[0] for raw in raws)
    assert len(subjects) == MAILS
    assert set(subjects.values()) == {1}
    assert all(is_backfill(raw) for raw in raws)
    with dovecot.client() as client:
        client.select("INBOX")
        assert client.search(None, "UNSEEN")[1] == [b""]
