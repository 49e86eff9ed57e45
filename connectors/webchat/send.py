"""Sending to a web chat is putting the message into the visitor's history."""

from __future__ import annotations

from connectors._shared.live.send import LiveSender


class WebchatSender(LiveSender):
    """One account's sender."""
