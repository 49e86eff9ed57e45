"""A YAML document as a tree in which every value knows its line and column.

Plain scalars are read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), so ``no`` is
text, ``012`` is twelve and ``12:30`` is text. Keys must be unique; nesting, size and aliases are bounded; tags and
merge keys are not used. ``${NAME}`` and ``${NAME:-default}`` are replaced from the environment, ``$$`` is a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec
import yaml

from omnibus.config.errors import ConfigError, ConfigErrors, Mark

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 100_000
"""Values after aliases are followed: a few lines of aliases can stand for billions."""

Scalar = str | int | float | bool | None

_INT = re.compile(r"[-+]?[0-9]{1,32}|0o[0-7]{1,32}|0x[0-9a-fA-F]{1,32}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\{))")
_TEXT_TAG = "tag:yaml.org,2002:str"
_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node(msgspec.Struct, frozen=True):
    """A value of the document.

    `data` is a mapping, a list or a scalar; `text` is a scalar as it was written. `untyped` scalars came from the
    environment or a flag, where everything is text: they are read as whatever their setting needs, and never shown.
    A `faulty` value has its error noted already.
    """

    data: dict[str, Node] | list[Node] | Scalar
    mark: Mark
    text: str = ""
    untyped: bool = False
    faulty: bool = False
    size: int = 1


def quoted(node: Node) -> str:
    """A scalar's text as a message may cite it; never what came from the environment."""
    return "a value from the environment" if node.untyped else repr(node.text[:60])


def parse(source: bytes | str, file: str, env: Mapping[str, str]) -> tuple[Node, list[ConfigError]]:
    """Read a document; the errors are those that do not keep the rest from being read (a key twice, a name not set).

    Raises ConfigErrors when the text cannot be read at all, or is larger, deeper or more entangled than is sensible.
    """
    text = _decoded(source, file)
    try:
        tree = _Builder(file, env)
        for event in yaml.parse(text, Loader=_LOADER):
            tree.take(event)
    except yaml.MarkedYAMLError as error:
        fault = ConfigError(_place(error, file), "", f"not valid YAML: {error.problem}")
        raise ConfigErrors([*tree.errors, fault]) from None
    except yaml.YAMLError:
        raise ConfigErrors(
            [ConfigError(Mark(file, 1, 1), "", "not valid YAML: a character that is not allowed")]
        ) from None
    return tree.root or Node({}, Mark(file, 1, 1)), tree.errors


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text) and len(text) <= 64 and not text.lstrip("+-").isdigit():
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def substitute(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with its references replaced, and what is wrong with those that cannot be."""
    faults: list[str] = []

    def value(match: re.Match[str]) -> str:
        name, default, broken = match.groups()
        if broken:
            faults.append("expected ${NAME} or ${NAME:-default}; write $$ for a dollar")
        elif name is None:
            return "$"
        elif env.get(name):
            return env[name]
        elif default is not None:
            return default
        elif name not in env:
            faults.append(f"environment variable {name} is not set")
        return ""

    return _REFERENCE.sub(value, text), faults


def _place(error: yaml.MarkedYAMLError, file: str) -> Mark:
    for mark in (error.problem_mark, error.context_mark):
        if mark is not None:
            return Mark(file, mark.line + 1, mark.column + 1)
    return Mark(file, 1, 1)


def _decoded(source: bytes | str, file: str) -> str:
    if len(source) > MAX_BYTES:
        raise ConfigErrors([ConfigError(Mark(file, 1, 1), "", f"larger than {MAX_BYTES} bytes")])
    if isinstance(source, str):
        return source
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([ConfigError(Mark(file, line, 1), "", "not UTF-8 text")]) from None


class _Open:
    """A mapping or list whose end has not come yet."""

    def __init__(self, data: dict[str, Node] | list[Node], mark: Mark, anchor: str | None) -> None:
        self.data = data
        self.mark = mark
        self.anchor = anchor
        self.key: str | None = None
        self.size = 1


class _Builder:
    """Builds the tree from parser events, with a stack of its own: no input can exhaust Python's."""

    def __init__(self, file: str, env: Mapping[str, str]) -> None:
        self.root: Node | None = None
        self.errors: list[ConfigError] = []
        self._file = file
        self._env = env
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        at = event.start_mark
        mark = Mark(self._file, at.line + 1, at.column + 1) if at else Mark(self._file)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(mark, "a second document; expected one")
            case yaml.MappingStartEvent():
                self._begin({}, mark, event)
            case yaml.SequenceStartEvent():
                self._begin([], mark, event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                ended = self._open.pop()
                self._add(Node(ended.data, ended.mark, size=ended.size), ended.anchor, mark)
            case yaml.AliasEvent():
                self._alias(event.anchor, mark)
            case yaml.ScalarEvent():
                self._scalar(event, mark)

    def _begin(self, data: dict[str, Node] | list[Node], mark: Mark, event: yaml.CollectionStartEvent) -> None:
        if event.tag:
            self._wrong(mark, f"tags such as {event.tag[:40]} are not used here")
        if len(self._open) >= MAX_DEPTH:
            self._stop(mark, f"nested deeper than {MAX_DEPTH} levels")
        if self._open and isinstance(self._open[-1].data, dict) and self._open[-1].key is None:
            self._stop(mark, "a key must be text")
        self._open.append(_Open(data, mark, event.anchor))

    def _alias(self, anchor: str | None, mark: Mark) -> None:
        found = self._anchors.get(anchor or "")
        if found is None:
            self._stop(mark, f"alias *{(anchor or '')[:40]} has no anchor before it")
        else:
            self._add(found, None, mark)

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        inside = self._open[-1] if self._open else None
        if inside is not None and isinstance(inside.data, dict) and inside.key is None:
            self._key(inside, event.value, mark)
            return
        text, faults = substitute(event.value, self._env)
        if event.tag not in (None, "!", _TEXT_TAG):
            faults.append(f"tags such as {event.tag[:40]} are not used here")
        for fault in faults:
            self._wrong(mark, fault)
        plain = event.style in (None, "") and event.tag is None
        replaced = text != event.value and "${" in event.value
        value = plain_scalar(text) if plain else text
        self._add(Node(value, mark, text, untyped=replaced, faulty=bool(faults)), event.anchor, mark)

    def _key(self, inside: _Open, key: str, mark: Mark) -> None:
        inside.key = key
        if key == "<<":
            self._wrong(mark, "merge keys (<<) are not used here; repeat the settings or use an alias for the value")
        elif key in inside.data:
            self._wrong(mark, f"key {key[:60]!r} appears twice")

    def _add(self, node: Node, anchor: str | None, mark: Mark) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        inside = self._open[-1]
        inside.size += node.size
        if inside.size > MAX_NODES:
            self._stop(mark, f"more than {MAX_NODES} values once aliases are followed")
        if isinstance(inside.data, list):
            inside.data.append(node)
        elif inside.key is not None:
            inside.data.setdefault(inside.key, node)
            inside.key = None
        else:
            self._stop(mark, "a key must be text")

    def _wrong(self, mark: Mark, message: str) -> None:
        self.errors.append(ConfigError(mark, self._path(), message))

    def _stop(self, mark: Mark, message: str) -> None:
        self._wrong(mark, message)
        raise ConfigErrors(self.errors)

    def _path(self) -> str:
        return ".".join(_steps(self._open))


def _steps(opened: list[_Open]) -> Iterator[str]:
    for level in opened:
        if isinstance(level.data, list):
            yield str(len(level.data))
        elif level.key is not None:
            yield level.key
