"""Telegram updates in our words. https://core.telegram.org/bots/api#update"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from connectors._shared.reading import read
from connectors.telegram.contents import full_name, kinds_of, said_by
from connectors.telegram.place import NOWHERE, Place
from connectors.telegram.updates import (
    BusinessConnection,
    BusinessDeletion,
    CallbackQuery,
    Chat,
    JoinRequest,
    Located,
    MemberUpdate,
    Message,
    Origin,
    PressedMessage,
    ReactionType,
    ReactionUpdate,
    User,
    read_update,
)
from omnibus import clock
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Deletion, Edit, Party, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes, AutoSubmitted
from omnibus.model.content import ChoiceResponse, Content, Postback, System, Unsupported
from omnibus.model.entities import Quoted, Referral
from omnibus.model.raw import RawEvent

LONGEST_ATTRIBUTE = 400
"""The attributes of a message together must stay below 4 KB."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an update, and what every builder needs to know of the update."""

    raw: RawEvent
    update_id: int
    kind: str
    json: msgspec.Raw

    @property
    def native_id(self) -> str:
        """For what has no id of its own; Telegram gives a repeated update the same number."""
        return f"update:{self.update_id}"


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the update. Raises InvalidPayload."""
    update = read_update(raw.body)
    for kind, json in update.parts.items():
        part = Part(raw=raw, update_id=update.update_id, kind=kind, json=json)
        yield from BUILDERS.get(kind, unknown)(part)


def threads(raw: RawEvent) -> Sequence[str]:
    """The chats an update belongs to: one, as documented. Raises InvalidPayload."""
    return tuple(dict.fromkeys(event.thread for event in map_event(raw)))


# --- messages -----------------------------------------------------------------------------------


def message(part: Part) -> Iterator[AnyEvent]:
    sent = read(part.json, Message, part.kind)
    place, ours = _place_of(sent), _is_ours(sent)
    said = said_by(sent, kinds_of(part.json, part.kind))
    yield events.Message(
        thread=place.thread,
        at=_at(sent.date),
        native_id=place.native_id(sent.message_id),
        sender=_sender_of(sent),
        content=said.content,
        attachments=said.attachments,
        direction="outbound" if ours else "inbound",
        participants=_customer(sent) if ours else (),
        own=sent.sender_business_bot is not None,
        subject=sent.chat.title,
        in_reply_to=_answered_id(sent, place),
        quoted=_quoted(sent),
        auto_submitted=_auto_submitted(sent),
        referral=_referral(sent),
        attributes=_attributes(sent),
    )


def edited_message(part: Part) -> Iterator[AnyEvent]:
    """Edits have the time as their revision; live locations move by edits, too."""
    sent = read(part.json, Message, part.kind)
    place = _place_of(sent)
    edited = sent.date if sent.edit_date is None else sent.edit_date
    said = said_by(sent, kinds_of(part.json, part.kind))
    yield Edit(
        thread=place.thread,
        at=_at(edited),
        native_id=part.native_id,
        target=place.native_id(sent.message_id),
        content=said.content,
        revision=edited,
        sender=_sender_of(sent),
        attachments=said.attachments,
    )


def deleted_business_messages(part: Part) -> Iterator[AnyEvent]:
    """The only deletions Telegram tells a bot about; it does not say when, nor by whom."""
    deleted = read(part.json, BusinessDeletion, part.kind)
    place = Place(chat_id=deleted.chat.id, business=deleted.business_connection_id or None)
    for message_id in deleted.message_ids:
        yield Deletion(
            thread=place.thread,
            at=part.raw.received_at,
            native_id=f"{part.native_id}:{message_id}",
            target=place.native_id(message_id),
        )


def _place_of(sent: Message | PressedMessage) -> Place:
    direct = sent.direct_messages_topic
    return Place(
        chat_id=sent.chat.id,
        # Without is_topic_message it is the number of a chain of answers, which all belong to one conversation.
        topic_id=sent.message_thread_id if sent.is_topic_message and direct is None else None,
        direct_topic_id=None if direct is None else direct.topic_id,
        business=sent.business_connection_id or None,
    )


def _sender_of(sent: Message) -> Party:
    """Who wrote: a chat when somebody writes in its name (channels, anonymous admins), else the user."""
    if sent.sender_chat is not None:
        return _chat_party(sent.sender_chat, sent.author_signature)
    return _user_party(sent.sender) if sent.sender is not None else _chat_party(sent.chat, sent.author_signature)


def _is_ours(sent: Message) -> bool:
    """Whether our side wrote it outside Omnibus: the owner of a business account, or of a channel's direct messages."""
    if sent.direct_messages_topic is not None:
        customer = sent.direct_messages_topic.user
        return customer is not None and sent.sender is not None and sent.sender.id != customer.id
    if not sent.business_connection_id or sent.sender is None:
        return False
    return sent.chat.type == "private" and sent.sender.id != sent.chat.id


