"""Load a configuration: defaults, then the file, then the environment, then flags; all errors together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from omnibus.config.check import check
from omnibus.config.convert import FAILED, Converter, join, shown
from omnibus.config.document import MAX_BYTES, Node, parse, quoted
from omnibus.config.errors import ConfigError, ConfigErrors, Mark, near
from omnibus.config.layers import overlay
from omnibus.config.model import AutomationConfig, ChannelConfig, Config, Core, QueueSettings, SinkConfig
from omnibus.errors import Misconfigured

SettingsOf = Callable[[str, str], type[msgspec.Struct] | None]
"""(section, type) -> the settings class a plug-in declares, None for a type there is not."""

KnownTypes = Callable[[str], Iterable[str]]
"""section -> the types there are, for the message about one there is not."""

_PLUGGED: Final = ("channels", "automations", "sinks")
_CORE: Final = tuple(field.encode_name for field in msgspec.structs.fields(Core))


def load(
    path: Path | None,
    *,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    settings_of: SettingsOf,
    known_types: KnownTypes = lambda section: (),
    queue_settings: type[QueueSettings] = QueueSettings,
    sections: Mapping[str, Any] | None = None,
) -> Config:
    """Read and check a configuration; without a path, from environment and flags alone.

    `settings_of` gives the settings class of a channel, automation or sink type (section names: ``channels``,
    ``automations``, ``sinks``). `sections` are further top-level sections with their types, such as
    ``{"calendars": dict[str, CalendarSettings]}``; they come back in `Config.sections`. Raises ConfigErrors.
    """
    env = os.environ if env is None else env
    source = b"" if path is None else _source(path)
    reader = _Loader(settings_of, known_types, queue_settings, sections or {})
    return reader.load(source, "defaults" if path is None else str(path), env, flags or {})


def loads(text: str, *, file: str = "omnibus.yaml", env: Mapping[str, str] | None = None, **options: Any) -> Config:
    """As `load`, from text: for tests, and for configurations that come with the program."""
    reader = _Loader(
        options.pop("settings_of"),
        options.pop("known_types", lambda section: ()),
        options.pop("queue_settings", QueueSettings),
        options.pop("sections", {}),
    )
    return reader.load(text, file, env or {}, options.pop("flags", {}))


def _source(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as failure:
        reason = failure.strerror or "cannot be read"
        raise ConfigErrors([ConfigError(Mark(str(path)), "", reason.lower())]) from None


class _Loader:
    def __init__(
        self,
        settings_of: SettingsOf,
        known_types: KnownTypes,
        queue_settings: type[QueueSettings],
        sections: Mapping[str, Any],
    ) -> None:
        self._settings_of = settings_of
        self._known_types = known_types
        self._queue_settings = queue_settings
        self._sections = sections
        self._converter = Converter()

    def load(self, source: bytes | str, file: str, env: Mapping[str, str], flags: Mapping[str, str]) -> Config:
        names = (*_CORE, "queues", *_PLUGGED, *self._sections)
        root, faults = parse(source, file, env)
        root, misplaced = overlay(root, env, flags, names)
        read, top = self._converter, self._converter.mapping(root, "")
        read.errors.extend([*faults, *misplaced])
        if top is None:
            raise ConfigErrors(read.errors)
        core = read.struct(top, Core, root, "", also=frozenset(names) - set(_CORE))
        config = Config(
            core=Core() if core is FAILED else core,
            channels=self._plugged(top, "channels", _channel),
            queues=self._queues(top),
            automations=self._plugged(top, "automations", _automation),
            sinks=self._plugged(top, "sinks", _sink),
            sections={name: self._section(top, name) for name in self._sections},
            marks=read.marks,
        )
        read.errors.extend(check(top))
        if read.errors:
            raise ConfigErrors(read.errors)
        return config

    def _section(self, top: Mapping[str, Node], name: str) -> Any:
        node = top.get(name)
        return None if node is None else self._converter.read(node, self._sections[name], name)

    def _queues(self, top: Mapping[str, Node]) -> dict[str, QueueSettings]:
        entries = self._entries(top, "queues")
        values = {name: self._queue(node, f"queues.{name}") for name, node in entries.items()}
        return {name: value for name, value in values.items() if value is not FAILED}

    def _queue(self, node: Node, path: str) -> Any:
        entries = self._converter.mapping(node, path)
        if entries is None:
            return FAILED
        return self._converter.struct(entries, self._queue_settings, node, path, also=frozenset())

    def _plugged(self, top: Mapping[str, Node], section: str, made: Callable[..., Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, node in self._entries(top, section).items():
            entry = self._plug(node, section, name, made)
            if entry is not FAILED:
                found[name] = entry
        return found

    def _entries(self, top: Mapping[str, Node], section: str) -> dict[str, Node]:
        node = top.get(section)
        return {} if node is None else self._converter.mapping(node, section, "a mapping of names") or {}

    def _plug(self, node: Node, section: str, name: str, made: Callable[..., Any]) -> Any:
        path, read = join(section, name), self._converter
        entries = read.mapping(node, path)
        if entries is None:
            return FAILED
        kind, cls = self._kind(entries, node, section, path)
        sources = read.read(entries["from"], tuple[str, ...], join(path, "from")) if _has_from(section, entries) else ()
        if cls is None:
            return FAILED
        declared = {field.encode_name for field in msgspec.structs.fields(cls)}
        also = frozenset({"type", "from"} if section == "sinks" else {"type"}) - declared
        own = {key: value for key, value in entries.items() if key not in also}
        settings = read.struct(own, cls, node, path, also=also)
        return FAILED if FAILED in (settings, sources) else made(name, kind, settings, sources)

    def _kind(
        self, entries: Mapping[str, Node], node: Node, section: str, path: str
    ) -> tuple[str, type[msgspec.Struct] | None]:
        def known() -> list[str]:  # asked only for a message: to know all types, all plug-ins are imported
            return sorted(self._known_types(section))

        if (given := entries.get("type")) is None:
            self._converter.wrong(node, path, "type is missing", near("", known()))
            return "", None
        self._converter.marks[join(path, "type")] = given.mark
        if given.faulty:
            return "", None
        if isinstance(given.data, (dict, list)) or not given.text:
            self._converter.wrong(given, join(path, "type"), f"expected text, got {shown(given)}", near("", known()))
            return "", None
        try:
            cls = self._settings_of(section, given.text)
        except Misconfigured as missing:  # the plug-in is there, but something it needs is not
            self._converter.wrong(given, join(path, "type"), str(missing))
            return given.text, None
        if cls is None:
            self._converter.wrong(given, join(path, "type"), f"unknown type {quoted(given)}", near(given.text, known()))
        return given.text, cls


def _has_from(section: str, entries: Mapping[str, Node]) -> bool:
    return section == "sinks" and "from" in entries


def _channel(name: str, kind: str, settings: msgspec.Struct, _: object) -> ChannelConfig:
    return ChannelConfig(name=name, type=kind, settings=settings)


def _automation(name: str, kind: str, settings: msgspec.Struct, _: object) -> AutomationConfig:
    return AutomationConfig(name=name, type=kind, settings=settings)


def _sink(name: str, kind: str, settings: msgspec.Struct, sources: tuple[str, ...]) -> SinkConfig:
    return SinkConfig(name=name, type=kind, sources=sources, settings=settings)
