"""A request that speaks of several accounts: each gets a copy of its own, proven with its own secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from omnibus.channel.declaration import Account
from omnibus.channel.receive import ADDRESSES, Request, Unverified, Verdict, Webhook


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Whose copy it is, how the sender was proven to them, and what their mapping has to know."""

    account: str
    verified: Verdict
    attributes: dict[str, str]


class Sharing:
    """How the requests sent to one account are shared with the others of its channel."""

    def __init__(self, webhook: Webhook, own: Account, peers: Iterable[Account] = ()) -> None:
        self._webhook = webhook
        self._own = own
        self._peers = _by_address(webhook, own, peers)

    def shares(self, request: Request, verified: Verdict) -> Sequence[Share]:
        """The copies to store of a request that the account itself has verified; one, as a rule."""
        if not self._peers:
            return (self._share(self._own, request, verified),)
        addresses = tuple(dict.fromkeys(self._webhook.addresses(request)))
        owners = {address: proven for address in addresses if (proven := self._owner(address, request)) is not None}
        if not owners:
            return (self._share(self._own, request, verified),)
        shares = [self._share(peer, request, verdict, address) for address, (peer, verdict) in owners.items()]
        left = [address for address in addresses if address not in owners]
        if left:
            shares.insert(0, self._share(self._own, request, verified, *left))
        return shares

    def _owner(self, address: str, request: Request) -> tuple[Account, Verdict] | None:
        """The other account of that address, if the request is proven to it as well.

        Somebody who knows the secret of one account must not be able to speak for another one.
        """
        peer = self._peers.get(address)
        if peer is None:
            return None
        try:
            return peer, self._webhook.verify(request, peer.settings)
        except Unverified:
            return None

    def _share(self, account: Account, request: Request, verified: Verdict, *addresses: str) -> Share:
        attributes = dict(self._webhook.attributes(request, account.settings))
        if addresses:
            attributes[ADDRESSES] = " ".join(addresses)
        return Share(account=account.name, verified=verified, attributes=attributes)


def _by_address(webhook: Webhook, own: Account, peers: Iterable[Account]) -> Mapping[str, Account]:
    """The other accounts by address; of two with the same, the first by name. The account's own is never theirs."""
    mine = webhook.address(own.settings)
    found: dict[str, Account] = {}
    for peer in sorted(peers, key=lambda account: account.name):
        address = webhook.address(peer.settings)
        if address is not None and address != mine and peer.name != own.name:
            found.setdefault(address, peer)
    return found
