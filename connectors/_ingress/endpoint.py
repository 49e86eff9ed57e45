"""``/in/<account>``: prove the sender, put the bytes in the log, and only then say yes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from connectors._ingress import answers
from connectors._ingress.body import read_body
from connectors._ingress.limits import Gate, IngressLimits, TooLarge, TooSlow
from connectors._ingress.refusals import Refusals
from connectors._ingress.request import Masks, Proxies, raw_event_of, request_of
from connectors._ingress.sharing import Sharing
from connectors._ingress.tools import AccountTools
from omnibus.channel.declaration import Account
from omnibus.channel.receive import Answer, NotSignedYet, Request, Unacceptable, Unverified, Webhook
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown, TryAgain
from omnibus.telemetry import metrics


class Endpoint:
    """One account's webhook. The provider gets its 2xx once the log has the request, and not before."""

    def __init__(
        self,
        webhook: Webhook,
        tools: AccountTools,
        *,
        gate: Gate,
        limits: IngressLimits,
        proxies: Proxies,
        refusals: Refusals,
        peers: Iterable[Account] = (),
    ) -> None:
        self._webhook = webhook
        self._tools = tools
        self._gate = gate
        self._limits = limits
        self._proxies = proxies
        self._refusals = refusals
        self._channel = tools.account.channel.name
        self._account = tools.account.name
        self._settings: Any = tools.account.settings
        self._masks = Masks(webhook, self._settings)
        self._sharing = Sharing(webhook, tools.account, peers)

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one request; every refusal is one of `answers`."""
        metrics.current().count("received", self._channel, self._account)
        try:
            with self._gate.share() as share:
                if http.method not in self._webhook.methods and http.method != "GET":
                    return answers.wrong_method(self._webhook.methods)
                body = await read_body(http, share, self._limits)
                request = request_of(http, body, self._proxies, self._tools.account.public_url)
                return await self._answer(request)
        except NotSignedYet as error:
            return self._refused("unverified", str(error), answers.overloaded(self._limits.retry_after))
        except Unverified as error:
            return self._refused("unverified", str(error), answers.unverified())
        except Unacceptable as error:
            return self._refused("unacceptable", str(error), answers.unacceptable())
        except TooLarge as error:
            return self._refused("too_large", str(error), answers.too_large(self._limits.max_body))
        except Overloaded as error:
            return self._refused("overloaded", str(error), answers.overloaded(error.after))
        except TooSlow as error:
            return self._refused("too_slow", str(error), answers.too_late())
        except (PublishRejected, PublishUnknown, TryAgain) as error:
            # Not (surely) stored: the provider sends it again, and ids are derived, so a copy does no harm.
            return self._refused("not_stored", str(error), answers.overloaded(self._limits.retry_after))

    async def _answer(self, request: Request) -> web.Response:
        if request.method == "GET":
            challenged = self._webhook.challenge(request, self._settings)
            if challenged is not None:
                return answers.accepted(challenged)
            if "GET" not in self._webhook.methods:
                return answers.wrong_method(self._webhook.methods)
        return answers.accepted(await self._stored(request))

    async def _stored(self, request: Request) -> Answer:
        verified = self._webhook.verify(request, self._settings)
        if request.method != "GET":
            challenged = self._webhook.challenge(request, self._settings)
            if challenged is not None:
                return challenged
        shares = self._sharing.shares(request, verified)
        raws = [
            raw_event_of(
                request,
                channel=self._channel,
                account=share.account,
                verified=share.verified,
                masks=self._masks,
                attributes=share.attributes,
            )
            for share in shares
        ]
        await self._tools.publish(raws)
        return self._webhook.answered(request, self._settings)

    def _refused(self, reason: str, why: str, answer: web.Response) -> web.Response:
        self._refusals.note(self._channel, self._account, reason, why)
        return answer
