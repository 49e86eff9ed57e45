"""The only place that spells a topic."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from omnibus.bus.port import TopicSpec

DAY_MS = 86_400_000
CLAIM_CHECK_BYTES = 256 * 1024
"""Bodies larger than this travel as a reference to the blob store."""


class Topics(msgspec.Struct, frozen=True):
    """The names of one installation's topics, all below one prefix."""

    prefix: str = "omnibus"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events"

    @property
    def conversations(self) -> str:
        return f"{self.prefix}.conversations"

    @property
    def contacts(self) -> str:
        return f"{self.prefix}.contacts"

    @property
    def routing(self) -> str:
        """What the router's partitions tell each other: load of queues, pauses, where a contact was last."""
        return f"{self.prefix}.routing"

    @property
    def shadow(self) -> str:
        """Decisions of a candidate rule set, beside the live ones."""
        return f"{self.prefix}.shadow"

    @property
    def commands(self) -> str:
        return f"{self.prefix}.commands"

    @property
    def outcomes(self) -> str:
        return f"{self.prefix}.outcomes"

    @property
    def control(self) -> str:
        return f"{self.prefix}.raw.control"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    def raw(self, channel: str) -> str:
        return f"{self.prefix}.raw.{channel}"

    def queue(self, name: str) -> str:
        return f"{self.prefix}.queue.{name}"

    def automation(self, name: str) -> str:
        return f"{self.prefix}.automation.{name}"

    def outbound(self, channel: str) -> str:
        return f"{self.prefix}.outbound.{channel}"

    def channel_table(self, channel: str, table: str) -> str:
        """A compacted topic that a channel keeps for itself (a chat history, for example)."""
        return f"{self.prefix}.channel.{channel}.{table}"

    def all_specs(
        self,
        *,
        partitions: int,
        channels: Iterable[str],
        queues: Iterable[str],
        automations: Iterable[str],
        channel_tables: Iterable[str] = (),
    ) -> list[TopicSpec]:
        """Every topic an installation with these channels, queues and automations needs."""

        def stream(name: str, days: int) -> TopicSpec:
            return TopicSpec(name=name, partitions=partitions, retention_ms=days * DAY_MS)

        def table(name: str) -> TopicSpec:
            return TopicSpec(name=name, partitions=partitions, kind="table")

        channels = sorted(set(channels))
        return [
            *(stream(self.raw(name), 14) for name in channels),
            stream(self.control, 7),
            stream(self.events, 90),
            table(self.conversations),
            table(self.contacts),
            table(self.routing),
            stream(self.shadow, 7),
            *(stream(self.queue(name), 30) for name in sorted(set(queues))),
            *(stream(self.automation(name), 30) for name in sorted(set(automations))),
            stream(self.commands, 30),
            *(stream(self.outbound(name), 7) for name in channels),
            stream(self.outcomes, 30),
            stream(self.dead_letters, 90),
            *(table(name) for name in sorted(set(channel_tables))),
        ]
