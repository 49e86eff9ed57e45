"""Discovery: walks ``connectors/`` and the entry-point group ``omnibus.channels``; no list to edit.

A channel is a folder without a leading underscore whose ``channel.py`` has ``CHANNEL``. A folder that cannot be
imported breaks only itself: it is reported, the others work.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any

from omnibus.channel.declaration import Channel
from omnibus.plugins import Found, installed, load_all, part

GROUP = "omnibus.channels"
HOME = "connectors"


@cache
def discover() -> Found[Channel]:
    """All channels of this installation."""
    return load_all("channel", installed(HOME, GROUP, packages=True), load_channel)


@cache
def find(name: str) -> Channel:
    """The channel of that name, without importing the others; what `discover().get(name)` gives, and raises."""
    package = f"{HOME}.{name}"
    if not name.isidentifier() or name.startswith("_") or find_spec(package) is None:
        return discover().get(name)
    try:
        return load_channel(package)
    except Exception:  # discovery says why it cannot be imported
        return discover().get(name)


def load_channel(package: str) -> Channel:
    """The CHANNEL of a package such as ``connectors.telegram``."""
    channel = importlib.import_module(f"{package}.channel").CHANNEL
    if not isinstance(channel, Channel):
        raise TypeError(f"{package}.channel.CHANNEL is no Channel")
    return replace(channel, package=package)


def load_part(channel: Channel, name: str) -> Any:
    """The class behind a part's name (``.send:TelegramSender``). Raises Misconfigured when an SDK is missing."""
    return part(channel.package, name, f"channel {channel.name}")
