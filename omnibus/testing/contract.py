"""The channel contract: what every channel promises, as tests that run over its fixtures.

With pytest, for a channel of your own::

    from omnibus.testing import ChannelContract

    class TestTelegram(ChannelContract):
        package = "connectors.telegram"

``pytest -p omnibus.testing.plugin --update-fixtures`` rewrites ``.unified.json`` and the outcomes of ``.send.json``;
review the difference. `omnibus.testing.report.run_contract` runs the same without pytest.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from omnibus.channel.declaration import Channel
from omnibus.channel.receive import Webhook
from omnibus.channel.registry import load_channel, load_part
from omnibus.testing import folder_checks, mapping_checks, receive_checks, send_checks
from omnibus.testing.fixtures import RAW, SEND, UNIFIED, Fixture, load_fixture, names_in, read
from omnibus.testing.fixtures import RawFixture as RawFile
from omnibus.testing.sending import SendFixture, load_send_fixture

KINDS = ("mapped", "received", "handshake", "sent")
"""What a test may run over: requests that are mapped, webhooks received, handshakes, messages sent."""

OPTIONAL = frozenset({"received", "handshake", "sent"})


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's folder: the declaration, and the names of its fixtures by what they show."""

    channel: Channel
    fixtures: Path
    mapped: tuple[str, ...]
    received: tuple[str, ...]
    handshakes: tuple[str, ...]
    sent: tuple[str, ...]
    waived: folder_checks.Waivers

    def fixture(self, name: str) -> Fixture:
        return load_fixture(self.channel, self.fixtures, name)

    def send_fixture(self, name: str) -> SendFixture:
        return load_send_fixture(self.channel, self.fixtures, name)

    def one_to_send(self) -> SendFixture:
        """A message whose sending makes a call and succeeds. Raises AssertionError when no fixture shows one."""
        for fixture in (self.send_fixture(name) for name in self.sent):
            if fixture.file.exchange and fixture.file.error is None:
                return fixture
        raise AssertionError(f"{self.channel.name} sends, but no {SEND} fixture shows a call that succeeds")

    def applies(self, test: str, kinds: Iterable[str]) -> bool:
        """Whether a check means anything for this channel: what it cannot do needs no proof."""
        sending = test.removeprefix("test_") in folder_checks.WAIVABLE
        if sending and (self.channel.send is None or test.removeprefix("test_") in self.waived.checks):
            return False
        return all(kind not in OPTIONAL or self.cases(kind) for kind in kinds)

    def cases(self, kind: str) -> tuple[str, ...]:
        """The fixtures that a test with the argument `kind` runs over."""
        by_kind = {"mapped": self.mapped, "received": self.received, "handshake": self.handshakes, "sent": self.sent}
        return by_kind[kind]


@cache
def folder_of(package: str) -> Folder:
    """Read a channel's folder. Raises AssertionError (or what the import raises) when there is none to read."""
    channel = load_channel(package)
    file = importlib.import_module(package).__file__
    assert file is not None, f"{package} has no __init__.py"
    fixtures = Path(file).parent / "fixtures"
    files = {name: read(fixtures / f"{name}{RAW}", RawFile) for name in names_in(fixtures, RAW)}
    return Folder(
        channel=channel,
        fixtures=fixtures,
        mapped=tuple(name for name, file in files.items() if file.answer is None),
        received=tuple(n for n, file in files.items() if file.answer is None and file.transport == "webhook"),
        handshakes=tuple(name for name, file in files.items() if file.answer is not None),
        sent=tuple(names_in(fixtures, SEND)),
        waived=folder_checks.waivers_of(fixtures),
    )


