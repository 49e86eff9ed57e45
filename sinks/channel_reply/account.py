"""One channel account on its way out: its sender, its turn, and how it is."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from omnibus import clock
from omnibus.channel.declaration import Account
from omnibus.channel.registry import load_part
from omnibus.channel.send import Sender, SenderTools, Sent
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http_guard import Breaker, RateLimit
from omnibus.model.events import Outbound
from omnibus.telemetry import facts
from sinks.channel_reply.sink import ReplySettings


class OutboundAccount:
    """Sends through one account: at most so many at once and a second, not at all while it rests.

    An account whose credentials are refused rests by itself: its replies wait (TryAgain), those of other accounts go
    on. After the rest one reply tries again, the others wait for what becomes of it.
    """

    def __init__(self, tools: SenderTools, settings: ReplySettings) -> None:
        self.account: Account = tools.account
        self.trouble: Misconfigured | None = None
        self._tools = tools
        self._settings = settings
        self._sender: Sender | None = None
        self._turns = asyncio.Semaphore(settings.concurrency_per_account)
        self._rate = None if settings.messages_per_second is None else RateLimit(settings.messages_per_second)
        self._breaker = Breaker()
        self._rests_until: datetime | None = None

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain also while the account rests (`trouble` says why), Refused as its sender does."""
        self._check_rest()
        async with self._turns:
            self._check_rest()
            self._begin_trial()
            if self._rate is not None:
                await self._rate.acquire()
            try:
                with self._breaker.guard(self.account.name):
                    result = await self._send_in_time(outbound)
            except Misconfigured as error:
                self._rest(error)
                raise TryAgain(str(error), after=self._settings.retry_misconfigured) from error
            except Refused:
                self._works()  # an answer about the message: the account itself was let in
                raise
        self._works()
        return result

    async def close(self) -> None:
        """Let go of the sender's connections."""
        if self._sender is not None:
            await self._sender.close()

    async def _send_in_time(self, outbound: Outbound) -> Sent:
        sender = self._ready()
        limit = self._settings.send_timeout
        try:
            async with asyncio.timeout(limit.total_seconds()) as deadline:
                return await sender.send(outbound)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the sender's own, which is a bug of the sender
            raise TryAgain(f"the sender did not finish within {limit}") from error

    def _ready(self) -> Sender:
        if self._sender is None:
            channel = self.account.channel
            if channel.send is None:
                raise Refused("UNSUPPORTED_OPERATION", f"{channel.title} is a channel that only receives")
            self._sender = load_part(channel, channel.send)(self._tools)
        return self._sender

    def _check_rest(self) -> None:
        left = timedelta(0) if self._rests_until is None else self._rests_until - clock.now()
        if left > timedelta(0):
            raise TryAgain(str(self.trouble), after=left)

    def _begin_trial(self) -> None:
        """After a rest one reply tries alone; until it has an answer the account counts as resting."""
        if self._rests_until is not None:
            self._rests_until = clock.now() + self._settings.send_timeout

    def _rest(self, error: Misconfigured) -> None:
        if self.trouble is None:
            account = self.account
            facts.emit(
                facts.ChannelPaused(
                    channel=account.channel.name, account=account.name, setting=error.setting, why=error.why
                )
            )
        self.trouble = error
        self._rests_until = clock.now() + self._settings.retry_misconfigured

    def _works(self) -> None:
        if self.trouble is not None:
            facts.emit(facts.ChannelConnected(channel=self.account.channel.name, account=self.account.name))
        self.trouble = None
        self._rests_until = None
