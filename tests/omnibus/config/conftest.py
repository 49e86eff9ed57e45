"""Two invented channels, a sink and an automation, to load configurations with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
import pytest

from omnibus.config.errors import ConfigErrors
from omnibus.config.fields import (
    BotToken,
    Duration,
    Host,
    Password,
    PollEvery,
    Port,
    Settings,
    Size,
    between,
    described,
)
from omnibus.config.load import loads
from omnibus.config.model import Config
from omnibus.errors import Misconfigured


class Imap(Settings, frozen=True, kw_only=True):
    host: Annotated[Host, described("IMAP server.", example="imap.example.com")]
    port: Annotated[Port, described("Port of the IMAP server.")] = 993
    user: Annotated[str, described("Account name.")]
    password: Password


class Letters(Settings, frozen=True, kw_only=True):
    imap: Annotated[Imap, described("Where letters are read.")]
    poll_every: Annotated[PollEvery, between("1s", "1h")] = timedelta(seconds=30)
    max_size: Annotated[Size, between("1KB", "50MB"), described("Largest letter.")] = 25_000_000
    folders: Annotated[tuple[str, ...], described("Folders to read.")] = ("INBOX",)


class Parrot(Settings, frozen=True, kw_only=True):
    bot_token: BotToken
    mode: Annotated[Literal["webhook", "poll"], described("How news arrive.")] = "webhook"
    number: Annotated[str | None, described("Number of the account.")] = None
    rate: Annotated[float, msgspec.Meta(gt=0), described("Calls per second.")] = 1.0
    loud: Annotated[bool, described("Repeat in capitals.")] = False
    labels: Annotated[dict[str, int], described("Weights of labels.")] = msgspec.field(default_factory=dict)


class Desk(Settings, frozen=True, kw_only=True):
    subdomain: str
    every: Duration | None = None


class Answers(Settings, frozen=True, kw_only=True):
    hand_over_to: str = ""

    def __post_init__(self) -> None:
        if self.hand_over_to == "nobody":
            raise ValueError("hand_over_to must be somebody")


TYPES: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("channels", "letters"): Letters,
    ("channels", "parrot"): Parrot,
    ("sinks", "desk"): Desk,
    ("automations", "answers"): Answers,
}


def settings_of(section: str, name: str) -> type[msgspec.Struct] | None:
    if (section, name) == ("channels", "broken"):
        raise Misconfigured("broken", "its SDK is not installed")
    return TYPES.get((section, name))


def known_types(section: str) -> list[str]:
    return [name for of, name in TYPES if of == section]


Load = Callable[..., Config]
Faults = Callable[..., list[str]]


@pytest.fixture
def load() -> Load:
    def load_text(text: str, **options: Any) -> Config:
        return loads(text, settings_of=settings_of, known_types=known_types, **options)

    return load_text


@pytest.fixture
def faults(load: Load) -> Faults:
    """The messages of a configuration that must not load."""

    def messages(text: str, **options: Any) -> list[str]:
        with pytest.raises(ConfigErrors) as refusal:
            load(text, **options)
        return [str(error) for error in refusal.value.errors]

    return messages
