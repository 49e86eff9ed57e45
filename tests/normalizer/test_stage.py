"""What a raw event becomes, and what never happens twice: a normalizer over a channel that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from normalizer.policy import Policy
from normalizer.stage import NormalizerStage, spec
from omnibus import clock
from omnibus.bus.port import Headers, Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account, Capabilities, Channel
from omnibus.channel.events import (
    AnyEvent,
    CallEvent,
    Deletion,
    Delivery,
    Edit,
    Media,
    Message,
    Party,
    Reaction,
    from_json,
)
from omnibus.chunks import Chunks
from omnibus.errors import InvalidPayload
from omnibus.model.codec import Event, decode, encode_data
from omnibus.model.content import AttachmentRef, Email, Image, MailAddress, Text, Unsupported
from omnibus.model.events import CloseThread
from omnibus.model.raw import THREAD_HEADER, RawEvent, encode_raw
from omnibus.telemetry import metrics
from omnibus.testing.memory_state import MemoryBacking, run

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TOPICS = Topics()


class NoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The channel under test needs none."""


def says(raw: RawEvent) -> Iterable[AnyEvent]:
    """The body holds mapped events; ``damage`` after the last one."""
    body, _, damage = raw.body.partition(b"\n")
    yield from from_json(body)
    if damage:
        raise InvalidPayload("entry.2", "expected object, got None")


def threads(raw: RawEvent) -> Sequence[str]:
    return [event.thread for event in says(raw)]


def channel(together: Callable[[str], str] | None = None, **changes: object) -> Channel:
    return Channel(
        name="said",
        title="Said",
        docs="https://example.org",
        settings=NoSettings,
        capabilities=Capabilities(**changes),  # type: ignore[arg-type]  # each test changes what it is about
        emits=frozenset({Message}),
        map=says,
        threads=threads,
        receive={},
        together=together,
    )


class Normalizer:
    """One partition's normalizer in memory; `at` is the time messages are received at, moved by `wait`."""

    def __init__(
        self, policy: Policy | None = None, together: Callable[[str], str] | None = None, **capabilities: object
    ) -> None:
        account = Account(
            name="desk",
            channel=channel(together, **capabilities),
            settings=NoSettings(),
            inactivity=timedelta(hours=24),
        )
        policy = policy or Policy()
        self._stage = NormalizerStage({"desk": account}, TOPICS, policy)
        self._spec = spec(TOPICS, ["said"], policy)
        self._backing = MemoryBacking()
        self.emitted: list[Out] = []
        self.dead: list[Out] = []
        self.blobs: dict[str, bytes | Chunks] = {}
        self.at = START

    def wait(self, by: timedelta) -> None:
        self.at += by

    def receive(
        self, *events: AnyEvent, damage: bool = False, headers_of_record: Headers = (), **raw: object
    ) -> list[Event]:
        """Normalise one request that says `events`; returns what came out of it."""
        fields: dict[str, object] = {
            "id": f"raw_{len(self.emitted)}",
            "channel": "said",
            "account": "desk",
            "received_at": self.at,
            "body": msgspec.json.encode(events) + (b"\ndamage" if damage else b""),
            **raw,
        }
        value = encode_raw(RawEvent(**fields))  # type: ignore[arg-type]  # a test names any field of a raw event
        return self._step(Out(TOPICS.raw("said"), b"desk", value, headers_of_record))

    def close(self, conversation_id: str, thread: str, convseq: int) -> list[Event]:
        request = CloseThread(
            conversation_id=conversation_id, account="desk", thread=thread, convseq=convseq, reason="inactivity"
        )
        return self._step(Out(TOPICS.control, b"", encode_data(request), ts_ms=clock.to_ms(self.at)))

    def _step(self, out: Out) -> list[Event]:
        result = run(self._stage, self._spec, as_record(out), backing=self._backing, now_ms=clock.to_ms(self.at))
        new = result.outs[: len(result.outs) - len(result.dead)]
        self.emitted += new
        self.dead += result.dead
        self.blobs.update(result.blobs)
        return [decode(as_record(out)) for out in new if out.topic == TOPICS.events]


