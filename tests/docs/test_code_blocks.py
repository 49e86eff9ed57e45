"""Code blocks of the documentation that are marked as runnable are run, as a reader would: from top to bottom.

The mark is in the fence, after the language::

    ```sh runnable                               run it; it must end with exit code 0
    ```sh runnable says="none failed"            and must have said this
    ```sh runnable fails                         it must end with another exit code
    ```sh runnable background until="is up"      start it, go on when it says so, stop it at the end of the page
    ```yaml runnable file=omnibus.yaml           write it to a file; a configuration is checked
    ```python runnable                           run it with this Python
    ```json runnable                             it must be JSON
    ```toml runnable file=pyproject.toml         write it; entry points that it declares are there from now on

Any language may have a file. The blocks of a page share an empty folder, in which ``omnibus`` (and
``.venv/bin/omnibus``) and ``python`` are these. Port 8080 stands for a free one.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omnibus.testing.ports import free_port
from omnibus.testing.shell import DEADLINE_S

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("guide/**/*.md"), *(ROOT / "docs").glob("examples/**/*.md")])
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<code>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block: where it is, and what its fence says."""

    line: int
    language: str
    words: frozenset[str]
    options: Mapping[str, str]
    code: str


def blocks_of(text: str) -> Iterator[Block]:
    """Every code block of a page."""
    for found in FENCE.finditer(text):
        language, *rest = shlex.split(found["info"]) or [""]
        options = dict(word.split("=", 1) for word in rest if "=" in word)
        words = frozenset(word for word in rest if "=" not in word)
        code = "\n".join(line.removeprefix(found["indent"]) for line in found["code"].splitlines())
        yield Block(text.count("\n", 0, found.start()) + 1, language, words, options, code + "\n")


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks_of(page.read_text("utf-8")) if "runnable" in block.words]


class Reader:
    """Somebody who tries out what a page says, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = str(free_port())
        tools = folder / ".venv/bin"
        tools.mkdir(parents=True)
        for name, arguments in (("omnibus", "-m omnibus.cli.main "), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n', "utf-8")
            (tools / name).chmod(0o755)
        self._env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "NO_COLOR": "1",
                     "OMNIBUS_HTTP__PORT": self._port, "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip

    @asynccontextmanager
    async def doing(self, block: Block) -> AsyncIterator[None]:
        """Do what a block says; what runs in the background ends with the context."""
        code = re.sub(r"\b8080\b", self._port, block.code)
        if "background" in block.words:
            async with self._running(code, block.options.get("until", "")):
                yield
            return
        if name := block.options.get("file"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(code, "utf-8")
        match block.language:
            case "sh":
                said = await self._run("bash", "-euo", "pipefail", "-c", code, fails="fails" in block.words)
                expected = block.options.get("says", "")
                assert expected in said, f"it did not say {expected!r}: {said}"
            case "python":
                await self._run(sys.executable, "-c", code)
            case "yaml" if name:
                await self._run("omnibus", "check", "-c", name)
            case "json":
                json.loads(code)
            case "toml" if name == "pyproject.toml":
                self._install(tomllib.loads(code)["project"])
            case language:
                assert name, f"there is no way to run {language!r}"
        yield

    def _install(self, project: Mapping[str, Any]) -> None:
        """What an installation in editable mode leaves behind, as far as it is needed to find entry points."""
        about = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n", "utf-8")
        points = ""
        for group, named in project.get("entry-points", {}).items():
            points += "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in named.items())]) + "\n"
        (about / "entry_points.txt").write_text(points, "utf-8")

    async def _run(self, *command: str, fails: bool = False) -> str:
        """What it said. Raises AssertionError when it does not end as it should."""
        process = await self._started(*command)
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
        assert (process.returncode != 0) == fails, said.decode()
        return said.decode()

    @asynccontextmanager
    async def _running(self, code: str, until: str) -> AsyncIterator[None]:
        process = await self._started("bash", "-euc", f"exec {code}")
        assert process.stdout is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                said = ""
                while until not in said:
                    line = (await process.stdout.readline()).decode()
                    assert line, f"it ended without saying {until!r}: {said}"
                    said += line
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(DEADLINE_S):
                await process.communicate()

    async def _started(self, *command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


async def follow(blocks: list[Block], folder: Path) -> None:
    """Do what the blocks say, one after the other. Raises AssertionError with the line of the one that fails."""
    reader = Reader(folder)
    async with AsyncExitStack() as stack:
        for block in blocks:
            try:
                await stack.enter_async_context(reader.doing(block))
            except (AssertionError, ValueError) as error:
                raise AssertionError(f"line {block.line}: {error}\n{block.code}") from None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
async def test_what_a_page_says_works(page: Path, tmp_path: Path) -> None:
    await follow(runnable(page), tmp_path)


def test_there_is_something_to_run() -> None:
    """A fence that is never recognised would make everything above pass."""
    assert len(runnable(ROOT / "docs/guide/operations.md")) >= 4
    assert len(runnable(ROOT / "README.md")) >= 3


PAGE = """# Title

```sh
rm -rf / # not marked
```

- in a list:

  ```sh runnable background until="is up"
  omnibus up
  ```

````json runnable
{"fence": "```"}
````
"""


def test_blocks_know_their_place_and_their_marks() -> None:
    plain, background, document = blocks_of(PAGE)
    assert (plain.line, plain.language, plain.words) == (3, "sh", frozenset())
    assert (background.line, background.words) == (9, frozenset({"runnable", "background"}))
    assert background.options == {"until": "is up"}
    assert background.code == "omnibus up\n"
    assert json.loads(document.code) == {"fence": "```"}


@pytest.mark.parametrize(
    ("fence", "code", "says"),
    [
        ("sh runnable", "false\n", "line 1"),
        ("json runnable", "{]\n", "line 1"),
        ("python runnable", "raise SystemExit('no luck')\n", "no luck"),
        ("yaml runnable file=omnibus.yaml", "chanels: {}\n", "did you mean channels?"),
        ("sh runnable background until=ready", "echo nothing\n", "without saying 'ready'"),
        ("sh runnable says=one", "echo two\n", "did not say 'one'"),
        ("sh runnable fails", "echo all is well\n", "all is well"),
        ("perl runnable", "1\n", "no way to run 'perl'"),
    ],
)
async def test_a_block_that_does_not_work_is_found(tmp_path: Path, fence: str, code: str, says: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(says)):
        await follow(list(blocks_of(f"```{fence}\n{code}```\n")), tmp_path)
