"""One folder, followed: which of its mails are to be fetched, and what is known of it afterwards.

Nothing here is stored: every change is a new `Folder`, which the receiver stores together with the mails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from connectors.email.imap.answers import Listed, Selected, Since
from connectors.email.imap.cursor import Folder, Memory, fingerprint, fingerprint_of_id
from connectors.email.imap.uids import MAX_UID, first_of, less, ranges_of, union, without
from connectors.email.imap.wire import Connection
from connectors.email.settings import BackfillSettings, ImapSettings

_LISTED = 200
"""Mails asked about in one command."""
_NEWEST = 50
"""Mails whose fingerprints are noted when a folder is met: they may have arrived in the second of the newest one."""


class Following:
    """The state of one folder between its commits."""

    def __init__(self, name: str, stored: Folder | None, settings: ImapSettings, known: int) -> None:
        self.name = name
        self._stored = stored
        self._settings = settings
        self._told: list[int] | None = None
        self._memory = Memory(stored.known if stored else b"", stored.floor_at if stored else 0, known)

    @property
    def state(self) -> Folder:
        """What is to be stored. Only after `meet`."""
        assert self._stored is not None, "a folder is met before it is read"
        return self._stored

    def is_as_stored(self, selected: Selected) -> bool:
        """Whether nothing can be new, by the folder's own numbers."""
        stored = self._stored
        return (
            stored is not None
            and (stored.validity, stored.next_uid) == (selected.validity, selected.next_uid)
            and not (stored.missing or stored.backfill or stored.acted)
            and stored.backfilled == _key(self._settings.backfill)
        )

    @property
    def since(self) -> Since | None:
        """What to ask when the folder is opened again: what became of mails that are still to be fetched or tidied up,
        and which have come."""
        stored = self._stored
        if stored is None or not stored.modseq:
            return None
        news = ((stored.next_uid, MAX_UID),)
        known = union(stored.missing, stored.backfill, stored.acted, news)
        return Since(validity=stored.validity, modseq=stored.modseq, known=known)

    async def meet(self, connection: Connection, selected: Selected) -> None:
        """Compare what is stored with what the server says, and note what is to be fetched."""
        stored = self._stored
        if stored is None:
            await self._begin(connection, selected)
        elif stored.validity != selected.validity or selected.next_uid < stored.next_uid:
            # A smaller UIDNEXT breaks RFC 3501, and means a folder restored from a copy: its UIDs are used again.
            await self._recognise(connection, selected, stored)
        else:
            self._stored = _without_vanished(stored, selected)
            self._told = _told(stored, selected)
        self._stored = replace(self.state, modseq=selected.modseq)
        if self.state.backfilled != (wanted := _key(self._settings.backfill)):
            before = await self._before(connection)
            self._stored = replace(self.state, backfill=before, backfilled=wanted)

    async def new_mail(self, connection: Connection) -> list[int]:
        """The UIDs of mail that is to be stored as new."""
        state = self.state
        found, self._told = self._told, None
        if found is None:
            found = await connection.search(f"UID {state.next_uid}:*")  # `*` is the last mail even where it is older
        return [*first_of(state.missing, _LISTED), *(uid for uid in found if uid >= state.next_uid)]

    def stored(self, uids: Sequence[int], mails: Iterable[Listed], *, backfill: bool) -> Folder:
        """The folder once these UIDs are done with; `mails` are those that were fetched."""
        state = self.state
        kept = [mail for mail in mails if mail.body is not None]
        self._memory.add((fingerprint(mail.body or b"") for mail in kept), max((mail.at for mail in kept), default=0))
        acts = self._settings.after != "leave"
        self._stored = replace(
            state,
            next_uid=state.next_uid if backfill else max(state.next_uid, max(uids, default=0) + 1),
            missing=without(state.missing, uids),
            backfill=without(state.backfill, uids) if backfill else state.backfill,
            # What could not be had whole stays where it is: it is the only copy.
            acted=ranges_of(mail.uid for mail in kept) if acts else (),
            tries={uid: count for uid, count in state.tries.items() if uid not in uids},
            known=self._memory.stored(),
            floor_at=self._memory.floor_at,
        )
        return self._stored

    def broke(self, uids: Sequence[int]) -> Folder:
        """The connection ended while these were fetched: next time one by one, and not for ever."""
        state = self.state
        if len(uids) == 1:
            tries = {**state.tries, uids[0]: state.tries.get(uids[0], 0) + 1}
            self._stored = replace(state, tries=tries)
        else:
            self._stored = replace(state, alone_until=max(state.alone_until, max(uids)))
        return self._stored

    def acted(self) -> None:
        """What `after` asks for is done."""
        self._stored = replace(self.state, acted=())

    async def _begin(self, connection: Connection, selected: Selected) -> None:
        """A folder seen for the first time: what is in it was there before."""
        newest = (await connection.search("ALL"))[-_NEWEST:]
        mails = await self._listed(connection, newest)
        for _, mark in mails:
            self._memory.add([mark], 0)
        self._stored = Folder(
            validity=selected.validity,
            next_uid=selected.next_uid,
            began_uid=selected.next_uid,
            began_at=max((mail.at for mail, _ in mails), default=0),
            known=self._memory.stored(),
        )

    async def _recognise(self, connection: Connection, selected: Selected, stored: Folder) -> None:
        """The server has numbered its mails anew: those known by their fingerprints are not fetched again.

        Of the others, those that arrived after we began to follow the folder are new. Older ones were there before:
        they are fetched only while a back-fill is still under way. Where more mails were stored than fingerprints are
        kept, the doubtful are fetched again as back-fill: deterministic ids make them no news, and nothing is lost.
        """
        missing: list[int] = []
        backfill: list[int] = []
        ours: list[int] = []
        for mail, mark in await self._listed(connection, await connection.search("ALL")):
            if mark in self._memory:
                ours += [mail.uid] if mail.at > stored.began_at else []
            elif mail.at > stored.floor_at and mail.at >= stored.began_at:
                missing.append(mail.uid)
            elif mail.at >= stored.began_at or stored.backfill:
                backfill.append(mail.uid)
        self._stored = replace(
            stored,
            validity=selected.validity,
            next_uid=selected.next_uid,
            missing=ranges_of(missing),
            backfill=ranges_of(backfill),
            began_uid=min(missing, default=selected.next_uid),
            acted=ranges_of(ours) if self._settings.after != "leave" else (),
            alone_until=0,
            tries={},
        )

    async def _listed(self, connection: Connection, uids: Sequence[int]) -> list[tuple[Listed, bytes]]:
        """Mails with their fingerprints. One without Message-ID is fetched whole for it, unless it is too large."""
        found: list[tuple[Listed, bytes]] = []
        for at in range(0, len(uids), _LISTED):
            for mail in await connection.listed(uids[at : at + _LISTED], header=True):
                mark = fingerprint_of_id(mail.header)
                if mark is None and mail.size <= self._settings.max_size:
                    mark = next((fingerprint(each.body or b"") for each in await connection.bodies([mail.uid])), None)
                found.append((mail, mark or b""))
        return found

    async def _before(self, connection: Connection) -> tuple[tuple[int, int], ...]:
        """The UIDs that the back-fill setting speaks of, of the mail that was there before."""
        wanted, last = self._settings.backfill, self.state.began_uid - 1
        if wanted is None or last < 1:
            return ()
        if wanted.since is not None:
            day = wanted.since
            month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[day.month - 1]
            found = await connection.search(f"UID 1:{last} SINCE {day.day}-{month}-{day.year}")
        else:
            found = (await connection.search(f"UID 1:{last}"))[-(wanted.count or 0) :]
        return ranges_of(uid for uid in found if uid <= last)


def _without_vanished(stored: Folder, selected: Selected) -> Folder:
    """Mails that are gone need neither be fetched nor moved: a server that tells of them saves us from asking."""
    if not selected.vanished:
        return stored
    gone = union(selected.vanished)
    return replace(
        stored,
        missing=less(stored.missing, gone),
        backfill=less(stored.backfill, gone),
        acted=less(stored.acted, gone),
    )


def _told(stored: Folder, selected: Selected) -> list[int] | None:
    """The new mails that opening the folder told of already; None when they must be asked for.

    Nothing is new below UIDNEXT. What the server lists as changed is only believed where it leaves no number out: a
    gap may be a mail that is gone, or one that the server forgot.
    """
    new = range(stored.next_uid, selected.next_uid)
    if not new:
        return []
    told = [uid for uid in selected.changed if uid in new]
    return sorted(told) if len(set(told)) == len(new) else None


def _key(wanted: BackfillSettings | None) -> str:
    if wanted is None:
        return ""
    return f"since {wanted.since.isoformat()}" if wanted.since is not None else f"count {wanted.count}"
