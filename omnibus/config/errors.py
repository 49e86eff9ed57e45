"""What is wrong with a configuration, and where it says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec

from omnibus.errors import OmnibusError

_SHOWN = 100


class Mark(msgspec.Struct, frozen=True):
    """A place: line and column count from 1; line 0 means the source has no lines (environment, flag)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ConfigError(msgspec.Struct, frozen=True):
    """One thing that is wrong. `hint` says what would be accepted, or what was probably meant."""

    mark: Mark
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.mark}: {self.path}: " if self.path else f"{self.mark}: "
        return where + self.message + (f" ({self.hint})" if self.hint else "")


class ConfigErrors(OmnibusError):
    """A configuration that cannot be used: start-up refuses, and the operator sees every error there is."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: Sequence[ConfigError] = sorted(set(errors), key=_in_reading_order)
        lines = [str(error) for error in self.errors[:_SHOWN]]
        if len(self.errors) > _SHOWN:
            lines.append(f"... and {len(self.errors) - _SHOWN} more")
        super().__init__("\n".join(lines))


def near(word: str, known: Iterable[str]) -> str:
    """A hint for a word nobody knows: what was probably meant, else what there is."""
    names = sorted(known)
    if close := get_close_matches(word, names, n=1):
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}" if names else "none are known"


def _in_reading_order(error: ConfigError) -> tuple[str, int, int, str, str]:
    return (error.mark.file, error.mark.line, error.mark.column, error.path, error.message)
