"""A function that is imported when it is first called, so that a declaration is read without the code behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omnibus.plugins import part


class Later:
    """The function `name` (``connectors.telegram.mapping:map_event``) stands for; called, it is that function.

    All channels are discovered by every command, few are used: a channel's `map` and `threads`, and the parts of its
    webhook that read bodies, are declared like this. Raises Misconfigured when it cannot be imported.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: Callable[..., Any] | None = None

    def __call__(self, *given: Any) -> Any:
        if self._found is None:
            self._found = part("", self.name, self.name.partition(":")[0])
        return self._found(*given)

    def __repr__(self) -> str:
        return f"Later({self.name!r})"
