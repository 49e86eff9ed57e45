"""What all chats of one account in this process share."""

from __future__ import annotations

from connectors._shared.live.desk import LiveDesk
from connectors.webchat.identity import Signer
from connectors.webchat.protocol import Look
from connectors.webchat.settings import WebchatSettings
from omnibus.channel.receive import ReceiverTools


class Desk(LiveDesk):
    """The desk of a web chat, with its settings and signer."""

    def __init__(self, tools: ReceiverTools, settings: WebchatSettings, signer: Signer) -> None:
        super().__init__(
            tools,
            settings,
            signer,
            author="visitor",
            connections_per_person=settings.max_connections_per_visitor,
        )
        self.settings = settings
        self.signer = signer

    def look(self) -> Look:
        """How the widget looks here."""
        settings = self.settings
        return Look(
            title=settings.title,
            greeting=settings.greeting,
            color=settings.color,
            max_text_chars=settings.max_text_chars,
            max_file_size=settings.max_file_size,
            file_types=settings.file_types,
        )
