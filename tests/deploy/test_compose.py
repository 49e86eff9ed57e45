"""docker-compose.yml runs what the command line has, with a configuration that is valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def test_every_stage_is_a_service_of_its_own(compose: dict[str, Any]) -> None:
    commands = {name: service["command"] for name, service in compose["services"].items() if name in STAGES}
    assert set(commands) == set(STAGES)
    for name, command in commands.items():
        assert command[:2] == ["run", name]
        run.make_context("run", list(command[1:]))  # raises when the command line does not know an option


def test_stages_wait_for_kafka_and_say_when_they_are_ready(compose: dict[str, Any]) -> None:
    for name in STAGES:
        service = compose["services"][name]
        assert service["depends_on"]["kafka"] == {"condition": "service_healthy"}
        assert "/health/ready" in service["healthcheck"]["test"][-1]


def test_stages_that_scale_publish_no_port(compose: dict[str, Any]) -> None:
    assert [name for name in STAGES if "ports" in compose["services"][name]] == ["connectors"]


def test_its_configuration_is_valid() -> None:
    env = {"OMNIBUS_API_TOKEN": "invented-token", "OMNIBUS_CHAT_SECRET": "invented-secret-of-the-chat-0123456789"}
    config = configuration(ROOT / "deploy/compose/omnibus.yaml", env=env)
    assert config.bus.startswith("kafka://kafka:")


def test_the_image_has_every_package_and_the_licence() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    for package in ("omnibus", "connectors", "normalizer", "router", "sinks"):
        assert f"COPY {package} {package}" in text
    assert "LICENSE" in text
