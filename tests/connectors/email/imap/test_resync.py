"""Opening a folder again: with QRESYNC (RFC 7162) the server tells what changed; without it, we ask. Both lose nothing.

Between the receiver and Dovecot stands a relay that notes the receiver's commands, and can hide what Dovecot is capable
of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.email.settings import BackfillSettings

Make = Callable[..., bytes]


class Relay:
    """Passes everything on; `commands` are the receiver's lines since the last `forget`."""

    def __init__(self, server_port: int, *, resyncs: bool, refuses: bool = False) -> None:
        self.commands: list[str] = []
        self.passing: set[asyncio.Task[None]] = set()
        self.port = 0
        self._server_port = server_port
        self._refuses = refuses
        self.resyncs = resyncs
        self._hidden = () if resyncs else (b" QRESYNC", b" CONDSTORE")

    def forget(self) -> None:
        self.commands.clear()

    def said(self, word: str) -> list[str]:
        return [line for line in self.commands if word in line]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.passing.add(asyncio.ensure_future(self._pass_on(reader, writer)))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port, limit=2**24)
        both = [
            asyncio.create_task(self._up(reader, server_writer, writer)),
            asyncio.create_task(self._down(server_reader, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for side in (server_writer, writer):
                side.close()
                await asyncio.gather(side.wait_closed(), return_exceptions=True)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.commands.append(line.decode().strip())
            if self._refuses and b"(QRESYNC (" in line:
                back.write(line.split()[0] + b" BAD Unknown parameter\r\n")
            else:
                writer.write(line)

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            for word in self._hidden if b"CAPABILITY" in line else ():
                line = line.replace(word, b"")
            writer.write(line)


@asynccontextmanager
async def relaying(relay: Relay) -> AsyncIterator[Relay]:
    server = await asyncio.start_server(relay.handle, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    yield relay
    server.close()
    for each in relay.passing:
        each.cancel()
    await asyncio.gather(*relay.passing, return_exceptions=True)


@pytest.fixture(params=[True, False], ids=["with QRESYNC", "without"])
async def relay(request: pytest.FixtureRequest, dovecot: Any) -> AsyncIterator[Relay]:
    async with relaying(Relay(dovecot.port, resyncs=request.param)) as running:
        yield running


def change(dovecot: Any, uids: str, flags: str, *, expunge: bool = False) -> None:
    """What somebody does at the same mailbox with another program."""
    with dovecot.client() as client:
        client.select("INBOX")
        client.uid("STORE", uids, "+FLAGS", flags)
        if expunge:
            client.expunge()


async def test_mails_that_vanished_meanwhile_are_not_asked_for(
    reader: Any, relay: Any, dovecot: Any, make_mail: Make
) -> None:
    """A back-fill is interrupted; before it goes on, most of the mails are deleted."""
    await asyncio.to_thread(dovecot.put, *(make_mail(each) for each in range(1, 61)))
    everything = BackfillSettings(count=60)
    tools = reader.tools(port=relay.port, backfill=everything)
    tools.refusal = ConnectionError("the process dies here")
    with pytest.raises(ConnectionError):
        await type(reader.receiver())(tools).run()
    await asyncio.to_thread(change, dovecot, "4:57", "\\Deleted", expunge=True)
    relay.forget()

    async with reader.reading(port=relay.port, backfill=everything) as log:
        await log.until(lambda log: len(log.raws) == 6)
        assert log.subjects == ["1", "2", "3", "58", "59", "60"]
    asked = [line.split(" UID FETCH ")[1].split()[0] for line in relay.said("UID FETCH")]
    if relay.resyncs:
        assert set(asked) == {"1:3,58:60"}
        assert relay.said("(QRESYNC (")
    else:
        assert "1:60" in asked
        assert not relay.said("QRESYNC")


async def test_new_mail_is_told_when_the_folder_is_opened(
    reader: Any, relay: Any, dovecot: Any, make_mail: Make
) -> None:
    async with reader.reading(port=relay.port) as log:
        await asyncio.to_thread(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])
    await asyncio.to_thread(dovecot.put, make_mail(2), make_mail(3))
    relay.forget()

    async with reader.reading(port=relay.port) as log:
        assert log.subjects == ["1", "2", "3"]
    # One question remains: whether more has come while these were stored.
    assert len(relay.said("SEARCH")) == (1 if relay.resyncs else 2)


async def test_a_mail_that_came_and_went_hides_no_other(reader: Any, relay: Any, dovecot: Any, make_mail: Make) -> None:
    async with reader.reading(port=relay.port):
        pass
    await asyncio.to_thread(dovecot.put, make_mail(1), make_mail(2), make_mail(3))
    await asyncio.to_thread(change, dovecot, "2", "\\Deleted", expunge=True)

    async with reader.reading(port=relay.port) as log:
        assert log.subjects == ["1", "3"]


async def test_flags_that_others_change_bring_no_mail_back(
    reader: Any, relay: Any, dovecot: Any, make_mail: Make
) -> None:
    async with reader.reading(port=relay.port) as log:
        await asyncio.to_thread(dovecot.put, *(make_mail(each) for each in range(1, 6)))
        await log.until(lambda log: len(log.raws) == 5)
    await asyncio.to_thread(change, dovecot, "1:*", "(\\Seen \\Flagged)")
    relay.forget()

    async with reader.reading(port=relay.port) as log:
        assert len(log.raws) == 5
        # Told while we read, too: what a server says by itself is no answer to what we ask.
        await asyncio.to_thread(dovecot.put, make_mail(6))
        await asyncio.to_thread(change, dovecot, "1:5", "\\Answered")
        await asyncio.to_thread(dovecot.put, make_mail(7))
        await log.until(lambda log: len(log.raws) == 7)
    assert not [line for line in relay.said("UID FETCH") if " 1:5 " in line]
    assert [raw.attributes.get("problem") for raw in reader.log.raws] == [None] * 7


async def test_nothing_new_is_known_without_asking(reader: Any, relay: Any, dovecot: Any, make_mail: Make) -> None:
    """The folder's next number says so, with or without QRESYNC."""
    async with reader.reading(port=relay.port) as log:
        await asyncio.to_thread(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])
    relay.forget()
    async with reader.reading(port=relay.port):
        pass
    assert relay.said("SELECT")
    assert not relay.said("SEARCH")


async def test_a_server_that_offers_more_than_it_does_is_read_all_the_same(
    reader: Any, dovecot: Any, make_mail: Make
) -> None:
    async with relaying(Relay(dovecot.port, resyncs=True, refuses=True)) as relay:
        async with reader.reading(port=relay.port) as log:
            await asyncio.to_thread(dovecot.put, make_mail(1))
            await log.until(lambda log: log.subjects == ["1"])
        await asyncio.to_thread(dovecot.put, make_mail(2))

        async with reader.reading(port=relay.port) as log:
            assert log.subjects == ["1", "2"]
        assert relay.said("(QRESYNC (")