def as_record(out: Out) -> Record:
    return Record(out.topic, 0, 0, out.ts_ms or 0, out.key, out.value, out.headers)


def message(text: str = "hello", /, *, native_id: str | None = "m-1", thread: str = "ana", **fields: object) -> Message:
    given: dict[str, object] = {
        "at": START,
        "sender": Party(scheme="opaque", value="ana", display_name="Ana Exemplo"),
        "content": Text(text=text),
        **fields,
    }
    return Message(native_id=native_id, thread=thread, **given)  # type: ignore[arg-type]  # any field of a message


def kinds(events: list[Event]) -> list[str]:
    return [event.type.removeprefix("omnibus.").removesuffix(".v1") for event in events]


@pytest.fixture
def normalizer() -> Normalizer:
    return Normalizer()


ANA = Party(scheme="opaque", value="ana", display_name="Ana Exemplo")


def test_a_first_message_opens_a_conversation(normalizer: Normalizer) -> None:
    events = normalizer.receive(message("oi"))
    assert kinds(events) == ["conversation.opened", "contact.identified", "message.received"]
    assert events[2].data.message.content == Text(text="oi")
    assert {event.subject for event in events} == {events[0].data.conversation.id}
    assert [event.convseq for event in events] == [1, 2, 3]


def test_a_redelivered_request_is_a_no_op(normalizer: Normalizer) -> None:
    with metrics.use(metrics.Metrics()) as counted:
        normalizer.receive(message())
        assert normalizer.receive(message()) == []
    assert b'omnibus_duplicates_total{channel="said"} 1.0' in counted.render()


def test_normalising_again_from_nothing_gives_the_same_ids() -> None:
    first, second = Normalizer(), Normalizer()
    assert first.receive(message("a"), message("b", native_id=None)) == second.receive(
        message("a"), message("b", native_id=None)
    )


def test_every_message_of_a_batch_comes_out(normalizer: Normalizer) -> None:
    events = normalizer.receive(*(message(str(n), native_id=f"m-{n}", thread=f"t-{n % 3}") for n in range(9)))
    assert kinds(events).count("message.received") == 9
    assert kinds(events).count("conversation.opened") == 3


def test_a_request_stored_for_one_thread_yields_that_thread_only(normalizer: Normalizer) -> None:
    batch = (message("a", thread="t-1"), message("b", native_id="m-2", thread="t-2"))
    events = normalizer.receive(*batch, thread="t-2")
    assert [event.data.message.native.thread_id for event in events if "received" in event.type] == ["t-2"]


def test_copies_of_a_large_request_share_one_body(normalizer: Normalizer) -> None:
    """The record says which thread its copy is for; the body, kept once, cannot."""
    batch = (message("a", thread="t-1"), message("b", native_id="m-2", thread="t-2"))
    events = normalizer.receive(*batch, headers_of_record=((THREAD_HEADER, b"t-1"),))
    assert [event.data.message.native.thread_id for event in events if "received" in event.type] == ["t-1"]


def test_a_damaged_entry_keeps_the_good_ones_and_dead_letters_the_request(normalizer: Normalizer) -> None:
    events = normalizer.receive(message(), damage=True)
    assert "message.received" in kinds(events)
    (dead,) = normalizer.dead
    assert ("dead_reason", b"entry.2: expected object, got None") in dead.headers


def test_silence_longer_than_the_window_opens_a_follow_up(normalizer: Normalizer) -> None:
    (opened, *_) = normalizer.receive(message())
    normalizer.wait(timedelta(hours=25))
    (_, follow_up, *_) = normalizer.receive(message(native_id="m-2"))
    assert follow_up.type == "omnibus.conversation.opened.v1"
    assert [related.id for related in follow_up.data.conversation.related] == [opened.subject]


