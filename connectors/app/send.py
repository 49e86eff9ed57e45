"""Sending to an app is putting the message into the person's history."""

from __future__ import annotations

from connectors._shared.live.send import LiveSender


class AppSender(LiveSender):
    """One account's sender. Devices that are not connected are woken by the pusher, which follows the history."""
