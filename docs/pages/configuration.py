"""Every setting of ``omnibus.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs.pages.markdown import NOTICE, REFERENCE, settings_of, settings_rows, table
from omnibus.channel.registry import discover
from omnibus.config.describe import Row, settings_table
from omnibus.config.layers import PREFIX, SEPARATOR
from omnibus.config.model import Core, QueueSettings
from router.automations import registry as automations
from sinks._engine import registry as sinks
from sinks._engine.declaration import SinkSettings

_INTRO = f"""# Configuration

One YAML file, `omnibus.yaml` in the folder Omnibus is started in, or the one that `-c` names. `omnibus check` says
everything that is wrong in it, with line and column; `omnibus init` writes a commented one.

What is later in this list goes before what is earlier:

1. the defaults below,
2. the file, in which `${{NAME}}` stands for an environment variable (and `.env` beside the file is read, too),
3. the environment: `{PREFIX}HTTP{SEPARATOR}PORT=8081` is `http.port`, and
   `{PREFIX}CHANNELS{SEPARATOR}SUPPORT_MAIL{SEPARATOR}ADDRESSES` is `channels.support-mail.addresses`,
4. flags: `--set http.port=8081`.

Durations are written `250ms`, `15m`, `1h30m` or `PT15M`; sizes `256KB`, `25MB`, `1GiB`. Secrets should come from the
environment.

"""


def pages() -> Iterator[tuple[Path, str]]:
    """The one page."""
    parts = [NOTICE, _INTRO, *_core(), *_queues(), *_plugged()]
    yield REFERENCE / "config.md", "".join(parts).rstrip() + "\n"


def _core() -> Iterator[str]:
    rows = settings_table(Core)
    top = [row for row in rows if "." not in row.name and not _has_parts(row.name, rows)]
    yield "## Top level\n\n" + settings_rows(top) + "\n"
    for section in dict.fromkeys(_section(row.name) for row in rows if row not in top):
        own = [row for row in rows if _section(row.name) == section]
        titled = own[0].name == section
        says = f"{own[0].description}\n\n" if titled else ""
        yield f"## `{section}`\n\n{says}{settings_rows(own[1:] if titled else own)}\n"


def _section(name: str) -> str:
    return name.partition(".")[0].removesuffix("[]")


def _has_parts(name: str, rows: list[Row]) -> bool:
    return any(_section(row.name) == name and row.name != name for row in rows)


def _queues() -> Iterator[str]:
    yield "## `queues`\n\nWaiting lines of conversations for people, by name.\n\n"
    yield settings_of(QueueSettings, prefix="queues.NAME.") + "\n"


def _plugged() -> Iterator[str]:
    channels = [(f"[`{name}`](channels/{name}.md)", one.title) for name, one in discover().plugins.items()]
    yield "## `channels`\n\nAccounts, by a name of yours; `type` decides about the other settings.\n\n"
    yield table(("type", "is"), channels) + "\n"
    programs = automations.discover().plugins
    yield "## `automations`\n\nPrograms that answer, by a name of yours; `type` decides about the other settings.\n\n"
    yield table(("type", "is"), [(f"[`{n}`](automations/{n}.md)", one.title) for n, one in programs.items()]) + "\n"
    yield "## `sinks`\n\nDestinations, by a name of yours; `type` decides about the other settings, `from` lists\n"
    yield "what it reads ([sinks](sinks/README.md)). Every sink has besides:\n\n"
    yield settings_of(SinkSettings, prefix="sinks.NAME.") + "\n"
    found = sinks.discover().plugins
    yield table(("type", "is"), [(f"[`{name}`](sinks/{name}.md)", one.title) for name, one in found.items()])
