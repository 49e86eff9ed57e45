"""From the normalizer's events to a queue's topic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.model.content import Text
from omnibus.model.entities import Author, Controller
from omnibus.model.events import Resolve
from router.plan import Plan
from router.rehearsal import Rehearsal, a_reply, conversation_id
from router.rules.rule import Rule


def test_a_first_message_brings_the_conversation_to_its_queue(router: Rehearsal) -> None:
    router.says("where is my bill?")

    [assigned, passed] = router.on("omnibus.queue.billing")
    assert assigned.data.to == Controller(type="queue", id="billing")
    assert [message.content.text for message in assigned.data.recent] == ["where is my bill?"]
    assert assigned.data.decision.rule == "bills"
    assert passed.type == "omnibus.control.passed.v1"
    assert router.conversation().queue == "billing"
    assert not router.on("omnibus.queue.general")


def test_later_messages_follow_to_the_same_queue_as_they_are(router: Rehearsal) -> None:
    router.says("where is my bill?")
    record = router.received("c1", Text(text="hello?"))
    router.step(record)

    forwarded = router.written[-2] if router.written[-1].topic == "omnibus.conversations" else router.written[-1]
    assert (forwarded.topic, forwarded.value, forwarded.headers) == (
        "omnibus.queue.billing",
        record.value,
        record.headers,
    )


def test_without_a_matching_rule_the_default_queue_gets_it(router: Rehearsal) -> None:
    router.says("hi")

    assert router.kinds("omnibus.queue.general") == ["conversation.assigned", "control.passed"]
    assert router.decisions()[0].rule is None


def test_a_decision_says_what_was_tried_with_which_values(router: Rehearsal) -> None:
    router.says("hi")

    decision = router.decisions()[0]
    assert [(tried.target, tried.result) for tried in decision.tried] == [("bills", "not_matched")]
    assert decision.inputs == {"message.text": "hi"}
    assert decision.ruleset_version == router.plan.rules.version


def test_the_same_event_again_changes_nothing(router: Rehearsal) -> None:
    opened, received = router.opened(), router.received("c1", Text(text="hi"))
    router.step(opened, received)

    assert router.step(opened, received) == []


def test_redelivery_in_a_fresh_task_gives_the_same_ids(router: Rehearsal) -> None:
    """Replaying is harmless downstream: everything the router mints is derived from its cause."""
    other = Rehearsal(router.plan)
    opened, received = router.opened(), router.received("c1", Text(text="where is my bill?"))
    router.step(opened, received)
    other.step(opened, received)

    assert [event.id for event in router.on("omnibus.events")] == [event.id for event in other.on("omnibus.events")]
    assert router.decisions() == other.decisions()


def test_no_two_events_share_an_id(router: Rehearsal) -> None:
    router.says("where is my bill?")
    router.commands(a_reply("here"))
    router.commands(Resolve())
    router.says("thanks")

    ids = [event.id for event in router.on("omnibus.events")]
    assert len(ids) == len(set(ids))


def test_the_routers_own_events_are_not_handled_again(router: Rehearsal) -> None:
    outs = router.says("hi")
    own = [out for out in outs if out.topic == "omnibus.events"]
    assert own

    records = [Record(out.topic, 0, 99, 0, out.key, out.value, out.headers) for out in own]
    assert router.step(*records) == []


def test_a_message_of_a_conversation_nobody_opened_is_a_dead_letter(router: Rehearsal) -> None:
    router.step(router.received("nowhere", Text(text="hi")))

    [dead] = router.dead
    assert ("dead_error", b"InvalidPayload") in dead.headers


def test_an_event_type_of_a_newer_release_reaches_the_owner(router: Rehearsal) -> None:
    router.says("hi")
    newer = router.received("c1", Text(text="x"))
    headers = tuple((k, b"omnibus.message.sung.v1" if k == "ce_type" else v) for k, v in newer.headers)
    outs = router.step(Record(newer.topic, 0, 9, 0, newer.key, b'{"song": 1}', headers))

    assert [(out.topic, out.value) for out in outs] == [("omnibus.queue.general", b'{"song": 1}')]
    router.later(timedelta(days=2))
    assert router.on("omnibus.raw.control")[0].data.convseq == 3


def test_waiting_begins_with_the_first_unanswered_message(router: Rehearsal) -> None:
    router.says("hi")
    first = clock.from_ms(router.now_ms)
    router.later(timedelta(minutes=5))
    router.says("anybody?")

    assert router.conversation().waiting_since == first
    assert router.conversation().last_inbound_at == clock.from_ms(router.now_ms)

    router.commands(a_reply("yes"))
    assert router.conversation().waiting_since is None
    assert router.conversation().first_response_at == clock.from_ms(router.now_ms)
    assert router.conversation().status == "waiting_on_contact"


def test_a_message_reopens_what_was_resolved(router: Rehearsal) -> None:
    router.says("hi")
    router.commands(Resolve())
    assert router.conversation().status == "resolved"

    router.says("it broke again")

    assert router.conversation().status == "open"
    assert router.conversation().reopen_count == 1
    assert router.kinds("omnibus.queue.general")[-2:] == ["conversation.reopened", "message.received"]


def test_an_automatic_reply_reopens_nothing(router: Rehearsal) -> None:
    """An absence note says nothing about whether the matter is settled."""
    router.says("hi")
    router.commands(Resolve())
    router.says("I am on holiday", auto_submitted="auto_reply")

    assert router.conversation().status == "resolved"
    assert router.kinds("omnibus.queue.general")[-1] == "message.received"


def test_an_inactive_conversation_is_asked_to_close(router: Rehearsal) -> None:
    router.says("hi")
    router.later(timedelta(hours=23))
    router.says("still here")
    router.later(timedelta(hours=2))
    assert not router.on("omnibus.raw.control")

    router.later(timedelta(hours=23))

    [close] = router.on("omnibus.raw.control")
    assert close.data.conversation_id == conversation_id("c1")
    assert (close.data.thread, close.data.convseq, close.data.reason) == ("thread-c1", 3, "inactivity")
    assert [out.partition for out in router.written if out.topic == "omnibus.raw.control"] == [3]


def test_a_closing_that_was_overtaken_is_asked_again_with_the_newer_count(router: Rehearsal) -> None:
    """The thread's owner ignores a closing when a message came in meanwhile; the conversation is not forgotten."""
    router.says("hi")
    router.later(timedelta(days=1))
    router.says("one more thing")
    router.later(timedelta(days=1))

    assert [close.data.convseq for close in router.on("omnibus.raw.control")] == [2, 3]


