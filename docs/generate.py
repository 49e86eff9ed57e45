"""Writes every generated page below ``docs/reference``; ``--check`` only says which are stale.

Run by ``make docs``; ``tests/architecture/test_generated.py`` fails when a committed page is not what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, or loaded by a test: `docs` is no installed package

from docs.pages import channels, commands, configuration, metrics, model, plugins  # noqa: E402 - needs the path above
from docs.pages.markdown import NOTICE, REFERENCE  # noqa: E402 - likewise

GENERATED = ("schemas", "channels", "sinks", "automations")
"""Folders in which nothing lies that nobody writes; README.md may be written by hand."""


def generated() -> Mapping[Path, str]:
    """Every generated page and what it must hold."""
    modules = (model, channels, plugins, configuration, commands, metrics)
    return {path: text for module in modules for path, text in module.pages()}


def stale() -> list[Path]:
    """Committed pages that differ from what would be written, and generated folders' files nobody writes any more."""
    pages = generated()
    wrong = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    files = [path for folder in GENERATED for path in (REFERENCE / folder).glob("*") if path.is_file()]
    left = [path for path in files if path not in pages and _is_ours(path)]
    return sorted([*wrong, *left])


def _is_ours(path: Path) -> bool:
    """Whether the generator wrote it once: what people write beside the generated pages is theirs."""
    return path.parent.name == "schemas" or path.read_text("utf-8").startswith(NOTICE)


def main() -> int:
    if "--check" in sys.argv:
        for path in stale():
            print(f"stale: {path.relative_to(ROOT)} (run `make docs`)")
        return 1 if stale() else 0
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for path in stale():
        path.unlink()  # what is stale after writing is what nobody writes any more
    print(f"{len(generated())} pages in {REFERENCE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
