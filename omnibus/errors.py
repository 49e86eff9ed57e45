"""Errors, named after what happens next.

Code raises what should happen to the record in hand; the runner does it. The table in
``docs/reference/errors.md`` is generated from the docstrings here.
"""

from __future__ import annotations

from datetime import timedelta


class OmnibusError(Exception):
    """Base of every error Omnibus raises on purpose."""


class InvalidPayload(OmnibusError):
    """The record cannot be understood: it is dead-lettered with the reason, and the stage carries on.

    `path` names the place (``message.chat.id``), `why` the surprise (``expected int, got None``).
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class TryAgain(OmnibusError):
    """A passing fault: the record is kept and tried again later; only its own key waits.

    `after` is the delay the other side asked for (``Retry-After``); None lets the back-off decide.
    """

    def __init__(self, why: str = "", *, after: timedelta | None = None) -> None:
        super().__init__(why or "try again")
        self.after = after


class Refused(OmnibusError):
    """The other side said no for good: a failed delivery is reported with `code`, and nothing is retried.

    `code` is from the failure vocabulary of the unified model (``RECIPIENT_NOT_REACHABLE`` ...);
    `native_code` is the provider's own.
    """

    def __init__(self, code: str, reason: str, *, native_code: str | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.native_code = native_code


class RecipientGone(Refused):
    """The recipient can never be reached again: reported as Refused, and the identity is marked unreachable."""

    def __init__(self, reason: str, *, native_code: str | None = None) -> None:
        super().__init__("RECIPIENT_NOT_REACHABLE", reason, native_code=native_code)


class Misconfigured(OmnibusError):
    """A setting is wrong (expired token, unknown host): the account is paused and the operator told."""

    def __init__(self, setting: str, why: str) -> None:
        super().__init__(f"{setting}: {why}")
        self.setting = setting
        self.why = why


class Fenced(OmnibusError):
    """Another process owns this work now: the step is void, the task starts afresh."""


class PublishRejected(OmnibusError):
    """Nothing of the publish call is stored: the caller may give up or send it again."""


class PublishUnknown(OmnibusError):
    """Some of the publish call may be stored: the caller sends it again with the same ids."""


class TopicMismatch(OmnibusError):
    """A topic exists with other settings than this installation needs: start-up refuses."""


class Overloaded(OmnibusError):
    """A bounded queue is full: the front door answers 503 with `after` as Retry-After."""

    def __init__(self, why: str, *, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(why)
        self.after = after


class OutOfRange(OmnibusError):
    """A stored position is no longer in the log: the runner stops loudly instead of skipping to the end."""
