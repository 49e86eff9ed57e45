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
from omnibus.config.model import Config
from omnibus.errors import Misconfigured
from omnibus.model.base import Attributes
from omnibus.model.content import Attachment, Content, Email, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message, Related
from router.control import no_automation
from router.plan import rules_of
from router.rules.facts import Facts
from router.rules.ruleset import RuleSet, Verdict

MAX_BYTES = 1_000_000
_MONDAY_NOON = datetime.fromisoformat("2026-01-05T15:00:00+00:00")
"""Noon in São Paulo, morning in New York, afternoon in Lisbon: business hours in most places we think of."""


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A first message. `at` is when it is routed."""

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
    at: Annotated[datetime, msgspec.Meta(tz=True)] = _MONDAY_NOON


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must come of it; fields that are absent may be anything."""

    to: str | None = None
    rule: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] | None = None
    skills: tuple[str, ...] | None = None
    language: str | None = None


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


def outcome(rules: RuleSet, given: Given) -> Verdict:
    """What the rules say of a described message."""
    message = _message(given)
    facts = Facts(
        conversation=_conversation(given),
        message=message,
        sender=_identity(given),
        now_ms=clock.to_ms(given.at),
        words=rules.words,
        origin=given.origin,
    )
    return rules.decide(facts, no_automation(given.origin, False, message))


def differences(rules: RuleSet, example: Example) -> list[str]:
    """How the decision differs from what is expected; empty when it does not."""
    verdict = outcome(rules, example.given)
    found = {
        "to": verdict.to,
        "rule": verdict.rule,
        "priority": verdict.priority or example.given.priority,
        "tags": tuple(dict.fromkeys((*example.given.tags, *verdict.tags))),
        "skills": verdict.skills,
        "language": verdict.language or example.given.language,
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
    rules = rules_of(config)
    file = Path(path) if path is not None else beside(config)
    rows = []
    for example in load_examples(file):
        wrong = differences(rules, example)
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
