"""A mailbox on a real server: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from omnibus.errors import Misconfigured, TryAgain

Make = Callable[..., bytes]


async def off_loop(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return await asyncio.to_thread(call, *args, **named)


async def test_mail_is_stored_as_it_came_and_what_was_there_before_is_left_alone(
    reader: Any, dovecot: Any, make_mail: Make
) -> None:
    await off_loop(dovecot.put, make_mail("before"))
    async with reader.reading() as log:
        await off_loop(dovecot.put, make_mail(1), make_mail(2, message_id=False))
        await log.until(lambda log: len(log.raws) == 2)

        assert [raw.body for raw in log.raws] == [make_mail(1), make_mail(2, message_id=False)]
        assert {(raw.transport, raw.origin, raw.attributes["folder"]) for raw in log.raws} == {
            ("imap", "live", "INBOX")
        }
        assert log.states[-1] == ("ok", "")


async def test_mail_that_came_while_nobody_read_is_found_by_its_number(
    reader: Any, dovecot: Any, make_mail: Make
) -> None:
    """Not by dates and not by flags: somebody else may have read it already."""
    async with reader.reading():
        pass
    await off_loop(dovecot.put, make_mail(1), make_mail(2), date='"01-Jan-2020 10:00:00 +0000"')
    with dovecot.client() as client:
        client.select("INBOX")
        client.store("1:*", "+FLAGS", "\\Seen")

    async with reader.reading() as log:
        assert log.subjects == ["1", "2"]
    async with reader.reading() as log:
        assert log.subjects == ["1", "2"]


async def test_a_server_that_restarts_while_we_wait_loses_nothing(reader: Any, dovecot: Any, make_mail: Make) -> None:
    async with reader.reading():
        pass
    waiting = asyncio.create_task(reader.receiver().run())
    await reader.log.until(lambda log: len(log.states) > 1)
    await off_loop(dovecot.stop)
    with pytest.raises(TryAgain):
        await asyncio.wait_for(waiting, 20)
    with pytest.raises(TryAgain, match="cannot reach"):
        await reader.receiver().run()

    await off_loop(dovecot.start)
    await off_loop(dovecot.put, make_mail(1))
    async with reader.reading() as log:
        assert log.subjects == ["1"]


async def test_waiting_is_renewed_before_a_server_hangs_up(reader: Any, dovecot: Any, make_mail: Make) -> None:
    async with reader.reading(idle=timedelta(milliseconds=50)) as log:
        seen = len(log.states)
        await log.until(lambda log: len(log.states) > seen + 3)
        await off_loop(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])


async def test_several_folders_are_read(reader: Any, dovecot: Any, make_mail: Make) -> None:
    on_the_wire = '"Auftr&AOQ-ge &- more"'
    await off_loop(dovecot.put, make_mail("before"), folder=on_the_wire)
    folders = ("INBOX", "Aufträge & more")
    async with reader.reading(folders=folders, poll_every=timedelta(milliseconds=50)) as log:
        await off_loop(dovecot.put, make_mail(1), folder=on_the_wire)
        await off_loop(dovecot.put, make_mail(2))
        await log.until(lambda log: sorted(log.subjects) == ["1", "2"])
        assert {raw.attributes["folder"] for raw in log.raws} == set(folders)


@pytest.mark.parametrize(
    ("after", "left", "seen", "moved"),
    [
        ("leave", ["1", "2"], [], []),
        ("flag", ["1", "2"], ["1", "2"], []),
        ("delete", [], [], []),
        ("move:Done", [], [], ["1", "2"]),
    ],
)
async def test_stored_mail_is_left_flagged_deleted_or_moved(
    reader: Any, dovecot: Any, make_mail: Make, after: str, left: list[str], seen: list[str], moved: list[str]
) -> None:
    await off_loop(dovecot.put, folder="Done")
    async with reader.reading(after=after) as log:
        await off_loop(dovecot.put, make_mail(1), make_mail(2))
        await log.until(lambda log: sorted(log.subjects) == ["1", "2"])

        def done() -> bool:
            found = dovecot.subjects(), dovecot.subjects(criteria="SEEN"), dovecot.subjects("Done")
            return bool(found == (left, seen, moved))

        async with asyncio.timeout(20):
            while True:
                if await off_loop(done):
                    break
                await asyncio.sleep(0.02)


async def test_a_mail_is_only_deleted_once_the_log_has_it(reader: Any, dovecot: Any, make_mail: Make) -> None:
    async with reader.reading():
        pass
    await off_loop(dovecot.put, make_mail(1))
    tools = reader.tools(after="delete")
    tools.refusal = ConnectionError("the process dies here")
    with pytest.raises(ConnectionError):
        await type(reader.receiver())(tools).run()
    assert await off_loop(dovecot.subjects) == ["1"]

    async with reader.reading(after="delete") as log:
        assert log.subjects == ["1"]
    assert await off_loop(dovecot.subjects) == []


async def test_a_mail_too_large_is_recorded_and_passed(reader: Any, dovecot: Any, make_mail: Make) -> None:
    async with reader.reading(max_size=10_000) as log:
        await off_loop(dovecot.put, make_mail(1), make_mail(2, body="x" * 20_000), make_mail(3))
        await log.until(lambda log: log.subjects == ["1", "2", "3"])
        [large] = [raw for raw in log.raws if "problem" in raw.attributes]
        assert (large.attributes["problem"], len(large.body) < 200) == ("too_large", True)
        assert int(large.attributes["size"]) > 20_000


async def test_a_wrong_password_is_told_to_the_operator(reader: Any) -> None:
    with pytest.raises(Misconfigured, match=r"imap\.password"):
        await reader.receiver(
            user='help"\\', password=type(reader.tools().account.settings.imap.password)("wrong")
        ).run()


async def test_a_folder_that_is_not_there_is_told_to_the_operator(reader: Any) -> None:
    with pytest.raises(Misconfigured, match=r"imap\.folders: Nowhere"):
        await reader.receiver(folders=("INBOX", "Nowhere")).run()
