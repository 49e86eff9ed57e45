"""The settings of an installation, as `omnibus.config.load` hands them out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from omnibus.config.errors import Mark
from omnibus.config.fields import (
    BlobsUrl,
    BusUrl,
    Duration,
    FilePath,
    Host,
    Network,
    Password,
    Port,
    Secret,
    Settings,
    Size,
    Url,
    between,
    described,
)

Priority = Literal["low", "normal", "high", "urgent"]


class TlsSettings(Settings, frozen=True, kw_only=True):
    """A certificate for the front door; a reverse proxy in front needs none here."""

    certificate: Annotated[FilePath, described("PEM file with the certificate chain.")]
    key: Annotated[FilePath, described("PEM file with the private key.")]


class HttpSettings(Settings, frozen=True, kw_only=True):
    """The front door: webhooks, web chat, health and metrics."""

    host: Annotated[Host, described("Address to listen on.", example="0.0.0.0")] = "127.0.0.1"  # noqa: S104 - an example
    port: Annotated[Port, described("Port to listen on.")] = 8080
    public_url: Annotated[
        Url | None,
        described("Address providers reach us at; needed to register webhooks.", example="https://in.example.com"),
    ] = None
    max_body: Annotated[Size, described("Largest request body accepted.", example="10MB")] = 10_000_000
    max_in_flight_bytes: Annotated[
        Size, described("Request bytes held in memory at once; beyond it requests get 503.", example="64MB")
    ] = 64_000_000
    max_in_flight: Annotated[
        int, msgspec.Meta(ge=1), described("Requests in hand at once; beyond it requests get 503.")
    ] = 2_000
    read_timeout: Annotated[Duration, described("How long a request body may take to arrive.", example="30s")] = (
        timedelta(seconds=30)
    )
    trusted_proxies: Annotated[
        tuple[Network, ...], described("Proxies whose X-Forwarded-For is believed.", example="10.0.0.0/8")
    ] = ()
    reuse_port: Annotated[bool, described("Let several processes listen on the same port.")] = False
    tls: Annotated[TlsSettings | None, described("Serve https directly.")] = None


class ApiSettings(Settings, frozen=True, kw_only=True):
    """Access to the HTTP API (commands, tail, reports)."""

    tokens: Annotated[tuple[Secret, ...], described("Bearer tokens that may use the API; none turns the API off.")] = ()


class Escalation(Settings, frozen=True, kw_only=True):
    """What happens when an SLA clock gives a warning or runs out; without `metric`, whichever clock it is."""

    on: Annotated[Literal["warning", "breach"], described("When to act.")]
    metric: Annotated[Literal["first_response", "next_response", "resolution"] | None, described("Of which clock.")] = (
        None
    )
    priority: Annotated[Priority | None, described("Raise the priority to this; it is never lowered.")] = None
    queue: Annotated[str | None, described("Queue to move the conversation to.", example="supervisors")] = None
    tags: Annotated[tuple[str, ...], described("Tags to add.")] = ()
    notify: Annotated[str | None, described("Internal note for whoever has it.", example="@lead please look")] = None


class SlaTargets(Settings, frozen=True, kw_only=True):
    """How soon something must happen, in the queue's business hours."""

    first_response: Annotated[Duration | None, described("Until the first answer.", example="15m")] = None
    next_response: Annotated[Duration | None, described("Until each further answer.", example="1h")] = None
    resolution: Annotated[Duration | None, described("Until the conversation is resolved.", example="8h")] = None
    warn_at: Annotated[
        Annotated[float, msgspec.Meta(gt=0, lt=1)], described("Share of the time after which a warning is given.")
    ] = 0.75
    escalate: Annotated[tuple[Escalation, ...], described("What to do at a warning or a breach.")] = ()


class QueueSettings(Settings, frozen=True, kw_only=True):
    """A waiting line of conversations for people."""

    description: Annotated[str, described("What the queue is for.")] = ""
    priority: Annotated[Priority | None, described("Priority of conversations that arrive without one.")] = None
    calendar: Annotated[
        str | None, described("Business hours that the SLA targets count in.", example="br-business")
    ] = None
    sla: Annotated[SlaTargets, described("Service level targets.")] = msgspec.field(default_factory=SlaTargets)
    out_of_hours: Annotated[
        str | None,
        described("Where conversations go while the calendar is closed.", example="automation:closed"),
    ] = None
    paused: Annotated[bool, described("Takes no new conversations: they go to `overflow`, or the default queue.")] = (
        False
    )
    skills: Annotated[
        tuple[str, ...], described("Skills its people have; a conversation that needs another goes elsewhere.")
    ] = ()
    raise_priority_after: Annotated[
        Duration | None, described("Raise the priority one step whenever someone waited this long.", example="30m")
    ] = None
    survey: Annotated[str | None, described("Automation of type survey that asks once it is resolved.")] = None
    capacity: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, described("Open conversations the queue takes before it overflows.")
    ] = None
    overflow: Annotated[str | None, described("Queue that takes what is beyond the capacity.", example="general")] = (
        None
    )


