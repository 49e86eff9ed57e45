"""Channel replies: outbound messages leave through the sender of their channel, and what came of them comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import Duration, described
from sinks._engine.declaration import Sink, SinkSettings


class ReplySettings(SinkSettings, frozen=True, kw_only=True):
    """How replies are sent. Omnibus always runs this sink; configure it only to change these."""

    give_up_after: Annotated[
        Duration | None, described("A reply that cannot be sent this long after it was written has failed.")
    ] = timedelta(hours=6)
    concurrency_per_account: Annotated[
        int, Meta(ge=1, le=256), described("Replies of one channel account on their way at once.")
    ] = 8
    messages_per_second: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        described("Most replies of one account in a second; empty leaves it to the provider."),
    ] = None
    send_timeout: Annotated[Duration, described("How long one try may take.", example="2m")] = timedelta(minutes=2)
    retry_misconfigured: Annotated[
        Duration, described("How long an account rests whose credentials the provider refused.", example="5m")
    ] = timedelta(minutes=5)


SINK = Sink(
    name="channel_reply",
    title="Channel replies",
    docs="https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md",
    settings=ReplySettings,
    make=".handler:ReplyHandler",
    concurrency=256,  # most of them wait for their account's turn; an account at rest holds none
    needs=frozenset({"senders", "http", "blobs"}),
    own_inputs=True,
)
