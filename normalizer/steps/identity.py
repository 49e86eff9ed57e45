"""Identity: who wrote, as an opaque and scoped handle, and the contact it belongs to.

Every identity begins as a contact of its own; linking people across channels is a decision of its own.
"""

from __future__ import annotations

from normalizer.state import Known, Thread
from normalizer.work import Work
from omnibus import clock
from omnibus.bus.port import Out
from omnibus.channel.events import Party
from omnibus.model import ids
from omnibus.model.codec import encode_data
from omnibus.model.entities import ChannelIdentity, Contact, Profile
from omnibus.model.events import ContactIdentified


def resolve_identity(work: Work, party: Party) -> ChannelIdentity:
    """The identity of a party; an id is global, or scoped to the account, as the channel's capabilities say."""
    account = None if work.account.channel.capabilities.identity_scope == "global" else work.account.name
    normalized = party.normalized if party.normalized is not None else party.value
    identity_id = ids.identity_id(work.raw.channel, account, party.scheme, normalized)
    known = work.state.identity(identity_id)
    return ChannelIdentity(
        id=identity_id,
        channel=work.raw.channel,
        channel_account_id=account,
        scheme=party.scheme,
        value=party.value,
        normalized=normalized,
        display_name=party.display_name,
        username=party.username,
        verified=party.verified,
        first_seen=clock.from_ms(known.first_seen) if known else work.raw.received_at,
        last_seen=work.raw.received_at,
    )


def introduce(work: Work, thread: Thread, identity: ChannelIdentity) -> None:
    """Tell downstream of an identity that is new, or goes by another name now; keep the contacts table current."""
    known = work.state.identity(identity.id)
    if known is not None and (known.display_name, known.username) == (identity.display_name, identity.username):
        return
    first_seen = known.first_seen if known else work.received_ms
    revision = "" if known is None else f"{identity.display_name}\0{identity.username}"
    work.state.keep_identity(identity.id, Known(first_seen, identity.display_name, identity.username))
    contact = Contact(
        id=ids.contact_id(identity.id),
        identities=(identity,),
        profile=Profile(name=identity.display_name),
    )
    work.ctx.emit(Out(work.topics.contacts, identity.id.encode(), encode_data(contact), ts_ms=work.received_ms))
    work.emit(
        thread,
        "contact.identified",
        ids.event_id("", identity.id, "contact.identified", revision),
        ContactIdentified(contact_id=contact.id, identity=identity, evidence="first_message"),
        at_ms=work.received_ms,
    )
