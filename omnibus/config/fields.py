"""The canonical field types of settings, so that the same thing has the same word in every channel and sink.

A settings class is ``class TelegramSettings(Settings, frozen=True, kw_only=True)`` with fields such as
``bot_token: Annotated[BotToken, described("From @BotFather.", example="123456:AAE...")]``.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from omnibus.telemetry.redact import MASK, remember

WRITTEN_AS = "x-written-as"
"""Key in the JSON Schema of values that a person writes in another form than JSON has: duration, size."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every settings class: immutable, by keyword, and an unknown key is an error.

    Subclasses repeat ``frozen=True, kw_only=True``: both are options of a class, not of its descendants.
    """


class Reader(msgspec.Struct, frozen=True):
    """How a scalar becomes a value: what it is in words, examples that are accepted, and the function.

    `parse` gets the scalar (text, or a number where YAML has one) and raises ValueError when it is none.
    """

    words: str
    accepted: str
    parse: Callable[[Any], Any]


def described(text: str, *, example: str | None = None) -> msgspec.Meta:
    """The description of a settings field, for the reference page and for messages."""
    return msgspec.Meta(description=text, examples=None if example is None else [example])


def read_by(reader: Reader, *, written_as: str = "", format: str = "") -> msgspec.Meta:  # noqa: A002 - JSON Schema's word
    """Mark an annotated type as read by `reader`; `format` and `written_as` describe it in the JSON Schema."""
    schema = {key: value for key, value in (("format", format), (WRITTEN_AS, written_as)) if value}
    return msgspec.Meta(extra={"reader": reader}, extra_json_schema=schema or None)


def between(low: str, high: str) -> msgspec.Meta:
    """Bounds of a Duration or a Size, in its own words: ``Annotated[Duration, between("1s", "1d")]``."""
    return msgspec.Meta(extra={"between": (low, high)})


# -- parsing -----------------------------------------------------------------------------------------------------------

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SHORT = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,6})?(?:ms|s|m|h|d|w))+")
_SHORT_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d|w)")
_ISO = re.compile(
    r"P(?=.)(?:(?P<w>[0-9]{1,9})W)?(?:(?P<d>[0-9]{1,9})D)?"
    r"(?:T(?=.)(?:(?P<h>[0-9]{1,9})H)?(?:(?P<m>[0-9]{1,9})M)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,6})?)S)?)?"
)
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([kKMGT]?)(i?)[bB]?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_EMAIL = re.compile(r"[^\s@<>\",;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}")
_LONGEST = timedelta(days=36_500)


def parse_duration(value: str | float) -> timedelta:
    """``15m``, ``1h30m``, ``250ms``, ISO 8601 ``PT15M``, or a number of seconds. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError
    seconds = _seconds(value.strip()) if isinstance(value, str) else float(value)
    if not 0 <= seconds <= _LONGEST.total_seconds():
        raise ValueError
    return timedelta(seconds=seconds)


def _seconds(text: str) -> float:
    if _SHORT.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _SHORT_PART.findall(text))
    if iso := _ISO.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for unit, number in iso.groupdict().items() if number)
    return float(text)


def duration_words(value: timedelta) -> str:
    """A duration as it is written in a configuration: ``1h30m``."""
    left, words = round(value.total_seconds() * 1000), ""
    for unit, ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, ms)
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def parse_size(value: str | int) -> int:
    """Bytes: ``25MB`` (millions), ``256KiB`` (1024s), or a whole number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError
    number, power, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[power.lower()])


def size_words(size: int) -> str:
    """A size as it is written in a configuration: ``10MB``."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def parse_url(value: str) -> str:
    """An http or https address with a host. Raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or not value.isprintable():
        raise ValueError
    if " " in value:
        raise ValueError
    return value


def parse_bus_url(value: str) -> str:
    """``embedded:./folder`` or ``kafka://host:9092[,host:9092]``. Raises ValueError."""
    if value.startswith("embedded:") and value != "embedded:":
        return value
    if not value.startswith("kafka://"):
        raise ValueError
    for server in value.removeprefix("kafka://").split(","):
        HostPort.parse(server)
    return value


def parse_blobs_url(value: str) -> str:
    """``file:./folder``, ``s3://bucket/prefix``, ``gs://...`` or ``az://...``. Raises ValueError."""
    scheme, _, rest = value.partition(":")
    if (scheme == "file" and rest) or (scheme in ("s3", "gs", "az") and rest.removeprefix("//").strip("/")):
        return value
    raise ValueError


def parse_host(value: str) -> str:
    """A host name or an IP address. Raises ValueError."""
    return value if _HOST.fullmatch(value) else str(ip_address(value))


