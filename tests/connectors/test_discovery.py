"""Every command discovers all channels and uses few of them: a declaration is read without the code behind it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PARTS = frozenset({"mapping", "send", "media", "receive", "gateway", "door", "rest"})
"""Modules of channels that nobody needs before a request or a message is there."""
HEAVY = frozenset(
    {"asyncio", "ssl", "aiohttp", "aiosmtpd", "aiosmtplib", "aioimaplib", "cryptography", "jwt", "nh3", "hypothesis"}
)
"""What receivers and senders import: an event loop, HTTP, mail, signatures."""
PROGRAM = """
import json, sys
from omnibus.channel.registry import discover
found = discover()
print(json.dumps([sorted(found.plugins), dict(found.broken), sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def imported() -> frozenset[str]:
    """The modules of a new process that has discovered all channels."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    plugins, broken, modules = json.loads(run.stdout)
    assert broken == {}
    assert len(plugins) >= 16
    return frozenset(modules)


def test_discovery_imports_no_mapping_receiver_or_sender(imported: frozenset[str]) -> None:
    of_channels = [name.split(".") for name in imported if name.startswith("connectors.")]
    assert [name for name in of_channels if len(name) > 2 and not name[1].startswith("_") and name[2] in PARTS] == []


def test_discovery_imports_nothing_that_talks_to_the_world(imported: frozenset[str]) -> None:
    assert imported & HEAVY == set()
