"""What the stages of one process share, and what a stage's service promises the command line."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from omnibus.bus.port import Bus, Health
from omnibus.bus.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omnibus.blobs import BlobStore
    from omnibus.channel.declaration import Account
    from omnibus.config.model import Config
    from omnibus.http import Http


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One process of an installation: its configuration, the bus, the blob store, the way out by HTTP."""

    config: Config
    topics: Topics
    bus: Bus
    blobs: BlobStore
    http: Http
    accounts: Mapping[str, Account]


class Service(Protocol):
    """A stage as the command line starts it. The class is called with a Runtime."""

    name: str

    async def start(self) -> None:
        """Returns when the service works (listening, consuming); raises Misconfigured when it cannot."""
        ...

    async def drain(self, deadline_s: float) -> None:
        """Take nothing new, finish what is in hand, stop by the deadline."""
        ...

    def health(self) -> Mapping[str, Health]:
        """The health of each of its runners, by name."""
        ...


class ServiceFactory(Protocol):
    """The constructor of a service."""

    def __call__(self, runtime: Runtime) -> Service: ...


SERVICES = {
    "connectors": "connectors._ingress.service:ConnectorsService",
    "normalizer": "normalizer.service:NormalizerService",
    "router": "router.service:RouterService",
    "sinks": "sinks._engine.service:SinksService",
}
"""By name, because the kernel imports none of the packages it starts."""


def service(name: str) -> ServiceFactory:
    """The service class of that stage."""
    module, _, attribute = SERVICES[name].partition(":")
    return cast(ServiceFactory, getattr(importlib.import_module(module), attribute))


def start_order(names: Sequence[str]) -> list[str]:
    """Consumers before producers, so that nothing waits at the front door for a stage that is still starting."""
    order = ["sinks", "router", "normalizer", "connectors"]
    return [name for name in order if name in names]
