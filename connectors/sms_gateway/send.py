"""Hands messages to the gateway in the form its settings describe."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import re2

from connectors._shared.bodies import json_of, looks_like_json
from connectors._shared.paths import MISSING, find
from connectors._shared.progress import Progress
from connectors._shared.sms.alphabets import alphabet_of, encoded, pieces_of
from connectors._shared.sms.fields import as_text
from connectors._shared.sms.numbers import ends_of, is_number
from connectors._shared.words import plain
from connectors.sms_gateway.mapping import token_of_thread
from connectors.sms_gateway.presets import OUR_ID, OUR_THREAD, incoming_of, outgoing_of
from connectors.sms_gateway.settings import GatewaySettings, OutgoingSettings
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Misconfigured, Refused, TryAgain
from omnibus.http import AddressRefused, Response, response_error, retry_after
from omnibus.model.content import Text
from omnibus.model.events import Outbound

MAX_ANSWER_BYTES = 1_000_000
MAX_READ_CHARS = 10_000

Params = dict[str, str]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the gateway takes it, and the id we know it by."""

    id: str
    params: Params


class GatewaySender:
    """Sends for one account. Gateways know no idempotency key: a message whose answer was lost is sent again."""

    def __init__(self, tools: SenderTools) -> None:
        self._tools = tools
        self._settings: GatewaySettings = tools.account.settings
        self._how = outgoing_of(self._settings)
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, Misconfigured."""
        if self._how.url is None:
            raise Misconfigured("outgoing.url", "without it messages have nowhere to go")
        message, content = outbound.message, outbound.message.content
        if not isinstance(content, Text) or message.attachments:
            raise Refused("MEDIA_TYPE_UNSUPPORTED", "a text message takes words only")
        texts = pieces_of(plain(content), self._how.max_parts or 1)
        if not texts:
            raise Refused("UNSUPPORTED_OPERATION", "the message has no words")
        pieces = [self._piece(outbound, text, f"{message.id}.{number}") for number, text in enumerate(texts)]
        theirs = await self._progress.send(message.id, pieces, self._hand_in)
        ours = [piece.id for piece in pieces if piece.id not in theirs] if self._reports_name_ours() else ()
        return Sent(native_ids=(*theirs, *ours))

    def _reports_name_ours(self) -> bool:
        """Whether delivery reports may name the message by the id that we gave it, besides the gateway's own."""
        named = incoming_of(self._settings).report_id or ()
        has_callback = bool(self._tools.account.public_url and self._how.callback_param)
        return bool(self._how.id_param) or (has_callback and OUR_ID in named)

    async def close(self) -> None:
        return None

    def _piece(self, outbound: Outbound, text: str, our_id: str) -> Piece:
        how, (ours, theirs) = self._how, self._ends(outbound)
        alphabet = alphabet_of(text)
        params: Params = dict(how.constants or {})
        given = {
            how.to_param: self._written(theirs),
            how.from_param: self._written(ours) if ours else "",
            how.text_param: text if how.encoding == "text" else encoded(text).hex(),
            how.coding_param: how.gsm_coding if alphabet == "gsm" else how.unicode_coding,
            how.id_param: our_id,
            how.callback_param: self._callback(outbound, our_id),
        }
        params.update({name: value for name, value in given.items() if name and value})
        return Piece(id=our_id, params=params)

    def _ends(self, outbound: Outbound) -> tuple[str | None, str]:
        try:
            return ends_of(outbound.conversation.thread_key)
        except InvalidPayload:
            return self._settings.from_number, outbound.recipient.value

    def _written(self, number: str) -> str:
        if not is_number(number) or self._how.numbers == "plus":
            return number
        return number.removeprefix("+") if self._how.numbers == "digits" else number.replace("+", "00", 1)

    def _callback(self, outbound: Outbound, our_id: str) -> str | None:
        """Where the report goes: it names message and thread, so that it needs no numbers. Without ``%`` signs of our
        own, because gateways take those for placeholders.
        """
        account, settings = self._tools.account, self._settings
        if not account.public_url or not self._how.callback_param:
            return None
        query = {OUR_ID: our_id, OUR_THREAD: token_of_thread(outbound.conversation.thread_key)}
        if settings.verify == "token" and settings.webhook_secret is not None:
            query[settings.token_param] = settings.webhook_secret.reveal()
        more = f"&{self._how.callback_query}" if self._how.callback_query else ""
        return f"{account.public_url}/in/{quote(account.name, safe='')}?{urlencode(query)}{more}"

    async def _hand_in(self, piece: Piece) -> str:
        how = self._how
        headers, credentials = _proof(how)
        params = {**credentials, **piece.params}
        body, url = None, how.url or ""
        match how.format:
            case "json":
                body, headers["Content-Type"] = msgspec.json.encode(params), "application/json"
            case "form":
                body, headers["Content-Type"] = urlencode(params).encode(), "application/x-www-form-urlencoded"
            case _:
                url = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(params)}"
        try:
            response = await self._tools.http.request(
                how.method or "POST",
                url,
                headers=headers,
                body=body,
                max_response_bytes=MAX_ANSWER_BYTES,
                allow_private=how.allow_private,
            )
        except AddressRefused:
            why = "the gateway is on this machine or in a private network: set outgoing.allow_private"
            raise Misconfigured("outgoing.url", why) from None
        return native_id(response, how, piece.id)


