"""Where a command finds its configuration and its variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from omnibus.cli.settings import configuration, variables_in
from omnibus.config.errors import ConfigErrors
from omnibus.errors import Misconfigured

CONFIG = 'channels: {hook: {type: webhook, webhook_secret: "${HOOK_SECRET}"}}\nqueues: {general: {}}\n'

Omnibus = Callable[..., Result]


def secret_of(path: Path | None = None) -> str:
    settings = configuration(path).channels["hook"].settings
    revealed: str = settings.webhook_secret.reveal()  # type: ignore[attr-defined]  # the webhook channel's settings
    return revealed


def test_variables_come_from_the_file_beside_the_configuration(here: Path) -> None:
    (here / "omnibus.yaml").write_text(CONFIG)
    (here / ".env").write_text("# secrets\n\nexport HOOK_SECRET='from the file'\n")
    assert secret_of() == "from the file"


def test_the_environment_goes_before_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "omnibus.yaml").write_text(CONFIG)
    (here / ".env").write_text("HOOK_SECRET=from-the-file\n")
    monkeypatch.setenv("HOOK_SECRET", "from-the-environment")
    assert secret_of() == "from-the-environment"


def test_the_file_is_that_of_the_configurations_folder(here: Path) -> None:
    (here / "etc").mkdir()
    (here / "etc/omnibus.yaml").write_text(CONFIG)
    (here / "etc/.env").write_text("HOOK_SECRET=there\n")
    (here / ".env").write_text("HOOK_SECRET=here\n")
    assert secret_of(here / "etc/omnibus.yaml") == "there"


def test_a_line_that_is_no_variable_is_named_and_not_shown(here: Path) -> None:
    (here / ".env").write_text("A=1\nhunter2\n")
    with pytest.raises(ConfigErrors, match=r"\.env:2:1: expected NAME=value") as raised:
        variables_in(here / ".env")
    assert "hunter2" not in str(raised.value)


def test_looking_leaves_an_empty_folder_empty(omnibus: Omnibus, here: Path) -> None:
    assert omnibus("check").exit_code == 0
    with pytest.raises(Misconfigured, match=r"nothing has run with data in .*omnibus-data"):
        raise omnibus("topics").exception or AssertionError
    assert list(here.iterdir()) == []


def test_secrets_of_the_built_in_configuration_are_made_once_and_kept_private(here: Path) -> None:
    first, second = configuration(), configuration()
    assert first.api.tokens == second.api.tokens
    assert (here / "omnibus-data/secrets.json").stat().st_mode & 0o077 == 0


def test_init_writes_what_check_accepts(omnibus: Omnibus, here: Path) -> None:
    assert omnibus("init").exit_code == 0
    result = omnibus("check")
    assert result.exit_code == 0
    assert "3 channels, 2 queues" in result.output
    assert (here / ".env").stat().st_mode & 0o077 == 0


def test_init_writes_over_nothing(omnibus: Omnibus, here: Path) -> None:
    (here / "omnibus.yaml").write_text("mine")
    assert isinstance(omnibus("init").exception, Misconfigured)
    assert (here / "omnibus.yaml").read_text() == "mine"


def test_init_keeps_the_secrets_there_are(omnibus: Omnibus, here: Path) -> None:
    (here / ".env").write_text("OTHER=precious\nOMNIBUS_API_TOKEN=mine-since-long\n")
    assert omnibus("init", "--force").exit_code == 0
    variables = variables_in(here / ".env")
    assert variables["OTHER"] == "precious"
    assert variables["OMNIBUS_API_TOKEN"] == "mine-since-long"
    assert variables["OMNIBUS_CHAT_SECRET"]