class RouteTarget(Settings, frozen=True, kw_only=True):
    """One of several queues and automations that a rule tries in order; it has one of the two."""

    queue: Annotated[str | None, described("Name of the queue.")] = None
    automation: Annotated[str | None, described("Name of the automation.")] = None
    priority: Annotated[Priority | None, described("Priority to give in it.")] = None
    timeout: Annotated[
        Annotated[Duration, between("1s", "30d")] | None,
        described(
            "How long it may wait unanswered before the next one is tried; an automation's own time-out holds, too.",
            example="10m",
        ),
    ] = None
    unless: Annotated[str | None, described("Condition in CEL under which it is passed by.")] = None


class Sticky(Settings, frozen=True, kw_only=True):
    """Bring a contact back to where the last conversation was, if that is open; otherwise the rule does not apply."""

    within: Annotated[Duration, described("How long ago that may have been.", example="7d")]
    to: Annotated[Literal["queue", "agent"], described("agent: the last agent is named as assignee, too.")] = "queue"


class Route(Settings, frozen=True, kw_only=True):
    """One rule: conversations for which `when` is true go `to` a queue or automation. The first that applies wins."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200), described("Name, as decisions cite it.")]
    when: Annotated[str, described("Condition in CEL.", example="channel == 'email'")] = "true"
    to: Annotated[str | None, described("queue:NAME, automation:NAME, drop or hold.", example="queue:billing")] = None
    targets: Annotated[
        tuple[RouteTarget, ...], described("Queues and automations to try in order, instead of `to`.")
    ] = ()
    split: Annotated[
        dict[str, Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]],
        described("Targets and their weights, instead of `to`; a conversation always falls to the same one."),
    ] = msgspec.field(default_factory=dict)
    sticky: Annotated[Sticky | None, described("Back to the contact's last queue, instead of `to`.")] = None
    priority: Annotated[Priority | None, described("Priority to give.")] = None
    tags: Annotated[tuple[str, ...], described("Tags to add.")] = ()
    skills: Annotated[tuple[str, ...], described("Skills an agent must have.")] = ()
    language: Annotated[str | None, described("Language to set, BCP 47.", example="pt-BR")] = None
    attributes: Annotated[dict[str, str | int | float | bool], described("Conversation attributes to set.")] = (
        msgspec.field(default_factory=dict)
    )
    continue_: Annotated[bool, described("Go on to the next rules after this one.")] = msgspec.field(
        default=False, name="continue"
    )
    stop: Annotated[bool, described("Try no further rules, even without a target.")] = False


class LogSettings(Settings, frozen=True, kw_only=True):
    """Log lines."""

    format: Annotated[Literal["auto", "console", "json"], described("auto: console on a terminal, else JSON.")] = "auto"
    level: Annotated[Literal["debug", "info", "warning", "error"], described("Least level written.")] = "info"


class MetricsSettings(Settings, frozen=True, kw_only=True):
    """Prometheus metrics."""

    enabled: Annotated[bool, described("Serve /metrics.")] = True
    token: Annotated[Secret | None, described("Bearer token that /metrics asks for.")] = None


class TraceSettings(Settings, frozen=True, kw_only=True):
    """Spans for an OpenTelemetry collector; trace context travels in headers without it too."""

    endpoint: Annotated[
        Url | None, described("OTLP/HTTP address of the collector.", example="http://otel.example.com:4318/v1/traces")
    ] = None


class KafkaTlsSettings(Settings, frozen=True, kw_only=True):
    """Encryption to the brokers; an empty section trusts the system's authorities."""

    ca_file: Annotated[FilePath | None, described("PEM file with the authorities to trust.")] = None
    certificate: Annotated[FilePath | None, described("PEM file with a certificate of our own.")] = None
    key: Annotated[FilePath | None, described("PEM file with its private key.")] = None


class KafkaSaslSettings(Settings, frozen=True, kw_only=True):
    """Login to the brokers."""

    mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], described("How to log in.")]
    username: Annotated[str | None, described("User name, for PLAIN and SCRAM.")] = None
    password: Annotated[Password | None, described("Password, for PLAIN and SCRAM.")] = None
    token_file: Annotated[
        FilePath | None, described("File with the token for OAUTHBEARER; it is read at every login.")
    ] = None


