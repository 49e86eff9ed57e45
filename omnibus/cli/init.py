"""``omnibus init``: a commented configuration to start from."""

from __future__ import annotations

import os
import secrets
from importlib.resources import files
from pathlib import Path

import click

from omnibus.cli.console import json_option, out, print_json
from omnibus.cli.settings import DEFAULT_FILE, variables_in
from omnibus.errors import Misconfigured


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path(DEFAULT_FILE))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def init(path: Path, force: bool, as_json: bool) -> None:
    """Write a commented configuration to PATH (omnibus.yaml), and the secrets it names to .env beside it.

    Omnibus reads .env from the configuration's folder; variables of the environment go before it."""
    if path.exists() and not force:
        raise Misconfigured(str(path), "is there already; --force writes over it")
    env = path.parent / ".env"
    path.write_text(files("omnibus.cli").joinpath("init.yaml").read_text("utf-8"), "utf-8")
    _add_secrets(env)
    if as_json:
        print_json({"configuration": str(path), "secrets": str(env)})
        return
    out.print(f"wrote {path} and {env} (secrets: keep it to yourself, and out of version control)\n", markup=False)
    out.print("next:", style="bold")
    named = "" if path == Path(DEFAULT_FILE) else f" -c {path}"
    out.print(f"  omnibus check{named}", style="cyan", markup=False)
    out.print(f"  omnibus up{named}", style="cyan", markup=False)


def _add_secrets(env: Path) -> None:
    """What is in the file stays: it may hold the only copy of somebody's secrets."""
    made = {"OMNIBUS_CHAT_SECRET": secrets.token_urlsafe(32), "OMNIBUS_API_TOKEN": secrets.token_urlsafe(24)}
    there = variables_in(env)
    lines = [f"{name}={value}\n" for name, value in made.items() if name not in there]
    with os.fdopen(os.open(env, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
        file.writelines(lines)