def test_a_follow_up_closes_what_it_follows(normalizer: Normalizer) -> None:
    """The router may ask to close it a moment later, and finds the thread in another conversation's hands."""
    events = normalizer.receive(message())
    normalizer.wait(timedelta(hours=25))
    (closed, opened, *_) = normalizer.receive(message(native_id="m-2"))
    assert kinds([closed, opened]) == ["conversation.closed", "conversation.opened"]
    assert (closed.subject, closed.convseq, closed.data.reason) == (events[0].subject, len(events) + 1, "inactivity")
    assert normalizer.close(events[0].subject, "ana", len(events)) == [], "it was closed once"


def test_a_message_within_the_window_stays_in_its_conversation(normalizer: Normalizer) -> None:
    (opened, *_) = normalizer.receive(message())
    normalizer.wait(timedelta(hours=23))
    (received,) = normalizer.receive(message(native_id="m-2"))
    assert received.subject == opened.subject


def test_closing_ends_the_conversation_and_the_next_message_follows_up(normalizer: Normalizer) -> None:
    events = normalizer.receive(message())
    assert kinds(normalizer.close(events[0].subject, "ana", 3)) == ["conversation.closed"]
    assert kinds(normalizer.receive(message(native_id="m-2")))[0] == "conversation.opened"


def test_a_message_that_came_first_wins_over_the_closing(normalizer: Normalizer) -> None:
    """The router asked to close what it knew (3 events); a message has come since: nothing is closed."""
    events = normalizer.receive(message())
    normalizer.receive(message(native_id="m-2"))
    assert normalizer.close(events[0].subject, "ana", 3) == []
    assert kinds(normalizer.receive(message(native_id="m-3"))) == ["message.received"]


def test_our_own_mail_that_comes_back_is_dropped(normalizer: Normalizer) -> None:
    assert normalizer.receive(message(own=True)) == []


def test_unknown_kinds_are_kept_as_unsupported(normalizer: Normalizer) -> None:
    events = normalizer.receive(message(content=Unsupported(native_type="hologram")))
    assert events[-1].data.message.content == Unsupported(native_type="hologram")
    assert events[-1].data.message.raw_ref is not None


# --- threads found by links (mail) ---------------------------------------------------------------


def mail(text: str, /, *, native_id: str, sender: str = "ana@example.com", **fields: object) -> object:
    return message(
        text,
        native_id=native_id,
        thread="",
        sender=Party(scheme="email", value=sender),
        names=(f"m:{native_id}",),
        **fields,
    )


def receive_mail(normalizer: Normalizer, *args: str, **fields: object) -> str:
    return normalizer.receive(mail(*args, **fields))[-1].subject  # type: ignore[arg-type]  # forwarded as given


def test_an_answer_finds_its_thread_by_reference(normalizer: Normalizer) -> None:
    first = receive_mail(normalizer, "help", native_id="a@example.com")
    answer = receive_mail(normalizer, "more", native_id="b@example.com", links=("m:a@example.com",))
    other = receive_mail(normalizer, "else", native_id="c@example.com", links=("m:unknown@example.com",))
    assert answer == first
    assert other != first


def test_a_reply_token_finds_its_conversation(normalizer: Normalizer) -> None:
    first = receive_mail(normalizer, "help", native_id="a@example.com")
    assert receive_mail(normalizer, "re", native_id="b@example.com", links=(f"c:{first}",)) == first


def test_an_equal_subject_joins_only_the_same_sender_within_the_window(normalizer: Normalizer) -> None:
    first = receive_mail(normalizer, "1", native_id="a@example.com", weak_link="s:invoice")
    again = receive_mail(normalizer, "2", native_id="b@example.com", weak_link="s:invoice")
    stranger = receive_mail(normalizer, "3", native_id="c@example.com", weak_link="s:invoice", sender="bob@example.org")
    normalizer.wait(timedelta(days=8))
    late = receive_mail(normalizer, "4", native_id="d@example.com", weak_link="s:invoice")
    assert again == first
    assert stranger != first
    assert late != first


# --- edits, deletions, reactions, receipts, calls ------------------------------------------------


