"""Webhooks: every event as a signed HTTP request, retried until it is taken."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import Secret, Timeout, Url, described
from sinks._engine.declaration import Sink, SinkSettings


class WebhookSettings(SinkSettings, frozen=True, kw_only=True):
    """Where requests go and how they are proven."""

    url: Annotated[Url, described("Address that takes the events.", example="https://hooks.example.com/omnibus")]
    secrets: Annotated[
        tuple[Secret, ...],
        Meta(min_length=1, max_length=10),
        described("Signing secrets, whsec_ and base64; every request is signed with each, so that they can rotate."),
    ]
    headers: Annotated[
        dict[str, Secret], described("Further headers, for gateways that want a token of their own.")
    ] = {}
    timeout: Annotated[Timeout, described("How long the receiver may take to answer.", example="15s")] = timedelta(
        seconds=15
    )
    requests_per_second: Annotated[
        Annotated[float, Meta(gt=0)] | None, described("Most requests in a second; empty for no limit of ours.")
    ] = None
    allow_private: Annotated[
        bool, described("Allow an address in a private network; off, such addresses are never connected to.")
    ] = False


SINK = Sink(
    name="webhook",
    title="Webhook",
    docs="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    settings=WebhookSettings,
    make=".deliver:WebhookSink",
    concurrency=32,
    needs=frozenset({"http"}),
)
