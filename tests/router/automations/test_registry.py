"""Automation types are found, and a broken one breaks only itself."""

from __future__ import annotations

import pytest

from omnibus.errors import Misconfigured
from router.automations.registry import discover, discover_in


def test_the_shipped_types_are_found() -> None:
    assert {"acknowledge", "webhook"} <= set(discover().plugins)
    assert discover().broken == {}


def test_a_broken_module_is_reported_by_name() -> None:
    found = discover_in({"acknowledge": "router.automations.acknowledge", "bad": "router.automations.not_there"})

    assert list(found.plugins) == ["acknowledge"]
    with pytest.raises(Misconfigured, match="'bad' cannot be imported"):
        found.get("bad")


def test_an_unknown_type_names_the_known() -> None:
    with pytest.raises(Misconfigured, match="known: acknowledge, "):
        discover().get("oracle")