def test_what_happens_to_a_message_follows_in_its_conversation(normalizer: Normalizer) -> None:
    (opened, *_) = normalizer.receive(message())
    changes = normalizer.receive(
        Edit(thread="ana", at=START, target="m-1", content=Text(text="hello!"), revision=2, sender=ANA),
        Reaction(thread="ana", at=START, target="m-1", reaction="👍", sender=ANA),
        Deletion(thread="ana", at=START, target="m-1"),
        Delivery(thread="ana", at=START, target="out-1", status="read"),
    )
    assert kinds(changes) == ["message.edited", "message.reacted", "message.deleted", "message.delivery"]
    assert {change.subject for change in changes} == {opened.subject}


def test_a_reaction_finds_its_thread_by_the_message() -> None:
    """A forum's topics are threads, and a reaction names its message alone; so do Slack's, also to what we wrote."""
    forum = Normalizer(together=lambda thread: thread.partition(":")[0])
    (opened, *_) = forum.receive(message(thread="forum:7", native_id="m-1"))
    (other, *_) = forum.receive(message(thread="forum", native_id="m-2"))
    forum.receive(message(thread="forum:7", native_id="m-3", own=True))
    reacted = forum.receive(
        Reaction(thread="forum", at=START, target="m-1", reaction="👍", sender=ANA),
        Reaction(thread="forum", at=START, target="m-2", reaction="👍", sender=ANA),
        Reaction(thread="forum", at=START, target="m-3", reaction="👍", sender=ANA),
    )
    assert kinds(reacted) == ["message.reacted"] * 3
    assert [event.subject for event in reacted] == [opened.subject, other.subject, opened.subject]


def test_a_reaction_to_what_is_in_no_conversation_is_no_dead_letter(normalizer: Normalizer) -> None:
    with metrics.use(metrics.Metrics()) as counted:
        assert normalizer.receive(Reaction(thread="ana", at=START, target="m-0", reaction="👍", sender=ANA)) == []
    assert normalizer.dead == []
    assert b'omnibus_unplaced_total{channel="said"} 1.0' in counted.render()


def test_an_edit_of_a_message_never_seen_is_the_message(normalizer: Normalizer) -> None:
    edit = Edit(thread="ana", at=START, target="m-1", content=Text(text="late"), revision=2, sender=ANA)
    events = normalizer.receive(edit)
    assert kinds(events) == ["conversation.opened", "contact.identified", "message.received"]
    assert normalizer.receive(message("first words")) == []


def test_an_edited_caption_names_the_message_s_own_attachment(normalizer: Normalizer) -> None:
    photo = (Media(mime="image/png", data=b"\x89PNG"),)
    normalizer.receive(message(content=Image(attachment_id="0"), attachments=photo))
    sent = normalizer.receive(message(native_id="m-2", content=Image(attachment_id="0"), attachments=photo))
    caption = Image(attachment_id="0", caption="the second one")
    edit = Edit(thread="ana", at=START, target="m-2", content=caption, revision=2, sender=ANA, attachments=photo)
    (edited,) = normalizer.receive(edit)
    assert edited.data.content.attachment_id == sent[-1].data.message.attachments[0].id


def test_when_our_side_writes_first_the_conversation_is_the_customer_s(normalizer: Normalizer) -> None:
    owner = Party(scheme="opaque", value="shop")
    echo = message(direction="outbound", sender=owner, participants=(ANA,))
    opened, _, sent = normalizer.receive(echo)
    assert [who.value for who in opened.data.conversation.participants] == ["ana"]
    assert sent.type == "omnibus.message.sent.v1"


def test_a_receipt_in_an_unknown_thread_is_kept_as_dead_letter(normalizer: Normalizer) -> None:
    """It does not take the other events of the request with it."""
    receipt = Delivery(thread="nobody", at=START, target="out-1", status="read")
    events = normalizer.receive(receipt, message())
    assert "message.received" in kinds(events)
    assert len(normalizer.dead) == 1


