"""Checks of what an operator meets: settings, README, and fixtures that show nobody real."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from omnibus.channel.declaration import Channel
from omnibus.config.describe import public, settings_table
from omnibus.config.errors import ConfigErrors
from omnibus.config.load import load
from omnibus.testing.fixtures import plain_json, settings_of
from omnibus.testing.send_checks import secrets_in

SECTIONS: Mapping[str, re.Pattern[str]] = {
    "Set up": re.compile(r"^##+ .*\bset(ting)?[ -]?(it )?up\b", re.IGNORECASE | re.MULTILINE),
    "Limits": re.compile(r"^##+ .*\blimits?\b", re.IGNORECASE | re.MULTILINE),
}
"""What the README of a channel tells an operator."""

TOKEN_SHAPES: Mapping[str, re.Pattern[str]] = {
    "a Telegram bot token": re.compile(r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a Meta access token": re.compile(r"\bEAA[A-Za-z0-9]{30,}"),
    "a Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{10,}"),
    "an AWS key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[oprsu]_[A-Za-z0-9]{30,}"),
    "a Google key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b"),
    "a SendGrid key": re.compile(r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "a Twilio id": re.compile(r"\b(AC|SK)[0-9a-f]{32}\b"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}

_HOST = re.compile(r"(?:://|@)((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62})")
_INVENTED = re.compile(r"(^|\.)(example\.(com|org|net)|example|test|invalid|localhost)$")
_TEXT_FILES = frozenset({".json", ".eml", ".txt", ".xml", ".html", ".csv"})


def check_settings(channel: Channel, folder: Path, tmp: Path) -> None:
    """The account's settings come out of a file, and of the environment, as they are; each one is described."""
    given = plain_json(folder / "account.json")
    expected = settings_of(channel, folder, {})
    file = tmp / "omnibus.yaml"
    file.write_text(json.dumps({"channels": {"test": {"type": channel.name, **given}}}), encoding="utf-8")
    assert _loaded(channel, file, {}) == expected, "the settings change on their way through a file"
    file.write_text(json.dumps({"channels": {"test": {"type": channel.name}}}), encoding="utf-8")
    assert _loaded(channel, file, _environment(given)) == expected, "they change on their way through the environment"
    undescribed = [row.name for row in settings_table(channel.settings) if not row.description]
    assert not undescribed, f"settings without a description: {', '.join(undescribed)}"


def check_secrets_masked(channel: Channel, folder: Path) -> None:
    """Printing settings shows no secret; every setting that is named like one is one."""
    settings = settings_of(channel, folder, {})
    shown = repr(settings) + json.dumps(public(settings), default=str)
    assert not [secret for secret in secrets_in(settings) if secret in shown], "printing the settings shows a secret"
    bare = [row.name for row in settings_table(channel.settings) if _sounds_secret(row.name) and not row.secret]
    assert not bare, f"settings that are named like a secret and are none: {', '.join(bare)}"


def check_readme(folder: Path) -> None:
    """The README tells an operator how to set the channel up, and what its limits are."""
    path = folder.parent / "README.md"
    assert path.exists(), f"{path} is missing"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# "), f"{path} begins with its title"
    missing = [name for name, pattern in SECTIONS.items() if not pattern.search(text)]
    assert not missing, f"{path} has no section {', '.join(missing)}"


def check_invented(channel: Channel, folder: Path, hosts: frozenset[str] = frozenset()) -> None:
    """Fixtures show invented people: no token that looks real, no domain that somebody owns.

    The provider's own domains (of `docs` and of the settings' defaults) are allowed, and those in `hosts`.
    """
    allowed = {_domain(host) for host in (*_provider_hosts(channel), *hosts)}
    found = [problem for path in _texts(folder) for problem in _problems(path, allowed)]
    assert not found, "\n".join(found)


def _loaded(channel: Channel, file: Path, env: Mapping[str, str]) -> Any:
    try:
        config = load(
            file, env=env, settings_of=lambda section, name: channel.settings if name == channel.name else None
        )
    except ConfigErrors as errors:
        raise AssertionError(f"settings cannot be read: {errors}") from None
    return config.channels["test"].settings


def _environment(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"OMNIBUS_CHANNELS__TEST__{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def _sounds_secret(name: str) -> bool:
    last = name.rpartition(".")[2].removesuffix("[]")
    return last.endswith(("_secret", "_token", "password", "api_key")) or last in ("secret", "token")


def _texts(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in _TEXT_FILES)


def _problems(path: Path, allowed: set[str]) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\/", "/")
    for what, pattern in TOKEN_SHAPES.items():
        if pattern.search(text):
            yield f"{path.name}: what looks like {what}"
    for host in sorted({found.group(1).lower() for found in _HOST.finditer(text)}):
        if not _INVENTED.search(host) and _domain(host) not in allowed:
            yield f"{path.name}: the domain {host}; use example.com, example.org or example.net"


def _provider_hosts(channel: Channel) -> Iterator[str]:
    for text in (channel.docs, *(row.default for row in settings_table(channel.settings))):
        host = urlsplit(text).hostname if text.startswith(("http://", "https://", "wss://")) else None
        if host:
            yield host


def _domain(host: str) -> str:
    return ".".join(host.rsplit(".", 2)[-2:])


class Waivers(msgspec.Struct, frozen=True, kw_only=True):
    """The file ``waivers.json``: checks that cannot apply, with the reason, and further hosts fixtures may name."""

    checks: Mapping[str, str] = {}
    hosts: frozenset[str] = frozenset()


def waivers_of(folder: Path) -> Waivers:
    """Only checks of sending can be waived: a sender that speaks no HTTP is proven by tests of its own."""
    given = plain_json(folder / "waivers.json")
    hosts = frozenset(given.pop("hosts", ()))
    wrong = [name for name, reason in given.items() if name not in WAIVABLE or len(str(reason)) < 20]
    assert not wrong, f"{folder / 'waivers.json'}: not to be waived, or without a reason: {', '.join(wrong)}"
    return Waivers(checks=given, hosts=hosts)


WAIVABLE = frozenset(
    {"what_it_sends_is_shown", "a_provider_in_trouble_is_tried_again", "an_answer_that_makes_no_sense_is_no_surprise"}
)