class ChannelContract:
    """Subclass it and set `package`. Tests with an argument run once for each fixture of that kind."""

    package: ClassVar[str] = ""
    update: ClassVar[bool] = False

    # -- the folder ----------------------------------------------------------------------------------------------------

    def test_the_folder_is_complete(self) -> None:
        """There are fixtures, each mapped request has its events beside it, and nothing is left over."""
        folder = self.folder()
        if self.package.startswith("connectors."):
            assert self.package == f"connectors.{folder.channel.name}", "a channel is named like its folder"
        assert folder.mapped, f"{folder.fixtures} has no {RAW}"
        stray = sorted(set(mapping_checks.unified_files(folder.fixtures)) - set(folder.mapped))
        assert not stray, f"{UNIFIED} without {RAW}: {', '.join(stray)}"
        has_webhook = any(isinstance(way, Webhook) for way in folder.channel.receive.values())
        assert bool(folder.received) == has_webhook, (
            "fixtures with transport webhook belong to a channel with a webhook"
        )

    def test_every_part_can_be_imported(self) -> None:
        channel = self.folder().channel
        parts = [way for way in channel.receive.values() if isinstance(way, str)]
        for part in [*parts, *filter(None, (channel.send, channel.media))]:
            assert callable(load_part(channel, part)), f"{part} is no class"

    def test_settings_come_through_file_and_environment(self, tmp_path: Path) -> None:
        folder = self.folder()
        folder_checks.check_settings(folder.channel, folder.fixtures, tmp_path)

    def test_settings_show_no_secret(self) -> None:
        folder = self.folder()
        folder_checks.check_secrets_masked(folder.channel, folder.fixtures)

    def test_the_readme_tells_an_operator_what_to_do(self) -> None:
        folder_checks.check_readme(self.folder().fixtures)

    def test_fixtures_show_nobody_real(self) -> None:
        folder = self.folder()
        folder_checks.check_invented(folder.channel, folder.fixtures, folder.waived.hosts)

    # -- the mapping ---------------------------------------------------------------------------------------------------

    def test_a_request_becomes_exactly_its_events(self, mapped: str) -> None:
        folder = self.folder()
        mapping_checks.check_mapping(folder.channel, folder.fixture(mapped), update=self.update)

    def test_mapping_again_gives_the_same_ids(self, mapped: str) -> None:
        folder = self.folder()
        mapping_checks.check_repeatable(folder.channel, folder.fixture(mapped))

    def test_threads_are_those_of_the_events(self, mapped: str) -> None:
        folder = self.folder()
        mapping_checks.check_threads(folder.channel, folder.fixture(mapped))

    def test_what_it_emits_is_shown(self) -> None:
        folder = self.folder()
        mapping_checks.check_emits(folder.channel, (folder.fixture(name) for name in folder.mapped))

    def test_a_damaged_request_is_valid_or_refused(self, mapped: str) -> None:
        folder = self.folder()
        mapping_checks.check_damage(folder.channel, folder.fixture(mapped))

    def test_a_hostile_request_costs_no_more_than_its_size(self) -> None:
        """One fixture is enough: hostile bodies are the same for all."""
        folder = self.folder()
        mapping_checks.check_hostile(folder.channel, folder.fixture(folder.mapped[0]))

    # -- receiving -----------------------------------------------------------------------------------------------------

    def test_a_request_of_the_provider_is_accepted(self, received: str) -> None:
        receive_checks.check_verdict(self.folder().fixture(received))

    def test_a_forged_request_is_refused(self, received: str) -> None:
        receive_checks.check_forgeries(self.folder().fixture(received))

    def test_a_handshake_is_answered(self, handshake: str) -> None:
        receive_checks.check_handshake(self.folder().fixture(handshake))

    def test_the_front_door_stores_what_is_good_and_nothing_else(self, tmp_path: Path) -> None:
        folder = self.folder()
        fixtures = [folder.fixture(name) for name in (*folder.received, *folder.handshakes)]
        asyncio.run(receive_checks.check_front_door(folder.channel, fixtures, tmp_path))

    # -- sending -------------------------------------------------------------------------------------------------------

    def test_a_message_makes_exactly_its_calls(self, sent: str, tmp_path: Path) -> None:
        folder = self.folder()
        fixture = folder.send_fixture(sent)
        asyncio.run(send_checks.check_exchange(folder.channel, fixture, tmp_path, update=self.update))

    def test_what_it_sends_is_shown(self) -> None:
        folder = self.folder()
        send_checks.check_sends(folder.channel, (folder.send_fixture(name) for name in folder.sent))

    def test_a_provider_in_trouble_is_tried_again(self, tmp_path: Path) -> None:
        folder = self.folder()
        asyncio.run(send_checks.check_troubles(folder.channel, folder.one_to_send(), tmp_path))

    def test_an_answer_that_makes_no_sense_is_no_surprise(self, tmp_path: Path) -> None:
        folder = self.folder()
        asyncio.run(send_checks.check_nonsense(folder.channel, folder.one_to_send(), tmp_path))

    # -- running them --------------------------------------------------------------------------------------------------

    @classmethod
    def folder(cls) -> Folder:
        """The folder under test."""
        assert cls.package, "set `package` to the channel's package"
        return folder_of(cls.package)

    def __init_subclass__(cls) -> None:
        """Takes away the tests that mean nothing for the channel (handshakes of one that has none)."""
        try:
            folder = cls.folder()
        except Exception:  # a folder that cannot be read fails in its own tests, not for everybody at import
            return
        for name, test in inspect.getmembers(cls, inspect.isfunction):
            if name.startswith("test_") and not folder.applies(name, kinds_of(test)):
                setattr(cls, name, None)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Called by pytest for each test of the class."""
        type(self).update = bool(metafunc.config.getoption("update_fixtures", default=False))
        for kind in kinds_of(metafunc.function):
            metafunc.parametrize(kind, self._cases_or_broken(kind))

    def _cases_or_broken(self, kind: str) -> Sequence[str]:
        try:
            return self.folder().cases(kind) or ["there-are-no-fixtures"]
        except Exception:  # as above: the test runs, and fails with the reason
            return ["the-folder-cannot-be-read"]


def kinds_of(test: Callable[..., object]) -> list[str]:
    """The kinds of fixture a test runs over."""
    return [name for name in inspect.signature(test).parameters if name in KINDS]