def _customer(sent: Message) -> tuple[Party, ...]:
    """Whom our side wrote to: the other end of a private chat, or the owner of the topic."""
    if sent.direct_messages_topic is not None:
        user = sent.direct_messages_topic.user
        return () if user is None else (_user_party(user),)
    chat = sent.chat
    user = User(id=chat.id, first_name=chat.first_name, last_name=chat.last_name, username=chat.username)
    return (_user_party(user),)


def _answered_id(sent: Message, place: Place) -> str | None:
    """In a topic, every message "answers" the one that opened the topic: that is no answer."""
    answered = sent.reply_to_message
    if answered is None or answered.forum_topic_created is not None:
        return None
    return place.native_id(answered.message_id)


def _quoted(sent: Message) -> Quoted | None:
    answered = sent.reply_to_message
    if answered is not None and answered.forum_topic_created is not None:
        answered = None
    chosen = None if sent.quote is None else sent.quote.text
    if answered is None:
        return None if chosen is None else Quoted(text=chosen)
    author = answered.sender_chat.title if answered.sender_chat else None
    if author is None and answered.sender is not None:
        author = full_name(answered.sender) or None
    return Quoted(text=chosen or answered.text or answered.caption, author=author)


def _auto_submitted(sent: Message) -> AutoSubmitted:
    if sent.is_from_offline:
        return "auto_reply"
    # Anonymous admins write as a bot of Telegram's own, and then sender_chat says who they are.
    by_bot = sent.sender is not None and sent.sender.is_bot and sent.sender_chat is None
    return "auto_generated" if by_bot or sent.is_automatic_forward else "no"


def _referral(sent: Message) -> Referral | None:
    """A deep link's payload: ``/start <payload>``, https://core.telegram.org/bots/features#deep-linking."""
    command, _, payload = (sent.text or "").partition(" ")
    starts = command.partition("@")[0] == "/start" and 0 < len(payload) <= 64
    return Referral(source="telegram", type="deep_link", code=payload) if starts else None


def _attributes(sent: Message) -> Attributes:
    """What Telegram knows of a message and the model has no field for."""
    facts: dict[str, str | None] = {
        "chat_type": sent.chat.type,
        "chat_username": sent.chat.username,
        "media_group_id": sent.media_group_id,
        "via_bot": None if sent.via_bot is None else sent.via_bot.username,
        "links": " ".join(entity.url for entity in (*sent.entities, *sent.caption_entities) if entity.url) or None,
        "command": _command(sent),
        **_forwarded(sent.forward_origin),
    }
    return {name: value[:LONGEST_ATTRIBUTE] for name, value in facts.items() if value}


def _command(sent: Message) -> str | None:
    """The bot command a text begins with, without the bot's name."""
    begins = any(entity.type == "bot_command" and entity.offset == 0 for entity in sent.entities)
    return (sent.text or "").split(maxsplit=1)[0].partition("@")[0] if begins and (sent.text or "").strip() else None


def _forwarded(origin: Origin | None) -> dict[str, str | None]:
    if origin is None:
        return {}
    chat = origin.sender_chat or origin.chat
    name = full_name(origin.sender_user) if origin.sender_user else origin.sender_user_name
    return {
        "forwarded_type": origin.type,
        "forwarded_from": name or (chat.title if chat else None),
        "forwarded_at": _at(origin.date).isoformat(),
    }


# --- buttons and reactions ----------------------------------------------------------------------


def callback_query(part: Part) -> Iterator[AnyEvent]:
    """A button below a message was pressed. Telegram does not say when, so it is when we heard of it."""
    query = read(part.json, CallbackQuery, part.kind)
    place = None if query.message is None else _place_of(query.message)
    yield events.Message(
        thread=NOWHERE if place is None else place.thread,
        at=part.raw.received_at,
        native_id=f"callback:{query.id}",
        sender=_user_party(query.sender),
        content=_pressed(query),
        in_reply_to=None if place is None or query.message is None else place.native_id(query.message.message_id),
    )


def _pressed(query: CallbackQuery) -> Content:
    if query.data is None:
        return Unsupported(native_type="callback_query", summary=query.game_short_name)
    keyboard = query.message.reply_markup if query.message else None
    for row in keyboard.inline_keyboard if keyboard else ():
        for button in row:
            if button.callback_data == query.data:
                return ChoiceResponse(option_id=query.data, title=button.text, payload=query.data)
    return Postback(payload=query.data)


def message_reaction(part: Part) -> Iterator[AnyEvent]:
    """Telegram tells what stood before and what stands now; the difference is what happened."""
    change = read(part.json, ReactionUpdate, part.kind)
    place = Place(chat_id=change.chat.id)
    before = [_reaction(found) for found in change.old_reaction]
    after = [_reaction(found) for found in change.new_reaction]
    gone = [(name, True) for name in dict.fromkeys(before) if name not in after]
    come = [(name, False) for name in dict.fromkeys(after) if name not in before]
    for place_in_update, (name, removed) in enumerate([*gone, *come]):
        yield Reaction(
            thread=place.thread,
            at=_at(change.date),
            native_id=f"{part.native_id}:{place_in_update}",
            target=place.native_id(change.message_id),
            reaction=name,
            removed=removed,
            sender=_user_party(change.user) if change.user else _chat_party(change.actor_chat or change.chat, None),
        )