def _proof(how: OutgoingSettings) -> tuple[dict[str, str], Params]:
    """Headers and parameters that say who we are."""
    password = None if how.password is None else how.password.reveal()
    if how.auth == "none" or password is None:
        return {}, {}
    match how.auth:
        case "params":
            named = {how.user_param: how.user, how.password_param: password}
            return {}, {name: value for name, value in named.items() if name and value}
        case "basic":
            token = base64.b64encode(f"{how.user or ''}:{password}".encode()).decode()
            return {"Authorization": f"Basic {token}"}, {}
        case "header":
            return {how.auth_header: password}, {}
        case _:
            return {"Authorization": f"Bearer {password}"}, {}


def native_id(response: Response, how: OutgoingSettings, our_id: str) -> str:
    """The gateway's id of the message, or ours where it has none (and where reports name ours).

    Raises as `_refuse` does when the answer does not say that the message was taken.
    """
    said = response.body.decode("utf-8", "replace")[:MAX_READ_CHARS]
    if not response.ok:
        _refuse(response, how, said)
    named: Mapping[str, str | None] = {}
    if how.accepted is not None:
        found = re2.search(how.accepted, said)
        if found is None:
            _refuse(response, how, said)
        named = found.groupdict()
    theirs = named.get("id") or _id_in_json(response.body, how)
    return theirs if theirs and len(theirs) <= 200 else our_id


def _id_in_json(body: bytes, how: OutgoingSettings) -> str | None:
    if not looks_like_json(body):
        return None
    try:
        data: Any = json_of(body)
    except InvalidPayload:
        return None
    paths = (how.id_paths,) if isinstance(how.id_paths, str) else how.id_paths or ()
    found = (find(data, path) for path in paths)
    return next((text for value in found if value is not MISSING and (text := as_text(value))), None)


def _refuse(response: Response, how: OutgoingSettings, said: str) -> NoReturn:
    """Raise what happens next. A gateway's words may quote the message, so only what the settings name is repeated."""
    for words in how.again or ():
        if words in said:
            raise TryAgain(f"the gateway says: {words}", after=retry_after(response.headers))
    for words, code in (how.refusals or {}).items():
        if words in said:
            if code == "CHANNEL_BAD_CONFIGURATION":
                raise Misconfigured("outgoing", f"the gateway says: {words}")
            raise Refused(code, f"the gateway says: {words}", native_code=str(response.status))
    if response.status == 401:
        raise Misconfigured("outgoing.password", "the gateway does not accept the credentials")
    if not response.ok:
        response_error(response)
    raise Refused("CHANNEL_FAILURE", "the gateway's answer does not say that it took the message")
