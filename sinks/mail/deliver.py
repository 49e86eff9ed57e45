"""Writes each event as a mail and hands it to the mail server."""

from __future__ import annotations

from collections.abc import Sequence

from omnibus.blobs import BlobMissing
from omnibus.model import codec
from omnibus.model.content import Attachment
from sinks._engine.declaration import Receipt, SinkTools
from sinks._engine.envelope import Envelope
from sinks.mail.compose import mail_of
from sinks.mail.letter import letter_of
from sinks.mail.server import MailServer
from sinks.mail.sink import MailSettings

_ASSIGNED = "conversation.assigned"


class MailSink:
    """One ticket mailbox."""

    def __init__(self, tools: SinkTools) -> None:
        self._settings: MailSettings = tools.settings
        self._blobs = tools.blobs
        self._every_event = tools.topics.events
        self._server = MailServer(self._settings)

    async def deliver(self, events: Sequence[Envelope]) -> Receipt:
        for event in events:
            await self._deliver(event)
        return Receipt()

    async def probe(self) -> str:
        """Connect, log in, and say goodbye. Raises as `deliver` does."""
        await self._server.probe()
        return f"{self._settings.host}:{self._settings.port}"

    async def close(self) -> None:
        await self._server.close()

    async def _deliver(self, envelope: Envelope) -> None:
        # Whoever reads all events has seen the messages that an assignment repeats for its new owner.
        if not codec.is_known(envelope.type) or (envelope.name, envelope.topic) == (_ASSIGNED, self._every_event):
            return
        event = envelope.event()
        letter = letter_of(event)
        if letter is not None:
            files = await self._files(letter.attachments)
            await self._server.send(mail_of(event, letter, files, self._settings))

    async def _files(self, attachments: Sequence[Attachment]) -> dict[str, bytes]:
        """The stored attachments that fit into one mail, in their order, by id."""
        files: dict[str, bytes] = {}
        room = self._settings.max_attachment_bytes
        for attachment in attachments:
            if attachment.state != "stored" or attachment.ref is None or attachment.ref.scheme != "object":
                continue
            if attachment.size is None or attachment.size > room:
                continue
            try:
                files[attachment.id] = await self._blobs.get(attachment.ref.uri)
            except BlobMissing:
                continue  # the mail names it; the words must not be lost for a file
            room -= attachment.size
        return files
