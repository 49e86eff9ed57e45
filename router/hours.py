"""The section `calendars` of the configuration, as calendars.

``{zone: America/Sao_Paulo, hours: {mon-fri: "09:00-12:00, 13:00-18:00"}, holidays: [{country: BR, region: SP}],
days: {"2026-12-24": "09:00-12:00", "2026-12-31": closed}}``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import msgspec

from omnibus.config.fields import Settings, TimeZone, described
from omnibus.errors import Misconfigured
from router.calendars import DAY_MINUTES, Calendar, Hours

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOSED = "closed"
_SPAN = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]) ?- ?(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00)")
_HOURS = "such as 09:00-18:00, or 09:00-12:00, 13:00-18:00, or closed"
MAX_DAYS = 2_000
_YEARS = (1970, 2100)


class Holidays(Settings, frozen=True, kw_only=True):
    """Public holidays of a place, by ISO 3166 codes."""

    country: Annotated[str, described("Country, ISO 3166-1.", example="BR")]
    region: Annotated[str | None, described("Part of it, ISO 3166-2 without the country.", example="SP")] = None


class CalendarSettings(Settings, frozen=True, kw_only=True):
    """Business hours."""

    zone: Annotated[TimeZone, described("Time zone of the hours.", example="America/Sao_Paulo")]
    hours: Annotated[
        dict[str, str], described("Hours by weekday (mon, sat-sun ...).", example="{mon-fri: '09:00-18:00'}")
    ]
    holidays: Annotated[tuple[Holidays, ...], described("Closed on these holidays.")] = ()
    days: Annotated[dict[str, str], described("Other hours on single days: 2026-12-24, or 12-24 for every year.")] = (
        msgspec.field(default_factory=dict)
    )


def calendars_of(section: Mapping[str, CalendarSettings] | None) -> dict[str, Calendar]:
    """The calendars of the section. Raises Misconfigured with the path of the first wrong value."""
    return {name: _calendar(name, settings) for name, settings in (section or {}).items()}


def _calendar(name: str, settings: CalendarSettings) -> Calendar:
    place = f"calendars.{name}"
    week = _week(f"{place}.hours", settings.hours)
    if not any(week):
        raise Misconfigured(f"{place}.hours", "a calendar needs at least one day on which it is open")
    return Calendar(
        name,
        settings.zone,
        week,
        _special(f"{place}.days", settings.days),
        _holiday(f"{place}.holidays", settings.holidays),
    )


def _week(place: str, hours: Mapping[str, str]) -> list[Hours]:
    week: list[Hours] = [()] * 7
    for days, text in hours.items():
        for day in _weekdays(place, days):
            week[day] = _merged(week[day] + hours_of(f"{place}.{days}", text))
    return week


def _weekdays(place: str, days: str) -> Iterable[int]:
    first, dash, last = (part.strip()[:3].lower() for part in days.partition("-"))
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise Misconfigured(f"{place}.{days}", f"expected days such as mon, mon-fri or sat-sun, got {days[:40]!r}")
    begin = WEEKDAYS.index(first)
    length = (WEEKDAYS.index(last) - begin) % 7 + 1 if dash else 1
    return [(begin + offset) % 7 for offset in range(length)]


def hours_of(place: str, text: str) -> Hours:
    """The hours of a text such as ``09:00-12:00, 13:00-18:00``. Raises Misconfigured."""
    if text.strip().lower() == CLOSED:
        return ()
    spans = []
    for part in text.split(","):
        found = _SPAN.fullmatch(part.strip())
        if found is None:
            raise Misconfigured(place, f"expected hours {_HOURS}; got {part.strip()[:40]!r}")
        begin = int(found[1]) * 60 + int(found[2])
        end = DAY_MINUTES if found[3] is None else int(found[3]) * 60 + int(found[4])
        if end == begin:
            raise Misconfigured(place, f"{part.strip()} is no time at all; a whole day is 00:00-24:00")
        spans.append((begin, end if end > begin else end + DAY_MINUTES))
    return _merged(tuple(spans))


def _merged(spans: Hours) -> Hours:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _special(place: str, days: Mapping[str, str]) -> Mapping[date, Hours]:
    if len(days) > MAX_DAYS:
        raise Misconfigured(place, f"more than {MAX_DAYS} days")
    special: dict[date, Hours] = {}
    for day, text in sorted(days.items()):  # days of every year first, so that one of a single year goes before them
        hours = hours_of(f"{place}.{day}", text)
        special.update(dict.fromkeys(_dates(f"{place}.{day}", day), hours))
    return special


def _dates(place: str, day: str) -> list[date]:
    try:
        if day.count("-") == 1:
            month, number = map(int, day.split("-"))
            return [date(year, month, number) for year in range(*_YEARS) if _exists(year, month, number)]
        return [date.fromisoformat(day)]
    except ValueError:
        raise Misconfigured(place, f"expected a day such as 2026-12-24 or 12-24, got {day[:40]!r}") from None


def _exists(year: int, month: int, day: int) -> bool:
    if (month, day) == (2, 29):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    date(2_000, month, day)  # raises ValueError for a day no year has
    return True


def _holiday(place: str, wanted: Iterable[Holidays]) -> Callable[[date], bool]:
    tables = [_table(f"{place}.{index}", one.country, one.region) for index, one in enumerate(wanted)]
    return lambda day: any(day in table for table in tables)


def _table(place: str, country: str, region: str | None) -> Any:
    try:
        return _public_holidays(country.upper(), region)
    except ImportError:
        why = "needs the package `holidays`: pip install 'omnibus[holidays]'"
        raise Misconfigured(place, why) from None
    except NotImplementedError as unknown:
        raise Misconfigured(place, " ".join(str(unknown).split())[:300]) from None


@cache
def _public_holidays(country: str, region: str | None) -> Any:
    """The days of a place; a year is worked out when it is first asked for. Imported here: many need no holidays."""
    return import_module("holidays").country_holidays(country, subdiv=region)
