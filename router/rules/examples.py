"""Examples written next to the rules: what is given, and where it must go. `omnibus route test` runs them.

A file is a list of ``{name, given, expect}``; `given` describes a first message, `expect` the decision, and only the
fields it names are compared.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from omnibus import clock
from omnibus.bus.topics import Topics
from omnibus.config.model import Config
from omnibus.errors import Misconfigured
from omnibus.model.base import Attributes
from omnibus.model.content import Attachment, Content, Email, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message, Related
from router.around import Around
from router.board import LastPlace
from router.control import no_automation
from router.placement import Place, Placing
from router.plan import Plan, plan_of
from router.rules.facts import Facts
from router.rules.ruleset import Verdict

MAX_BYTES = 1_000_000
_MONDAY_NOON = datetime.fromisoformat("2026-01-05T15:00:00+00:00")
"""Noon in São Paulo, morning in New York, afternoon in Lisbon: business hours in most places we think of."""


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A first message. `at` is when it is routed.

    `load` says how full queues are, `last_queue` where the contact was a day ago.
    """

    text: str = ""
    subject: str | None = None
    channel: str = "webchat"
    account: str = "account"
    language: str | None = None
    auto_submitted: str = "no"
    attachments: tuple[str, ...] = ()
    attributes: Attributes = {}
    name: str = "Ana"
    address: str = "ana@example.com"
    scheme: str = "email"
    verified: str = "none"
    tags: tuple[str, ...] = ()
    priority: str = "normal"
    conversation_attributes: Attributes = {}
    follow_up: bool = False
    reopen_count: int = 0
    origin: str = "live"
    load: dict[str, int] = {}
    paused: tuple[str, ...] = ()
    last_queue: str | None = None
    at: Annotated[datetime, msgspec.Meta(tz=True)] = _MONDAY_NOON


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must come of it; fields that are absent may be anything."""

    to: str | None = None
    rule: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] | None = None
    skills: tuple[str, ...] | None = None
    language: str | None = None
    overflow_after: str | None = None


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One example."""

    name: str
    given: Given
    expect: Expected


def load_examples(path: Path) -> list[Example]:
    """The examples of a file. Raises Misconfigured."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Misconfigured(str(path), f"larger than {MAX_BYTES} bytes")
        return msgspec.convert(yaml.safe_load(data), list[Example], strict=False)
    except OSError as error:
        raise Misconfigured(str(path), (error.strerror or "cannot be read").lower()) from None
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError) as error:
        raise Misconfigured(str(path), " ".join(str(error).split())[:500]) from None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a described message: what the rules said, and where that led."""

    verdict: Verdict
    place: Place


def outcome(plan: Plan, given: Given) -> Outcome:
    """What becomes of a described message."""
    message = _message(given)
    around = _around(plan, given)
    facts = Facts(
        conversation=_conversation(given),
        message=message,
        sender=_identity(given),
        now_ms=clock.to_ms(given.at),
        words=plan.rules.words,
        origin=given.origin,
        around=around,
    )
    barred = no_automation(given.origin, False, message)
    verdict = plan.rules.decide(facts, barred)
    placing = Placing(
        around=around,
        default=plan.default_queue,
        skills=frozenset(verdict.skills),
        barred=barred,
        known=plan.has_target,
    )
    return Outcome(verdict=verdict, place=placing.of_verdict(verdict, lambda guard: plan.rules.holds(guard, facts)))


def _around(plan: Plan, given: Given) -> Around:
    at_ms = clock.to_ms(given.at)
    last = None if given.last_queue is None else LastPlace(queue=given.last_queue, at_ms=at_ms - 86_400_000)
    return Around(
        now_ms=at_ms,
        queues={name: plan.queue(name) for name in plan.queues},
        calendars=plan.calendars,
        loads=lambda: given.load,
        paused=lambda: frozenset(given.paused),
        last_place=lambda: last,
    )


def differences(plan: Plan, example: Example) -> list[str]:
    """How the decision differs from what is expected; empty when it does not."""
    came = outcome(plan, example.given)
    verdict, place = came.verdict, came.place
    found = {
        "to": place.to,
        "rule": verdict.rule,
        "priority": place.priority or verdict.priority or example.given.priority,
        "tags": tuple(dict.fromkeys((*example.given.tags, *verdict.tags))),
        "skills": verdict.skills,
        "language": verdict.language or example.given.language,
        "overflow_after": place.overflow_after,
    }
    expected = msgspec.structs.asdict(example.expect)
    wrong = [
        f"{name}: expected {_plain(value)}, got {_plain(found[name])}"
        for name, value in expected.items()
        if value is not None and value != found[name]
    ]
    return wrong + [f"rule {name} could not be evaluated" for name in verdict.errors]


def _plain(value: Any) -> str:
    return "none" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)


def run(config: Config, path: str | None = None) -> list[dict[str, Any]]:
    """Results of the examples in `path`, or of ``NAME.examples.yaml`` beside the configuration ``NAME.yaml``."""
    plan = plan_of(config, Topics(config.prefix), {})
    file = Path(path) if path is not None else beside(config)
    rows = []
    for example in load_examples(file):
        wrong = differences(plan, example)
        rows.append({"name": example.name, "result": "failed" if wrong else "ok", "why": "; ".join(wrong)})
    return rows


def beside(config: Config) -> Path:
    """Where the examples of a configuration are when nobody says."""
    return Path(config.where("routes").file).with_suffix(".examples.yaml")


def _conversation(given: Given) -> Conversation:
    identity = _identity(given)
    return Conversation(
        id="conv_example",
        channel=given.channel,
        channel_account_id=given.account,
        thread_key="example",
        contact_id="cnt_example",
        status="new",
        participants=(identity,),
        subject=given.subject,
        priority=given.priority,
        tags=given.tags,
        language=given.language,
        attributes=given.conversation_attributes,
        reopen_count=given.reopen_count,
        related=(Related(type="follow_up", id="conv_earlier"),) if given.follow_up else (),
    )


def _identity(given: Given) -> ChannelIdentity:
    return ChannelIdentity(
        id="idn_example",
        channel=given.channel,
        scheme=given.scheme,
        value=given.address,
        normalized=given.address.lower(),
        display_name=given.name,
        verified=given.verified,
    )


def _message(given: Given) -> Message:
    content: Content = Text(text=given.text)
    if given.subject is not None:
        content = Email(subject=given.subject, text=given.text)
    return Message(
        id="msg_example",
        conversation_id="conv_example",
        channel=given.channel,
        channel_account_id=given.account,
        direction="inbound",
        author=Author(type="contact", display_name=given.name),
        content=content,
        status="received",
        created_at=given.at,
        received_at=given.at,
        attachments=tuple(
            Attachment(id=f"att_{index}", mime=mime, state="stored") for index, mime in enumerate(given.attachments)
        ),
        language=given.language,
        auto_submitted=given.auto_submitted,
        attributes=given.attributes,
    )
