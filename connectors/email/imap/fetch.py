"""Fetching mails in bounded groups: one that is huge, gone or unreadable does not hinder the others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from connectors.email.imap.answers import Listed
from connectors.email.imap.cursor import Folder
from connectors.email.imap.failures import Declined
from connectors.email.imap.wire import Connection

BATCH = 50
"""Mails fetched and stored in one step, unless they are large."""
BATCH_BYTES = 8_000_000
TRIES = 2
"""So often one mail may break the connection; then its header alone is asked for, and after as many more nothing."""


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it was had: whole, or with the `problem` that left no more of it than its header."""

    mail: Listed
    problem: str | None = None


class Fetch:
    """Fetches mails of the folder that is open. A mail that is gone by now is left out."""

    def __init__(self, connection: Connection, state: Folder, max_size: int) -> None:
        self._connection = connection
        self._state = state
        self._max_size = max_size

    async def groups(self, uids: Sequence[int]) -> list[list[int]]:
        """The UIDs in groups that may be fetched together: suspects and large ones alone."""
        alone = [[uid] for uid in uids if uid <= self._state.alone_until]
        rest = [uid for uid in uids if uid > self._state.alone_until]
        if not rest:
            return alone
        try:
            sizes = {mail.uid: mail.size for mail in await self._connection.listed(rest)}
        except Declined:
            return alone + [[uid] for uid in rest]
        return alone + self._bounded(rest, sizes)

    async def mails(self, uids: Sequence[int]) -> list[Got]:
        """These mails. Raises Lost when the connection breaks."""
        if len(uids) == 1:
            return await self._one(uids[0])
        try:
            bodies = {mail.uid: mail for mail in await self._connection.bodies(uids)}
        except Declined:
            bodies = {}
        found: list[Got] = []
        for uid in uids:
            mail = bodies.get(uid)
            found += [Got(mail=mail)] if mail is not None and mail.body is not None else await self._one(uid)
        return found

    async def _one(self, uid: int) -> list[Got]:
        tries = self._state.tries.get(uid, 0)
        if tries >= 2 * TRIES:
            return [Got(mail=Listed(uid=uid, size=0, at=0), problem="unfetchable")]
        if tries >= TRIES:
            return [await self._without_body(Listed(uid=uid, size=0, at=0), "unfetchable")]
        try:
            listed = await self._connection.listed([uid])
            if not listed:
                return []
            if listed[0].size > self._max_size:
                return [await self._without_body(listed[0], "too_large")]
            found = await self._connection.bodies([uid])
        except Declined:
            return [await self._without_body(Listed(uid=uid, size=0, at=0), "unfetchable")]
        if found and found[0].body is not None:
            return [Got(mail=found[0])]
        return [await self._without_body(listed[0], "unfetchable")]

    async def _without_body(self, mail: Listed, problem: str) -> Got:
        try:
            header = await self._connection.header(mail.uid)
        except Declined:
            header = b""
        return Got(mail=replace(mail, header=header, body=None), problem=problem)

    def _bounded(self, uids: Sequence[int], sizes: dict[int, int]) -> list[list[int]]:
        groups: list[list[int]] = []
        size, is_full = 0, True
        for uid in uids:
            own = sizes.get(uid, 0)
            is_large = own > self._max_size
            if is_full or is_large or len(groups[-1]) >= BATCH or size + own > BATCH_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(uid)
            size, is_full = size + own, is_large
        return groups
