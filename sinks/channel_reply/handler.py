"""Takes outbound messages of one channel, checks them, sends each through its account, and reports what came of it.

At least once: a process that dies after the provider took a message and before that is recorded sends it again. Senders
give the provider the message id as idempotency key where it knows such a thing; within a process a message that was
sent is never sent again, even when recording it failed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

from omnibus import clock
from omnibus.blobs import BlobMissing
from omnibus.bus.port import Out, Record
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.model import codec
from omnibus.model.events import Outbound
from omnibus.runtime import Runtime
from omnibus.stage.step import dead_letter
from omnibus.telemetry import facts, metrics
from sinks._engine.handler import with_body
from sinks._engine.patience import Patience
from sinks.channel_reply import report
from sinks.channel_reply.account import OutboundAccount
from sinks.channel_reply.check import adapted, check
from sinks.channel_reply.sink import ReplySettings

_REMEMBERED = 10_000
"""Messages this process sent that it will not send again."""


class ReplyHandler:
    """The `SinkHandler` of one channel's replies (one conversation's at a time, in order)."""

    def __init__(self, runtime: Runtime, channel: str, settings: ReplySettings) -> None:
        self._name = f"channel_reply.{channel}"
        self.stage = f"sink.{self._name}"
        self._runtime = runtime
        self._channel = channel
        self._settings = settings
        self._accounts: dict[str, OutboundAccount] = {}
        self._tries = Patience(None)
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    @property
    def trouble(self) -> str | None:
        """The accounts that rest because their settings are wrong, and why."""
        reasons = [f"{name}: {one.trouble}" for name, one in sorted(self._accounts.items()) if one.trouble is not None]
        return "; ".join(reasons) or None

    async def close(self) -> None:
        """Close the senders."""
        for account in self._accounts.values():
            await account.close()

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        self._tries.trying(records)
        outs = [out for record in records for out in await self._deliver(record)]
        self._tries.done(records)
        return outs

    async def _deliver(self, record: Record) -> Sequence[Out]:
        event = await self._outbound(record)
        attempts, outcomes = self._tries.count(record), self._runtime.topics.outcomes
        letters: list[Out] = []
        try:
            result = await self._send_once(event.data)
        except Refused as error:
            failure = error
        except BlobMissing as error:
            failure = Refused("MEDIA_NOT_REACHABLE", str(error))
        except TryAgain as error:
            failure = self._timed_out(event.data, error, attempts)
        except Exception as error:  # a bug in a sender: the conversation must learn of it as much as the operator
            failure = Refused("CHANNEL_FAILURE", f"the channel's sender failed: {type(error).__name__}")
            letters = [dead_letter(self._runtime.topics.dead_letters, self.stage, record, error, attempts)]
        else:
            facts.emit(facts.Delivered(sink=self._name))
            return [report.sent(event, result, attempts, outcomes), *result.also]
        facts.emit(facts.DeliveryFailed(sink=self._name, code=failure.code, why=failure.reason[:500]))
        return [report.failed(event, failure, attempts, outcomes), *letters]

    async def _outbound(self, record: Record) -> codec.Event:
        event = codec.decode(await with_body(record, self._runtime.blobs))
        if not isinstance(event.data, Outbound):
            raise InvalidPayload("ce_type", f"expected an outbound message, got {event.type}")
        return event

    async def _send_once(self, outbound: Outbound) -> Sent:
        message = outbound.message
        if message.id in self._sent:
            return self._sent[message.id]
        account = self._account_of(message.channel_account_id)
        capabilities = account.account.channel.capabilities
        fitting = adapted(outbound, capabilities)
        check(fitting, capabilities, clock.now())
        began = time.monotonic()
        result = await account.send(fitting)
        metrics.current().observe("delivery_seconds", self._name, seconds=time.monotonic() - began)
        self._sent[message.id] = result
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return result

    def _account_of(self, name: str) -> OutboundAccount:
        if name not in self._accounts:
            account = self._runtime.accounts.get(name)
            if account is None or account.channel.name != self._channel:
                raise Refused("CHANNEL_BAD_CONFIGURATION", f"there is no {self._channel} account {name!r}")
            runtime = self._runtime
            tools = SenderTools(account=account, http=runtime.http, blobs=runtime.blobs, topics=runtime.topics)
            self._accounts[name] = OutboundAccount(tools, self._settings)
        return self._accounts[name]

    def _timed_out(self, outbound: Outbound, error: TryAgain, attempt: int) -> Refused:
        """The refusal of a message that is too old to be tried again; raises TryAgain for one that is not."""
        patience = self._settings.give_up_after
        left = timedelta.max if patience is None else outbound.message.created_at + patience - clock.now()
        if left > timedelta(0):
            facts.emit(facts.DeliveryRetried(sink=self._name, why=str(error), attempt=attempt))
            raise TryAgain(str(error), after=None if error.after is None else min(error.after, left)) from error
        account = self._accounts.get(outbound.message.channel_account_id)
        if account is not None and account.trouble is not None:
            return Refused("CHANNEL_BAD_CONFIGURATION", str(account.trouble))
        return Refused("DELIVERY_TIMED_OUT", f"not sent within {patience}: {error}")
