"""``omnibus init``: a commented configuration to start from."""

from __future__ import annotations

import os
import secrets
from importlib.resources import files
from pathlib import Path

import click

from omnibus.cli.console import out
from omnibus.cli.settings import DEFAULT_FILE


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path(DEFAULT_FILE))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(path: Path, force: bool) -> None:
    """Write a commented configuration to PATH (omnibus.yaml), and the secrets it names to .env beside it."""
    text = files("omnibus.cli").joinpath("init.yaml").read_text("utf-8")
    env = path.parent / ".env"
    for file in (path, env):
        if file.exists() and not force:
            raise click.ClickException(f"{file} is there already; --force writes over it")
    path.write_text(text, "utf-8")
    with os.fdopen(os.open(env, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as secret_file:
        secret_file.write(
            f"OMNIBUS_CHAT_SECRET={secrets.token_urlsafe(32)}\nOMNIBUS_API_TOKEN={secrets.token_urlsafe(24)}\n"
        )
    out.print(f"wrote {path} and {env} (secrets; keep it to yourself)\n", markup=False)
    out.print("next:", style="bold")
    out.print(f"  set -a; . {env}; set +a", style="cyan", markup=False)
    out.print("  omnibus check", style="cyan")
    out.print("  omnibus up", style="cyan")
