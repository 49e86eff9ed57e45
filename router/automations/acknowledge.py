"""`acknowledge`: says once that the message has arrived, in the contact's language, and leaves the rest to people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from omnibus import clock
from omnibus.config.fields import Duration, described
from omnibus.errors import Misconfigured
from omnibus.model.codec import rfc3339
from omnibus.model.content import Text
from omnibus.model.events import Reply, Tag, Transfer
from router.automations.contract import Automation, AutomationSettings, AutomationTools, Command, Heard
from router.calendars import Calendar

ACKNOWLEDGED_AT = "acknowledged_at"
"""The conversation attribute that says when it was done: the next time is known wherever this runs."""

TEXTS = {
    "en": "Thank you, {name}. We have received your message and will answer as soon as we can.",
    "pt": "Obrigado, {name}. Recebemos a sua mensagem e responderemos assim que possível.",
    "es": "Gracias, {name}. Hemos recibido su mensaje y le responderemos lo antes posible.",
}
FIELDS = frozenset({"name", "queue", "channel", "reference", "opens"})
MAX_NAME = 60
_FIELD = re.compile(r"\{([^{}]*)\}")
_LINK = re.compile(r"://|www\.|@|\.[a-z]{2,}/", re.IGNORECASE)
_GAP = re.compile(r"\s*,?\s*(?=[.!,;:])")


class AcknowledgeSettings(AutomationSettings, frozen=True, kw_only=True):
    """Settings of an `acknowledge` automation."""

    texts: Annotated[
        dict[str, str],
        described(
            "Text for each language; may use {name}, {queue}, {channel}, {reference} and {opens}.", example="Hi!"
        ),
    ] = msgspec.field(default_factory=lambda: dict(TEXTS))
    calendar: Annotated[str | None, described("Business hours, for out_of_hours_texts and {opens}.")] = None
    out_of_hours_texts: Annotated[dict[str, str], described("Texts while the calendar is closed.")] = msgspec.field(
        default_factory=dict
    )
    language: Annotated[str, described("Language of contacts whose language is unknown or has no text.")] = "en"
    again_after: Annotated[
        Duration, described("The same conversation is acknowledged again after this time.", example="1d")
    ] = timedelta(days=1)


class Acknowledge:
    """Says it, notes that it was said, hands over."""

    def __init__(self, settings: AcknowledgeSettings, tools: AutomationTools) -> None:
        self._settings = settings
        self._tools = tools
        self._calendar = tools.calendars.get(settings.calendar or "")

    async def answer(self, heard: Heard) -> Sequence[Command]:
        """The acknowledgement when it is due, and always the hand-over."""
        leave = Transfer(to=f"queue:{self._tools.hand_over_to}", reason="acknowledged")
        if heard.message is None or not self._due(heard):
            return [leave]
        noted = Tag(attributes={ACKNOWLEDGED_AT: rfc3339(heard.event.time).decode()})
        return [Reply(content=Text(text=self._text(heard)), auto_submitted="auto_reply"), noted, leave]

    async def close(self) -> None:
        """Holds nothing."""

    def _due(self, heard: Heard) -> bool:
        before = None if heard.conversation is None else heard.conversation.attributes.get(ACKNOWLEDGED_AT)
        if not isinstance(before, str):
            return True
        try:
            said_at = datetime.fromisoformat(before)
        except ValueError:
            return True
        return clock.to_ms(said_at) + self._settings.again_after.total_seconds() * 1000 <= heard.event.time

    def _text(self, heard: Heard) -> str:
        return filled(self._template(heard), self._values(heard))

    def _template(self, heard: Heard) -> str:
        texts, conversation, message = self._texts(heard), heard.conversation, heard.message
        spoken = (message.language if message else None) or (conversation.language if conversation else None) or ""
        for language in (spoken, spoken.partition("-")[0], self._settings.language):
            if language in texts:
                return texts[language]
        return next(iter(texts.values()))

    def _texts(self, heard: Heard) -> Mapping[str, str]:
        closed = self._calendar is not None and not self._calendar.is_open(heard.event.time)
        return (
            self._settings.out_of_hours_texts if closed and self._settings.out_of_hours_texts else self._settings.texts
        )

    def _values(self, heard: Heard) -> Mapping[str, str]:
        name = heard.message.author.display_name if heard.message else None
        return {
            "name": presentable(name),
            "queue": self._tools.hand_over_to,
            "channel": heard.conversation.channel if heard.conversation else "",
            "reference": heard.conversation_id[-8:].upper(),
            "opens": self._opens(heard.event.time),
        }

    def _opens(self, at_ms: int) -> str:
        opens = None if self._calendar is None else self._calendar.next_open(at_ms)
        return "" if opens is None or self._calendar is None else local_time(self._calendar, opens)


def local_time(calendar: Calendar, at_ms: int) -> str:
    """A time on the calendar's clocks, in digits that every language reads."""
    return f"{calendar.local(at_ms):%Y-%m-%d %H:%M}"


def presentable(name: str | None) -> str:
    """A contact's name as we may repeat it: one short line, and no link smuggled into our own words."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in name or "").split())
    return "" if _LINK.search(words) else words[:MAX_NAME]


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields replaced, once: a value is never read as a template. Empty ones leave no gap."""
    text = _FIELD.sub(lambda match: values.get(match[1], match[0]), template)
    if all(values.get(match[1], "-") for match in _FIELD.finditer(template)):
        return text
    return " ".join(_GAP.sub("", line) for line in text.splitlines())


def check(settings: AcknowledgeSettings, name: str) -> None:
    """Raises Misconfigured for a text with a field there is not."""
    if not settings.texts:
        raise Misconfigured(f"automations.{name}.texts", "at least one language is needed")
    if settings.out_of_hours_texts and settings.calendar is None:
        raise Misconfigured(f"automations.{name}.out_of_hours_texts", "need a calendar")
    for where in ("texts", "out_of_hours_texts"):
        for language, text in getattr(settings, where).items():
            unknown = [field for field in _FIELD.findall(text) if field not in FIELDS]
            if unknown:
                known = ", ".join(f"{{{field}}}" for field in sorted(FIELDS))
                path = f"automations.{name}.{where}.{language}"
                raise Misconfigured(path, f"no field {{{unknown[0]}}}; known: {known}")


AUTOMATION = Automation(
    name="acknowledge", title="Acknowledgement", settings=AcknowledgeSettings, make=Acknowledge, check=check
)