class KafkaSettings(Settings, frozen=True, kw_only=True):
    """What the Kafka bus needs besides its address."""

    tls: Annotated[KafkaTlsSettings | None, described("Encrypt connections to the brokers.")] = None
    sasl: Annotated[KafkaSaslSettings | None, described("Log in to the brokers.")] = None
    application: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] | None,
        described("First part of the names of groups, transactions and changelogs; the topic prefix by default."),
    ] = None
    replication: Annotated[
        int, msgspec.Meta(ge=1, le=9), described("Copies of every topic; no more than there are brokers are made.")
    ] = 3
    compression: Annotated[
        Literal["zstd", "lz4", "snappy", "gzip", "none"],
        described("Of record batches; whoever reads the topics needs a client that knows it."),
    ] = "zstd"
    state: Annotated[
        FilePath, described("Folder for local copies of state; may be lost, then restart takes longer.")
    ] = Path("./omnibus-data/kafka-state")
    commit_interval: Annotated[
        Duration, between("1ms", "10s"), described("Longest pause between commits; it is shorter while there is time.")
    ] = timedelta(milliseconds=250)
    session_timeout: Annotated[
        Duration, between("1s", "5m"), described("A process silent for so long loses its partitions to the others.")
    ] = timedelta(seconds=15)


class Core(Settings, frozen=True, kw_only=True):
    """The sections whose meaning Omnibus itself knows; channels, automations and sinks come with their plug-ins."""

    bus: Annotated[BusUrl, described("Where records live.", example="kafka://kafka:9092")] = "embedded:./omnibus-data"
    prefix: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"), described("First part of every topic's name.")
    ] = "omnibus"
    partitions: Annotated[
        int, msgspec.Meta(ge=1, le=2_000), described("Partitions of every topic; fixed when they are created.")
    ] = 12
    blobs: Annotated[BlobsUrl, described("Where attachments and large bodies live.", example="s3://bucket/prefix")] = (
        "file:./omnibus-data/blobs"
    )
    lost_records: Annotated[
        Literal["stop", "skip"],
        described("What a stage does that was stopped for longer than its input is kept: stop, or go on behind it."),
    ] = "stop"
    kafka: Annotated[KafkaSettings, described("How the brokers are reached and used.")] = msgspec.field(
        default_factory=KafkaSettings
    )
    http: Annotated[HttpSettings, described("The front door.")] = msgspec.field(default_factory=HttpSettings)
    api: Annotated[ApiSettings, described("The HTTP API.")] = msgspec.field(default_factory=ApiSettings)
    routes: Annotated[tuple[Route, ...], described("Routing rules, first match first.")] = ()
    log: Annotated[LogSettings, described("Log lines.")] = msgspec.field(default_factory=LogSettings)
    metrics: Annotated[MetricsSettings, described("Prometheus metrics.")] = msgspec.field(
        default_factory=MetricsSettings
    )
    traces: Annotated[TraceSettings, described("Spans for a collector.")] = msgspec.field(default_factory=TraceSettings)
    drain: Annotated[Duration, described("How long a stop waits for work in hand.", example="30s")] = timedelta(
        seconds=20
    )


class ChannelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configured channel account: `settings` is of the class the channel declares."""

    name: str
    type: str
    settings: msgspec.Struct


class AutomationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configured automation: `settings` is of the class its type declares."""

    name: str
    type: str
    settings: msgspec.Struct


class SinkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configured sink: `sources` are its ``from``, `settings` is of the class the sink declares."""

    name: str
    type: str
    sources: tuple[str, ...]
    settings: msgspec.Struct


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration, checked. Printing it shows no secret; `where` tells where a value came from."""

    core: Core
    channels: Mapping[str, ChannelConfig]
    queues: Mapping[str, QueueSettings]
    automations: Mapping[str, AutomationConfig]
    sinks: Mapping[str, SinkConfig]
    sections: Mapping[str, Any]
    marks: Mapping[str, Mark]

    @property
    def bus(self) -> str:
        return self.core.bus

    @property
    def kafka(self) -> KafkaSettings:
        return self.core.kafka

    @property
    def prefix(self) -> str:
        return self.core.prefix

    @property
    def partitions(self) -> int:
        return self.core.partitions

    @property
    def blobs(self) -> str:
        return self.core.blobs

    @property
    def http(self) -> HttpSettings:
        return self.core.http

    @property
    def api(self) -> ApiSettings:
        return self.core.api

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.core.routes

    @property
    def log(self) -> LogSettings:
        return self.core.log

    @property
    def metrics(self) -> MetricsSettings:
        return self.core.metrics

    @property
    def traces(self) -> TraceSettings:
        return self.core.traces

    @property
    def drain(self) -> timedelta:
        return self.core.drain

    def where(self, path: str) -> Mark:
        """Where the value at a path such as ``routes.3.when`` was given; for a default, where it would belong."""
        while path and path not in self.marks:
            path = path.rpartition(".")[0]
        return self.marks.get(path, Mark("defaults"))

    def __repr__(self) -> str:
        sections = f"channels={sorted(self.channels)}, queues={sorted(self.queues)}, sinks={sorted(self.sinks)}"
        return f"Config(bus={self.bus.partition('@')[2] or self.bus!r}, {sections})"
