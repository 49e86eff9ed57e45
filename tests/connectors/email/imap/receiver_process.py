"""An ingress with one mailbox, as a process that dies where a test says: `before` or `after` the log has the mails."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from connectors._ingress.tools import AccountTools
from connectors.email.channel import CHANNEL
from connectors.email.imap.cursor import read_cursor
from connectors.email.imap.receive import ImapReceiver
from connectors.email.settings import BackfillSettings, EmailSettings, ImapSettings
from omnibus.blobs import FolderBlobs
from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.config.fields import Secret
from omnibus.http import Http
from omnibus.model.raw import RawEvent


class Dying(AccountTools):
    """Kills its process at a step that stores mails."""

    async def publish_with_cursor(self, raws: Sequence[RawEvent], cursor: bytes) -> None:
        steps[0] -= bool(raws)
        if raws and steps[0] == 0 and where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await super().publish_with_cursor(raws, cursor)
        stored[0] = cursor
        if raws and steps[0] == 0 and where == "after":
            os.kill(os.getpid(), signal.SIGKILL)


folder, port, user, password, where, count = sys.argv[1:]
steps = [int(count)]
stored = [b""]


async def main() -> None:
    imap = ImapSettings(
        host="127.0.0.1",
        port=int(port),
        tls=False,
        user=user,
        password=Secret(password),
        backfill=BackfillSettings(count=10_000),
        after="flag",
        timeout=timedelta(seconds=20),
    )
    settings = EmailSettings(addresses=("help@example.com",), imap=imap)
    account = Account(name="support-mail", channel=CHANNEL, settings=settings, inactivity=timedelta(days=14))
    blobs, topics = FolderBlobs(Path(folder) / "blobs"), Topics()
    bus = open_bus(f"embedded:{folder}/bus", topics, blobs)
    await bus.open()
    await bus.ensure_topics(topics.all_specs(partitions=1, channels=["email"], queues=[], automations=[]))
    idle = asyncio.Event()

    async with Http() as http:
        tools = Dying(
            account=account,
            http=http,
            blobs=blobs,
            bus=bus,
            topics=topics,
            publisher=bus.publisher("connectors"),
            tell=lambda _account, _state, _reason: told(),
        )

        def told() -> None:
            """Each round ends with a word on how it goes; one that leaves nothing to fetch is the last."""
            if stored[0] and not any(each.backfill for each in read_cursor(stored[0]).folders.values()):
                idle.set()

        running = asyncio.create_task(ImapReceiver(tools).run())
        done = asyncio.create_task(idle.wait())
        await asyncio.wait([running, done], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await bus.close()


asyncio.run(main())
