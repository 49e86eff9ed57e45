"""Finds and loads the configuration a command works with."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from functools import wraps
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import click

from omnibus.cli.plugins import known_types, settings_of
from omnibus.config.load import load, loads
from omnibus.config.model import Config
from omnibus.errors import Misconfigured

DEFAULT_FILE = "omnibus.yaml"
DATA = Path("omnibus-data")
F = TypeVar("F", bound=Callable[..., Any])


def config_options(command: F) -> F:
    """``--config`` and ``--set``; the command gets a loader `configure()`."""

    @click.option("-c", "--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Configuration file.")
    @click.option("-s", "--set", "flags", multiple=True, metavar="PATH=VALUE", help="Override one setting.")
    @wraps(command)
    def with_config(*args: Any, path: Path | None, flags: tuple[str, ...], **options: Any) -> Any:
        return command(*args, configure=lambda: configuration(path, _pairs(flags)), **options)

    return with_config  # type: ignore[return-value]  # click replaces the function by a command anyway


def _pairs(flags: tuple[str, ...]) -> dict[str, str]:
    for flag in flags:
        if "=" not in flag:
            raise click.BadParameter(f"expected PATH=VALUE, got {flag!r}", param_hint="--set")
    return dict(flag.split("=", 1) for flag in flags)


def configuration(
    path: Path | None = None, flags: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
) -> Config:
    """`path`, or omnibus.yaml here, or the built-in configuration to try; `env` adds to the process's environment.

    Raises ConfigErrors.
    """
    env = {**os.environ, **(env or {})}
    if path is None and Path(DEFAULT_FILE).exists():
        path = Path(DEFAULT_FILE)
    if path is not None:
        return load(path, env=env, flags=flags or {}, settings_of=settings_of, known_types=known_types)
    text = files("omnibus.cli").joinpath("default.yaml").read_text("utf-8")
    return loads(
        text,
        file="built-in configuration",
        env={**_own_secrets(), **env},
        flags=flags or {},
        settings_of=settings_of,
        known_types=known_types,
    )


def _own_secrets() -> dict[str, str]:
    """The secrets of the built-in configuration: made once, kept beside the data, readable by the owner only."""
    path = DATA / "secrets.json"
    try:
        if path.exists():
            kept: dict[str, str] = json.loads(path.read_text("utf-8"))
            return kept
        DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = {"OMNIBUS_CHAT_SECRET": secrets.token_urlsafe(32), "OMNIBUS_API_TOKEN": secrets.token_urlsafe(24)}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    except (OSError, ValueError) as error:
        raise Misconfigured(str(path), f"cannot be read or made: {error}; remove it to start afresh") from error
    return made
