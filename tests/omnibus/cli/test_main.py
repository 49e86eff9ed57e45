"""The command itself: help, exit codes, errors."""

from __future__ import annotations

import pytest

import omnibus
from omnibus.cli.main import COMMANDS, cli, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: omnibus {name}")


def test_the_list_of_commands_imports_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name}" not in shown] == []


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert omnibus.__version__ in capsys.readouterr().out


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upp"]) == 2
    assert "No such command 'upp'" in capsys.readouterr().err


def test_an_override_needs_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--set", "http.port"]) == 2
    assert "expected PATH=VALUE, got 'http.port'" in capsys.readouterr().err


def test_commands_that_look_can_speak_json() -> None:
    """Every command but those that run until they are stopped."""
    for name in set(COMMANDS) - {"up", "run"}:
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # our own group needs no context
        assert command is not None
        parts = list(getattr(command, "commands", {}).values()) or [command]
        without = [part.name for part in parts if "as_json" not in {parameter.name for parameter in part.params}]
        assert without == [], name
