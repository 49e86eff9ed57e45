"""Answers by mail, through the account's own submission server."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import aiosmtplib

from connectors.email.auto import is_daemon
from connectors.email.compose import Composed, compose
from connectors.email.dkim import Signer
from connectors.email.failure_codes import GONE, failure_code
from connectors.email.pool import Pool
from connectors.email.settings import EmailSettings
from omnibus import clock
from omnibus.channel.send import Sender, SenderTools, Sent
from omnibus.errors import Misconfigured, OmnibusError, RecipientGone, Refused, TryAgain
from omnibus.model.events import Outbound

_STATUS = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")
_POSSIBLE = re.compile(r"[^\s<>@\"(),:;\\\[\]]{1,64}@[^\s<>@\"(),:;\\]{1,255}")
_NO_REPLY = re.compile(r"^(?:no|do[-_.]?not)[-_.]?reply(?:[+=-].*)?@", re.IGNORECASE)
# Replies of RFC 5321 and RFC 4954 that speak of our login or our rights, not of the mail.
_LOGIN_CODES = frozenset({530, 534, 535, 538})


class EmailSender(Sender):
    """One for each account. Sending twice gives the same Message-ID, by which receivers know the copy."""

    def __init__(self, tools: SenderTools) -> None:
        self._settings: EmailSettings = tools.account.settings
        self._blobs = tools.blobs
        outgoing = self._settings.outgoing
        if outgoing is None:
            raise Misconfigured(f"channels.{tools.account.name}.outgoing", "needed for answers by mail")
        self._outgoing = outgoing
        self._pool = Pool(outgoing)
        self._signer = Signer(outgoing.dkim) if outgoing.dkim is not None else None

    async def send(self, outbound: Outbound) -> Sent:
        """Raises Refused for recipients that must not be answered: robots, lists of senders, the null sender."""
        _check_recipient(outbound)
        mail = await compose(outbound, self._settings, self._blobs)
        if self._signer is not None:
            # RSA over megabytes takes a while, and other conversations use this loop too.
            data = await asyncio.to_thread(self._signer.signed, mail.data, clock.now_ms() // 1000)
            mail = replace(mail, data=data)
        try:
            await self._deliver(mail, outbound.recipient.value)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise as_recovery(error) from error
        return Sent(native_ids=(mail.message_id,))

    async def probe(self) -> str:
        """Connect, log in, and say nothing more. Raises Misconfigured, TryAgain."""
        try:
            async with self._pool.connection() as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise as_recovery(error) from error
        return f"{self._outgoing.host}:{self._outgoing.port}"

    async def close(self) -> None:
        await self._pool.close()

    async def _deliver(self, mail: Composed, recipient: str) -> None:
        async with self._pool.connection() as client:
            # RFC 3461: a report if it fails, with the headers only, so that the bounce names our Message-ID.
            wants_report = client.supports_extension("dsn")
            options = ["RET=HDRS"] if wants_report else []
            refused, _ = await client.sendmail(
                mail.envelope_from,
                list(mail.recipients),
                mail.data,
                mail_options=[*options, "SMTPUTF8"] if mail.needs_utf8 else options,
                rcpt_options=["NOTIFY=FAILURE,DELAY"] if wants_report else [],
            )
        # With several recipients the server may refuse some: a copy that fails is not the answer failing.
        if (answer := refused.get(recipient)) is not None:
            raise aiosmtplib.SMTPRecipientRefused(answer.code, answer.message, recipient)


def _check_recipient(outbound: Outbound) -> None:
    recipient = outbound.recipient
    if recipient.scheme != "email" or "@" not in recipient.value:
        raise Refused("UNSUPPORTED_OPERATION", "the sender left no address to answer")
    if is_daemon(recipient.value) or _NO_REPLY.match(recipient.value):
        raise Refused("UNSUPPORTED_OPERATION", "nobody reads mail at that address")
    if _POSSIBLE.fullmatch(recipient.value) is None or not recipient.value.isprintable():
        raise RecipientGone("the address cannot exist")


def as_recovery(error: aiosmtplib.SMTPException | OSError) -> OmnibusError:
    """What should happen next. Servers' words are kept short: they are shown to agents."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return as_recovery(first)
        case aiosmtplib.SMTPResponseException(code=code, message=text):
            return _by_answer(code, str(text))
        case aiosmtplib.SMTPNotSupported():
            return Refused("UNSUPPORTED_OPERATION", "the server cannot carry this address or content")
        case _:
            return TryAgain(f"mail server: {type(error).__name__}")


def _by_answer(code: int, text: str) -> OmnibusError:
    found = _STATUS.match(text)
    status = found.group(1) if found else ""
    words = " ".join(text.split())[:200]
    if code in _LOGIN_CODES:
        return Misconfigured("outgoing.password", f"the server wants another login ({code})")
    if code < 500:
        return TryAgain(f"mail server: {code} {status}".rstrip())
    if status in GONE:
        return RecipientGone(words, native_code=status)
    return Refused(_refusal_code(code, status), words, native_code=status or str(code))


def _refusal_code(code: int, status: str) -> str:
    """A bare 550 may mean the mailbox or our reputation: the person is not marked as gone for it."""
    if status:
        return failure_code(status)
    return {552: "MEDIA_TOO_LARGE", 550: "RECIPIENT_NOT_REACHABLE", 551: "RECIPIENT_NOT_REACHABLE"}.get(
        code, "DELIVERY_REJECTED_DUE_TO_POLICY" if code == 554 else "CHANNEL_FAILURE"
    )
