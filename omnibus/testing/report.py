"""The channel contract without pytest: for `omnibus channel test` and for other runners."""

from __future__ import annotations

import inspect
import tempfile
import traceback
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from omnibus.testing.contract import ChannelContract, folder_of, kinds_of


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check that was run: its statement, the fixture it was run over, and what was wrong (empty: nothing)."""

    statement: str
    fixture: str = ""
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the contract found in a channel."""

    package: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.ok)


def run_contract(package: str, *, update: bool = False) -> Report:
    """Run every check over the channel in `package` (``connectors.telegram``). Not from inside a running event loop.

    With `update`, what fixtures expect is rewritten. A folder that cannot be read is one finding.
    """
    folder_of.cache_clear()
    contract = type("Contract", (ChannelContract,), {"package": package, "update": update})
    try:
        folder_of(package)
    except Exception as error:  # whatever keeps the folder from being read is the finding
        told = "".join(traceback.format_exception_only(error)).strip()
        return Report(package=package, findings=(Finding(statement="the folder can be read", problem=told),))
    return Report(package=package, findings=tuple(_findings(contract)))


def _findings(contract: type[ChannelContract]) -> Iterator[Finding]:
    for name, test in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("test_"):
            for arguments in _cases(contract, test):
                yield _run(contract(), name, test, arguments)


def _cases(contract: type[ChannelContract], test: Callable[..., None]) -> list[dict[str, str]]:
    kinds, folder = kinds_of(test), contract.folder()
    return [dict(zip(kinds, values, strict=True)) for values in product(*(folder.cases(kind) for kind in kinds))]


def _run(contract: ChannelContract, name: str, test: Callable[..., None], arguments: dict[str, str]) -> Finding:
    problem = ""
    with tempfile.TemporaryDirectory(prefix="omnibus-contract-") as folder:
        given: dict[str, Any] = dict(arguments)
        if "tmp_path" in inspect.signature(test).parameters:
            given["tmp_path"] = Path(folder)
        try:
            test(contract, **given)
        except AssertionError as error:
            problem = str(error) or "failed"
        except Exception as error:  # a check that breaks is a finding as well, and the others go on
            problem = "".join(traceback.format_exception(error)).strip()
    statement = name.removeprefix("test_").replace("_", " ")
    return Finding(statement=statement, fixture=", ".join(arguments.values()), problem=problem)