def test_a_closed_conversation_belongs_to_nobody(router: Rehearsal) -> None:
    router.says("hi")
    router.step(router.closed())

    conversation = router.conversation()
    assert (conversation.status, conversation.controller.type, conversation.queue) == ("closed", "none", None)
    assert router.kinds("omnibus.queue.general")[-2:] == ["conversation.closed", "conversation.unassigned"]


def test_a_closed_conversation_leaves_no_state_behind(router: Rehearsal) -> None:
    router.says("hi")
    router.step(router.closed())
    router.later(timedelta(days=8))

    kept = [key for key, _ in router.backing.scan(b"\x00", b"\x11", 100)]
    assert kept == []


def test_what_is_held_is_tried_again_with_the_next_message(plan: Callable[..., Plan]) -> None:
    router = Rehearsal(plan(Rule(name="wait", when="!message.text.contains('order')", to="hold")))
    router.says("hi")
    assert router.conversation().controller.type == "none"

    router.says("about my order")

    assert router.conversation().queue == "general"
    assert [message.content.text for message in router.on("omnibus.queue.general")[0].data.recent] == [
        "hi",
        "about my order",
    ]


def test_spam_is_dropped_with_a_decision(plan: Callable[..., Plan]) -> None:
    router = Rehearsal(plan(Rule(name="spam", when="message.text.contains('casino')", to="drop")))
    router.says("casino!")

    assert router.decisions()[0].outcome == "drop"
    assert {out.topic for out in router.written} == {"omnibus.events", "omnibus.conversations"}


def test_a_rule_sets_priority_and_tags_and_the_next_decides(plan: Callable[..., Plan]) -> None:
    router = Rehearsal(
        plan(
            Rule(name="angry", when="message.text.contains('!!')", priority="urgent", tags=("angry",)),
            Rule(name="rest", to="queue:billing", tags=("seen",)),
        )
    )
    router.says("where is it!!")

    conversation = router.conversation()
    assert (conversation.queue, conversation.priority, conversation.tags) == ("billing", "urgent", ("angry", "seen"))


def test_a_message_written_on_our_side_elsewhere_is_an_answer(router: Rehearsal) -> None:
    """An agent who answers in the provider's own inbox has answered."""
    router.says("hi")
    router.step(
        router.received("c1", Text(text="hello"), direction="outbound", author=Author(type="agent"), status="sent")
    )

    assert router.conversation().first_response_at is not None
    assert router.kinds("omnibus.queue.general")[-1] == "message.received"


def test_an_answer_seen_before_any_question_is_not_routed(router: Rehearsal) -> None:
    router.step(
        router.opened(),
        router.received("c1", Text(text="hello"), direction="outbound", author=Author(type="agent"), status="sent"),
    )

    assert router.decisions() == []


def test_a_queue_that_was_removed_loses_its_conversations_to_the_default(
    router: Rehearsal, plan: Callable[..., Plan]
) -> None:
    router.says("where is my bill?")
    router.plan = plan(queues=("general",))

    router.says("hello?")

    assert router.conversation().queue == "general"
    assert router.kinds("omnibus.queue.general") == ["conversation.assigned", "control.passed", "message.received"]


def test_long_texts_are_kept_short_but_delivered_whole(router: Rehearsal) -> None:
    router.says("bill " + "x" * 50_000)
    [assigned, _] = router.on("omnibus.queue.billing")

    assert len(assigned.data.recent[0].content.text) == 50_005
    assert max(len(value) for _, value in router.backing.scan(b"\x10", b"\x11", 10)) < 10_000
