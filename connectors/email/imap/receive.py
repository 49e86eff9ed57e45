"""The receiver of a mailbox: follows its folders, stores what is new with the place to go on, then tidies up.

The mails and the cursor are one transaction, so neither a crash between fetching and storing nor one behind it loses
or repeats a mail. Only then a mail is flagged, moved or deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from connectors.email.imap.answers import Selected
from connectors.email.imap.cursor import KNOWN, Folder, read_cursor, write_cursor
from connectors.email.imap.failures import Declined, LoginRefused, Lost
from connectors.email.imap.oauth import Tokens
from connectors.email.imap.uids import count_of, first_of, uids_in
from connectors.email.receive import mapping_attributes
from connectors.email.settings import EmailSettings, ImapSettings
from omnibus import clock
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import Misconfigured, Overloaded, PublishRejected, PublishUnknown, TryAgain
from omnibus.model import ids
from omnibus.model.raw import RawEvent

if TYPE_CHECKING:
    from connectors.email.imap.fetch import Got
    from connectors.email.imap.folder import Following
    from connectors.email.imap.wire import Connection

SLICE = 200
"""Mails asked about in one command."""

log = structlog.get_logger("omnibus.connectors.email")


class ImapReceiver:
    """One for each account with an `imap` section. Runs until cancelled.

    Raises Misconfigured when the login is refused for good, a folder does not exist or the extra is not installed;
    TryAgain when the server is away: the supervisor comes back with back-off. Fenced when another process took over.
    """

    def __init__(self, tools: ReceiverTools) -> None:
        self._tools = tools
        self._account: EmailSettings = tools.account.settings
        if self._account.imap is None:
            raise Misconfigured(f"channels.{tools.account.name}.imap", "needed to read a mailbox")
        self._settings: ImapSettings = self._account.imap
        self._tokens = Tokens(self._settings.oauth, tools.http) if self._settings.oauth is not None else None
        self._folders: dict[str, Folder] = {}

    async def run(self) -> None:
        try:
            from connectors.email.imap import folder, wire
        except ModuleNotFoundError as error:
            raise Misconfigured("imap", "needs the extra: pip install 'omnibus[imap]' (GPL-3.0)") from error
        self._folders = dict(read_cursor(await self._tools.cursor()).folders)
        connection = await self._connected(wire.Connection)
        try:
            self._tools.status("ok")
            share = max(100, KNOWN // len(self._settings.folders))
            names = self._settings.folders
            await self._follow(
                connection,
                [folder.Following(name, self._folders.get(name), self._settings, share) for name in names],
            )
        finally:
            await connection.close()

    async def _connected(self, make: type[Connection]) -> Connection:
        """A connection that is logged in. With a token that is refused, once more with a fresh one."""
        try:
            return await self._logged_in(make)
        except LoginRefused as error:
            if self._tokens is None:
                raise Misconfigured("imap.password", str(error)) from error
            self._tokens.refused()
        try:
            return await self._logged_in(make)
        except LoginRefused as error:
            raise Misconfigured("imap.oauth", f"{error}, although the token is fresh") from error

    async def _logged_in(self, make: type[Connection]) -> Connection:
        connection = make(self._settings)
        try:
            await connection.open()
            await connection.login(await self._secret(), token=self._tokens is not None)
        except BaseException:  # whatever it is: nobody else would hang up
            await connection.close()
            raise
        return connection

    async def _secret(self) -> str:
        if self._tokens is not None:
            return await self._tokens.token()
        return self._settings.password.reveal() if self._settings.password is not None else ""

    async def _follow(self, connection: Connection, followed: Sequence[Following]) -> None:
        while True:
            more = False
            for following in reversed(followed):  # the first stays open, and is the one that is watched
                more |= await self._visit(connection, following, watched=following is followed[0])
            self._tools.status("ok")
            if not more:
                await connection.wait(self._patience(connection))

    def _patience(self, connection: Connection) -> float:
        idle, poll = self._settings.idle.total_seconds(), self._settings.poll_every.total_seconds()
        return idle if connection.watches and len(self._settings.folders) == 1 else min(idle, poll)

    async def _visit(self, connection: Connection, following: Following, *, watched: bool) -> bool:
        """Store what is new in a folder and one batch of its back-fill; True when there is more of that."""
        if connection.selected != following.name:
            if not watched and following.is_as_stored(await self._looked_up(connection, following.name)):
                return False
            await self._open(connection, following)
        await self._tidy(connection, following)
        while uids := await following.new_mail(connection):
            for at in range(0, len(uids), SLICE):
                await self._take(connection, following, uids[at : at + SLICE], backfill=False)
        if batch := first_of(following.state.backfill, SLICE):
            await self._take(connection, following, batch, backfill=True)
        return bool(following.state.backfill)

    async def _looked_up(self, connection: Connection, name: str) -> Selected:
        try:
            return await connection.status(name)
        except Declined as error:
            raise _no_folder(name, error.will_pass, str(error)) from error

    async def _open(self, connection: Connection, following: Following) -> None:
        try:
            selected = await connection.select(following.name, following.since)
        except Declined as error:
            raise _no_folder(following.name, error.will_pass, str(error)) from error
        await following.meet(connection, selected)
        await self._commit([], following.name, following.state)
        if left := count_of(following.state.backfill):
            log.info("imap.backfill", account=self._tools.account.name, folder=following.name, left=left)

    async def _take(self, connection: Connection, following: Following, uids: Sequence[int], *, backfill: bool) -> None:
        """Fetch and store these mails, a bounded group at a time."""
        from connectors.email.imap.fetch import Fetch

        fetch = Fetch(connection, following.state, self._settings.max_size)
        for group in await fetch.groups(uids):
            try:
                got = await fetch.mails(group)
            except Lost:
                await self._commit([], following.name, following.broke(group))
                raise
            state = following.stored(group, [each.mail for each in got], backfill=backfill)
            raws = [self._raw_event(each, following, backfill=backfill) for each in got]
            await self._commit(raws, following.name, state)
            await self._tidy(connection, following)

    async def _commit(self, raws: Sequence[RawEvent], name: str, state: Folder) -> None:
        self._folders[name] = state
        cursor = write_cursor(self._folders)
        while True:
            try:
                await self._tools.publish_with_cursor(raws, cursor)
            except Overloaded as full:
                self._tools.status("degraded", "the bus is full; the mails stay on the server meanwhile")
                await asyncio.sleep(full.after.total_seconds())
            except (PublishRejected, PublishUnknown) as error:
                # The stored cursor knows whether it happened: the next run begins there.
                raise TryAgain(f"the log cannot be reached: {error}") from error
            else:
                return

    def _raw_event(self, got: Got, following: Following, *, backfill: bool) -> RawEvent:
        attributes = {
            **mapping_attributes(self._account),
            "folder": following.name,
            "uid": str(got.mail.uid),
            "uidvalidity": str(following.state.validity),
        }
        if got.problem is not None:
            attributes |= {"problem": got.problem, "size": str(got.mail.size)}
            log.warning("imap.mail_not_fetched", account=self._tools.account.name, uid=got.mail.uid, why=got.problem)
        return RawEvent(
            id=ids.random_id("raw"),
            channel=self._tools.account.channel.name,
            account=self._tools.account.name,
            received_at=clock.now(),
            body=got.mail.body if got.mail.body is not None else got.mail.header,
            transport="imap",
            origin="backfill" if backfill else "live",
            attributes=attributes,
        )

    async def _tidy(self, connection: Connection, following: Following) -> None:
        """Do with stored mails what `after` says. Done twice after a crash at worst, which changes nothing."""
        uids = list(uids_in(following.state.acted))
        if not uids:
            return
        try:
            if self._settings.move_to is not None:
                await connection.move(uids, self._settings.move_to)
            elif self._settings.after == "delete":
                await connection.delete(uids)
            else:
                await connection.mark(uids, "\\Seen")
        except Declined as error:
            if error.code in ("TRYCREATE", "NONEXISTENT"):
                raise Misconfigured("imap.after", f"the folder {self._settings.move_to} does not exist") from error
            log.warning("imap.after_refused", account=self._tools.account.name, folder=following.name, why=str(error))
        following.acted()


def _no_folder(name: str, will_pass: bool, words: str) -> Misconfigured | TryAgain:
    if will_pass:
        return TryAgain(f"the folder {name} cannot be opened: {words}")
    return Misconfigured("imap.folders", f"{name} cannot be opened: {words}")
