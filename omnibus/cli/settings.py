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

from omnibus.cli.plugins import known_types, sections, settings_of
from omnibus.config.errors import ConfigError, ConfigErrors, Mark
from omnibus.config.load import load, loads
from omnibus.config.model import Config
from omnibus.errors import Misconfigured

DEFAULT_FILE = "omnibus.yaml"
DATA = Path("omnibus-data")
BUILT_IN = "built-in configuration"
MAX_ENV_CHARS = 256_000
F = TypeVar("F", bound=Callable[..., Any])


def config_options(command: F) -> F:
    """``--config`` and ``--set``; the command gets a loader `configure()`."""
    return _with_configuration(command, make_secrets=True)


def look_options(command: F) -> F:
    """The same for a command that only looks: trying things out in an empty folder leaves it empty."""
    return _with_configuration(command, make_secrets=False)


def _with_configuration(command: F, *, make_secrets: bool) -> F:
    @click.option(
        "-c",
        "--config",
        "path",
        type=click.Path(path_type=Path),
        help=f"Configuration file; otherwise {DEFAULT_FILE} here, otherwise the built-in one.",
    )
    @click.option("-s", "--set", "flags", multiple=True, metavar="PATH=VALUE", help="Override one setting.")
    @wraps(command)
    def with_config(*args: Any, path: Path | None, flags: tuple[str, ...], **options: Any) -> Any:
        pairs = _pairs(flags)
        return command(*args, configure=lambda: configuration(path, pairs, make_secrets=make_secrets), **options)

    return with_config  # type: ignore[return-value]  # click replaces the function by a command anyway


def _pairs(flags: tuple[str, ...]) -> dict[str, str]:
    for flag in flags:
        if "=" not in flag:
            raise click.BadParameter(f"expected PATH=VALUE, got {flag!r}", param_hint="--set")
    return dict(flag.split("=", 1) for flag in flags)


def configuration(
    path: Path | None = None,
    flags: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    *,
    make_secrets: bool = True,
) -> Config:
    """`path`, or omnibus.yaml here, or the built-in configuration to try.

    Variables come from `env`, the process's environment and the file ``.env`` beside the configuration, in that order.
    Raises ConfigErrors.
    """
    if path is None and Path(DEFAULT_FILE).exists():
        path = Path(DEFAULT_FILE)
    given = {**os.environ, **(env or {})}
    if path is not None:
        variables = {**variables_in(path.parent / ".env"), **given}
        return load(
            path,
            env=variables,
            flags=flags or {},
            settings_of=settings_of,
            known_types=known_types,
            sections=sections(),
        )
    text = files("omnibus.cli").joinpath("default.yaml").read_text("utf-8")
    return loads(
        text,
        file=BUILT_IN,
        env={**_own_secrets(keep=make_secrets), **given},
        flags=flags or {},
        settings_of=settings_of,
        known_types=known_types,
        sections=sections(),
    )


def variables_in(path: Path) -> dict[str, str]:
    """The ``NAME=value`` lines of a file; none when there is no such file. Raises ConfigErrors."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            lines = file.read(MAX_ENV_CHARS).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigErrors([ConfigError(Mark(str(path)), "", f"cannot be read: {error}")]) from error
    found = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            # The line itself may be a secret and is not shown.
            raise ConfigErrors([ConfigError(Mark(str(path), number, 1), "", "expected NAME=value")])
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _own_secrets(*, keep: bool) -> dict[str, str]:
    """The secrets of the built-in configuration: made once, kept beside the data, readable by the owner only."""
    path = DATA / "secrets.json"
    try:
        if path.exists():
            kept: dict[str, str] = json.loads(path.read_text("utf-8"))
            return kept
        made = {"OMNIBUS_CHAT_SECRET": secrets.token_urlsafe(32), "OMNIBUS_API_TOKEN": secrets.token_urlsafe(24)}
        if not keep:
            return made
        DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    except (OSError, ValueError) as error:
        raise Misconfigured(str(path), f"cannot be read or made: {reason_of(error)}; start in a folder of your own, "
                            "or name a configuration with -c") from error  # fmt: skip
    return made


def reason_of(error: Exception) -> str:
    """The reason without the file's name, which is said already."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