def _reaction(found: ReactionType) -> str:
    """The emoji, ``custom:<id>`` for a picture of Telegram's own, or the type (``paid``)."""
    if found.emoji is not None:
        return found.emoji
    return found.type if found.custom_emoji_id is None else f"custom:{found.custom_emoji_id}"


# --- people come and go -------------------------------------------------------------------------


def my_chat_member(part: Part) -> Iterator[AnyEvent]:
    """The bot itself was let in, thrown out, or blocked by a user."""
    change = read(part.json, MemberUpdate, part.kind)
    private = change.chat.type == "private"
    left = change.new_chat_member.status in ("kicked", "left")
    code = ("bot_blocked" if left else "bot_unblocked") if private else ("bot_removed" if left else "bot_added")
    yield _member_event(part, change, code)


def chat_member(part: Part) -> Iterator[AnyEvent]:
    """Somebody else's membership changed."""
    change = read(part.json, MemberUpdate, part.kind)
    absent = ("kicked", "left")
    before, after = change.old_chat_member.status in absent, change.new_chat_member.status in absent
    code = "member_updated" if before == after else "member_left" if after else "member_joined"
    yield _member_event(part, change, code)


def _member_event(part: Part, change: MemberUpdate, code: str) -> AnyEvent:
    user = change.new_chat_member.user
    params: Attributes = {
        "names": full_name(user)[:LONGEST_ATTRIBUTE],
        "user_ids": str(user.id),
        "was": change.old_chat_member.status,
        "status": change.new_chat_member.status,
    }
    return _system(part, Place(chat_id=change.chat.id), _at(change.date), change.sender, code, params)


def chat_join_request(part: Part) -> Iterator[AnyEvent]:
    request = read(part.json, JoinRequest, part.kind)
    params: Attributes = {"names": full_name(request.sender)[:LONGEST_ATTRIBUTE], "user_ids": str(request.sender.id)}
    yield _system(part, Place(chat_id=request.chat.id), _at(request.date), request.sender, "join_requested", params)


def business_connection(part: Part) -> Iterator[AnyEvent]:
    """The owner of a business account lets the bot answer for them, or no longer."""
    connection = read(part.json, BusinessConnection, part.kind)
    code = "business_connected" if connection.is_enabled else "business_disconnected"
    place = Place(chat_id=connection.user_chat_id)
    yield _system(part, place, _at(connection.date), connection.user, code, {"connection": connection.id[:128]})


def _system(part: Part, place: Place, at: datetime, user: User, code: str, params: Attributes) -> AnyEvent:
    return events.Message(
        thread=place.thread,
        at=at,
        native_id=part.native_id,
        sender=_user_party(user),
        content=System(code=code, params=params),
    )


# --- the rest -----------------------------------------------------------------------------------


def unknown(part: Part) -> Iterator[AnyEvent]:
    """An update of a kind we do not map: never dropped, in its chat when it has one."""
    try:
        located = read(part.json, Located, part.kind)
    except InvalidPayload:
        located = Located()
    user = located.sender or located.user
    chat = located.chat or (located.message.chat if located.message else None)
    yield events.Message(
        thread=NOWHERE if chat is None else Place(chat_id=chat.id).thread,
        at=part.raw.received_at if located.date is None else _at(located.date),
        native_id=part.native_id,
        sender=_user_party(user) if user else _chat_party(chat, None),
        content=Unsupported(native_type=part.kind[:100]),
    )


def _user_party(user: User) -> Party:
    """User ids are the same for every bot, and Telegram vouches for them."""
    return Party(
        scheme="tg_user",
        value=str(user.id),
        display_name=full_name(user) or None,
        username=user.username,
        locale=user.language_code,
        verified="channel",
        is_bot=user.is_bot,
    )


def _chat_party(chat: Chat | None, signature: str | None) -> Party:
    if chat is None:
        return Party(scheme="tg_chat", value=NOWHERE)
    return Party(
        scheme="tg_chat",
        value=str(chat.id),
        display_name=signature or chat.title,
        username=chat.username,
        verified="channel",
    )


def _at(seconds: int) -> datetime:
    return clock.from_ms(seconds * 1000)


BUILDERS: Mapping[str, Callable[[Part], Iterator[AnyEvent]]] = {
    "message": message,
    "edited_message": edited_message,
    "channel_post": message,
    "edited_channel_post": edited_message,
    "business_message": message,
    "edited_business_message": edited_message,
    "deleted_business_messages": deleted_business_messages,
    "business_connection": business_connection,
    "callback_query": callback_query,
    "message_reaction": message_reaction,
    "my_chat_member": my_chat_member,
    "chat_member": chat_member,
    "chat_join_request": chat_join_request,
}
