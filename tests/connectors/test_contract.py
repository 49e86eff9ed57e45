"""Every channel of this project keeps the contract. A folder that is broken fails in its own tests, by name."""

from __future__ import annotations

import pkgutil

import connectors
from omnibus.testing import ChannelContract

CHANNELS = sorted(
    info.name for info in pkgutil.iter_modules(connectors.__path__) if info.ispkg and not info.name.startswith("_")
)


def test_there_are_channels() -> None:
    """Discovery that finds nothing would make everything below pass."""
    assert "webhook" in CHANNELS


for _name in CHANNELS:
    _class = f"Test{_name.title().replace('_', '')}"
    globals()[_class] = type(_class, (ChannelContract,), {"package": f"connectors.{_name}", "__module__": __name__})