def test_a_call_opens_a_conversation(normalizer: Normalizer) -> None:
    call = CallEvent(thread="+15550100", at=START, call_id="c-1", verb="ringing", sender=ANA)
    assert kinds(normalizer.receive(call)) == ["conversation.opened", "contact.identified", "call.ringing"]
    ended = CallEvent(thread="+15550100", at=START, call_id="c-1", verb="ended", sender=ANA, duration_s=31.0)
    assert kinds(normalizer.receive(ended)) == ["call.ended"]


# --- attachments, language, text, loops ----------------------------------------------------------


def test_bytes_that_came_along_are_stored_by_content(normalizer: Normalizer) -> None:
    picture = message(
        content=Image(attachment_id="0"), attachments=(Media(mime="image/png", data=b"\x89PNG", file_name="a.png"),)
    )
    received = normalizer.receive(picture)[-1].data.message
    (attachment,) = received.attachments
    assert received.content.attachment_id == attachment.id
    assert (attachment.state, attachment.size) == ("stored", 4)
    assert normalizer.blobs[attachment.ref.uri] == b"\x89PNG"


def test_a_reference_waits_for_the_media_worker(normalizer: Normalizer) -> None:
    reference = AttachmentRef(scheme="native", uri="file-9")
    normalizer.receive(message(content=Image(attachment_id="0"), attachments=(Media(mime="image/png", ref=reference),)))
    out = normalizer.emitted[-1]
    assert ("ce_media", b"pending") in out.headers


def test_html_of_a_mail_is_kept_by_reference(normalizer: Normalizer) -> None:
    content = Email(subject="Hi", text="Hi", sender=MailAddress(address="ana@example.com"))
    received = normalizer.receive(message(content=content, html=b"<p>Hi</p>"))[-1].data.message
    assert normalizer.blobs[received.content.html_ref] == b"<p>Hi</p>"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bom dia, preciso de ajuda com a minha fatura de março", "pt"),
        ("Good morning, I need some help with my last invoice please", "en"),
        ("Buenos días, necesito ayuda con mi factura por favor", "es"),
        ("ok", None),
    ],
)
def test_language_is_told_when_it_can_be(normalizer: Normalizer, text: str, language: str | None) -> None:
    assert normalizer.receive(message(text))[-1].data.message.language == language


def test_nul_and_lone_surrogates_never_reach_downstream(normalizer: Normalizer) -> None:
    received = normalizer.receive(message("a\0b"))[-1].data.message
    assert received.content == Text(text="ab")


def test_overlong_text_is_cut_and_the_raw_event_has_all_of_it() -> None:
    normalizer = Normalizer(Policy(text_max_chars=10))
    assert normalizer.receive(message("x" * 50))[-1].data.message.content == Text(text="x" * 10)


def test_two_robots_answering_each_other_are_marked_until_they_calm_down() -> None:
    normalizer = Normalizer(Policy(breaker_messages=5))
    marks = []
    for n in range(8):
        events = normalizer.receive(message(native_id=f"m-{n}"))
        marks.append(events[-1].data.message.attributes.get("loop_suspected", False))
    assert marks == [False] * 5 + [True] * 3
    normalizer.wait(timedelta(minutes=11))
    assert normalizer.receive(message(native_id="later"))[-1].data.message.attributes == {}


def test_identities_are_scoped_to_the_account_unless_global() -> None:
    scoped = Normalizer(identity_scope="account").receive(message())[1].data.identity
    shared = Normalizer(identity_scope="global").receive(message())[1].data.identity
    assert scoped.channel_account_id == "desk"
    assert shared.channel_account_id is None
    assert scoped.id != shared.id


def test_contacts_are_kept_in_the_contacts_table(normalizer: Normalizer) -> None:
    normalizer.receive(message())
    normalizer.receive(message(native_id="m-2"))
    assert [out.topic for out in normalizer.emitted].count(TOPICS.contacts) == 1


def test_an_account_that_is_gone_from_the_configuration_loses_nothing(normalizer: Normalizer) -> None:
    assert normalizer.receive(message(), account="old") == []
    (dead,) = normalizer.dead
    assert ("dead_error", b"InvalidPayload") in dead.headers