def parse_regex(value: str) -> str:
    """A pattern in RE2's syntax, which matches in linear time. Raises ValueError."""
    import re2  # a C++ extension, loaded only where a pattern is configured

    try:
        re2.compile(value)
    except re2.error as error:
        raise ValueError(str(error)) from None
    return value


def parse_time_zone(value: str) -> str:
    """A name of the IANA time zone database. Raises ValueError."""
    try:
        ZoneInfo(value)
    except (KeyError, OSError) as unknown:
        raise ValueError from unknown
    return value


def parse_network(value: str) -> str:
    """An IP address or network, ``10.0.0.0/8``. Raises ValueError."""
    ip_network(value, strict=False)
    return value


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError
        return value

    return parse


# -- types -------------------------------------------------------------------------------------------------------------


class Secret:
    """A value that is never shown: printing, formatting, JSON and pickling give ``***`` or refuse. `reveal()` gives it.

    Every secret is remembered by the redaction of logs from the moment it is made.
    """

    __slots__ = ("_value",)
    READER: ClassVar[Reader]

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret cannot be empty")
        self._value = value
        remember(value)

    @classmethod
    def parse(cls, value: str) -> Self:
        return cls(value)

    def reveal(self) -> str:
        """The value itself, to be handed to the other side and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


class HostPort:
    """A host and a port, written ``host:9092`` or ``[::1]:9092``."""

    __slots__ = ("host", "port")
    READER: ClassVar[Reader]

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @classmethod
    def parse(cls, value: str) -> Self:
        host, _, port = value.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (_HOST.fullmatch(host) or (bare != host and ":" in bare)) or not port.isascii() or not port.isdigit():
            raise ValueError
        if not 1 <= int(port[:6]) <= 65_535:
            raise ValueError
        return cls(bare, int(port))

    def __repr__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostPort) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))


Secret.READER = Reader("a secret", "text that is not empty; better ${NAME} than the value itself", Secret.parse)
HostPort.READER = Reader("a host and port", "such as kafka.example.com:9092", HostPort.parse)
DURATION = Reader("a duration", "such as 250ms, 15m, 1h30m, PT15M, or seconds", parse_duration)

Duration = Annotated[timedelta, read_by(DURATION, written_as="duration")]
Size = Annotated[
    int,
    read_by(Reader("a size", "such as 256KB, 25MB, 1GiB, or bytes", parse_size), written_as="size"),
]
Url = Annotated[str, read_by(Reader("a web address", "http:// or https:// and a host", parse_url), format="uri")]
BusUrl = Annotated[
    str, read_by(Reader("a bus address", "embedded:./folder or kafka://host:9092[,host:9092]", parse_bus_url))
]
BlobsUrl = Annotated[
    str, read_by(Reader("a blob store address", "file:./folder, s3://, gs:// or az:// and a bucket", parse_blobs_url))
]
EmailAddress = Annotated[
    str, read_by(Reader("an e-mail address", "such as help@example.com", _matching(_EMAIL)), format="email")
]
PhoneNumber = Annotated[
    str, read_by(Reader("a phone number", "E.164, such as +12025550123; quote it", _matching(_PHONE)))
]
Host = Annotated[str, read_by(Reader("a host name", "such as imap.example.com", parse_host))]
Regex = Annotated[str, read_by(Reader("a regular expression", "RE2 syntax", parse_regex), format="regex")]
TimeZone = Annotated[str, read_by(Reader("a time zone", "IANA names such as America/Sao_Paulo", parse_time_zone))]
Network = Annotated[str, read_by(Reader("an IP address or network", "such as 10.0.0.0/8 or ::1", parse_network))]
FilePath = Annotated[Path, read_by(Reader("a path", "relative to where Omnibus is started", Path))]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]

# Secrets by the names they have in every channel.
ApiKey = Annotated[Secret, described("Key that identifies us to the provider's API.")]
AccessToken = Annotated[Secret, described("Token that lets us call the provider's API.")]
AppSecret = Annotated[Secret, described("Secret of the app; the provider signs its webhooks with it.")]
BotToken = Annotated[Secret, described("Token of the bot.")]
ClientSecret = Annotated[Secret, described("OAuth client secret.")]
Password = Annotated[Secret, described("Password of the account.")]
RefreshToken = Annotated[Secret, described("OAuth refresh token.")]
SigningSecret = Annotated[Secret, described("Secret the provider signs its requests with.")]
VerifyToken = Annotated[Secret, described("Token the provider repeats when it verifies the webhook address.")]
WebhookSecret = Annotated[Secret, described("Secret that shows a webhook request comes from the provider.")]

PollEvery = Annotated[Duration, described("How often to ask the provider for news.", example="30s")]
Timeout = Annotated[Duration, described("How long to wait for an answer.", example="30s")]
ApiUrl = Annotated[Url, described("Address of the provider's API; another one for tests and proxies.")]
