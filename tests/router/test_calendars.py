"""Business hours in zones whose clocks change, with holidays and special days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.errors import Misconfigured
from router.calendars import ALWAYS, Calendar
from router.hours import CalendarSettings, Holidays, calendars_of

HOUR = 3_600_000
DAY = 24 * HOUR


def calendar(
    zone: str = "UTC", hours: dict[str, str] | None = None, days: dict[str, str] | None = None, *holidays: Holidays
) -> Calendar:
    settings = CalendarSettings(
        zone=zone, hours=hours or {"mon-fri": "09:00-18:00"}, days=days or {}, holidays=holidays
    )
    return calendars_of({"c": settings})["c"]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-01-05T09:00", True),
        ("2026-01-05T08:59:59.999", False),
        ("2026-01-05T17:59:59.999", True),
        ("2026-01-05T18:00", False),
        ("2026-01-04T12:00", False),
    ],
)
def test_it_is_open_from_the_first_moment_to_before_the_last(at: str, is_open: bool) -> None:
    assert calendar().is_open(ms(at)) is is_open


def test_open_time_skips_the_night_and_the_weekend() -> None:
    friday = ms("2026-01-09T17:00")

    assert calendar().add(friday, 2 * HOUR) == ms("2026-01-12T10:00")
    assert calendar().open_between(friday, ms("2026-01-12T10:00")) == 2 * HOUR
    assert calendar().next_open(friday + 2 * HOUR) == ms("2026-01-12T09:00")


def test_what_ends_exactly_at_closing_is_due_then_and_not_in_the_morning() -> None:
    assert calendar().add(ms("2026-01-05T17:00"), HOUR) == ms("2026-01-05T18:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),  # clocks go forward at 02:00
        ("America/New_York", "2026-11-01", 25),  # and back
        ("Europe/Lisbon", "2026-03-29", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),  # half an hour
        ("America/Sao_Paulo", "2026-11-01", 24),  # Brazil has given it up
        ("America/Sao_Paulo", "2018-11-04", 23),  # when it had it, midnight was in the gap
    ],
)
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is(zone: str, day: str, hours: float) -> None:
    always = calendar(zone, {"mon-sun": "00:00-24:00"})
    midnight = int(datetime.fromisoformat(day).replace(tzinfo=always.zone).timestamp() * 1000)
    noon_before, noon_after = midnight - 12 * HOUR, midnight + 36 * HOUR
    only = calendar(zone, {"mon-sun": "00:00-24:00"}, {day: "closed"})

    assert always.open_between(noon_before, noon_after) - only.open_between(noon_before, noon_after) == hours * HOUR


def test_hours_are_those_of_the_wall_before_and_after_the_change() -> None:
    new_york = calendar("America/New_York")

    assert new_york.next_open(ms("2026-03-07T00:00")) == ms("2026-03-09T13:00")  # EDT
    assert new_york.next_open(ms("2026-03-05T23:30")) == ms("2026-03-06T14:00")  # EST
    assert new_york.add(ms("2026-03-06T22:00"), 2 * HOUR) == ms("2026-03-09T14:00")


def test_hours_in_the_gap_and_in_the_fold() -> None:
    """02:00 to 03:00 does not exist on the day the clocks go forward, and 01:00 to 02:00 lasts two hours when back."""
    nights = calendar("America/New_York", {"sun": "01:00-03:00"})

    assert nights.open_between(ms("2026-03-08T00:00"), ms("2026-03-09T00:00")) == HOUR
    assert nights.open_between(ms("2026-11-01T00:00"), ms("2026-11-02T00:00")) == 3 * HOUR


def test_hours_may_last_beyond_midnight() -> None:
    night = calendar(hours={"fri": "22:00-06:00"})

    assert night.is_open(ms("2026-01-10T05:59"))
    assert not night.is_open(ms("2026-01-10T06:00"))
    assert night.next_open(ms("2026-01-10T03:00")) == ms("2026-01-10T03:00")
    assert night.add(ms("2026-01-09T20:00"), 8 * HOUR) == ms("2026-01-10T06:00")


def test_holidays_of_country_and_region() -> None:
    sao_paulo = calendar("America/Sao_Paulo", None, None, Holidays(country="BR", region="SP"))
    brazil = calendar("America/Sao_Paulo", None, None, Holidays(country="BR"))

    assert not brazil.is_open(ms("2026-09-07T15:00"))  # independence
    assert brazil.is_open(ms("2026-07-09T15:00"))
    assert not sao_paulo.is_open(ms("2026-07-09T15:00"))  # the state's own
    assert sao_paulo.next_open(ms("2026-12-24T22:00")) == ms("2026-12-28T12:00")


def test_special_days_go_before_holidays_and_those_of_one_year_before_those_of_every() -> None:
    days = {"12-25": "closed", "2026-12-25": "10:00-12:00", "12-24": "09:00-12:00", "02-29": "closed"}
    shop = calendar("America/Sao_Paulo", None, days, Holidays(country="BR"))

    assert shop.is_open(ms("2026-12-25T13:30"))
    assert not shop.is_open(ms("2026-12-24T15:30"))
    assert not shop.is_open(ms("2028-02-29T15:00"))


def test_a_calendar_that_is_never_open_again_has_an_end() -> None:
    days = {f"{month:02}-{day:02}": "closed" for month in range(1, 13) for day in range(1, 32) if _exists(month, day)}
    never = calendar(days={**days, "02-29": "closed"})

    assert never.next_open(ms("2026-01-05T12:00")) is None
    assert never.add(ms("2026-01-05T12:00"), HOUR) > ms("2029-01-01T00:00")
    assert never.open_between(ms("2026-01-05T12:00"), ms("2027-01-05T12:00")) == 0


def _exists(month: int, day: int) -> bool:
    return (datetime(2000, month, 1) + timedelta(days=day - 1)).month == month  # noqa: DTZ001 - a day, no time


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"hours": {}}, r"calendars\.c\.hours: .*at least one day"),
        ({"hours": {"mon-fri": "closed"}}, r"calendars\.c\.hours: .*at least one day"),
        ({"hours": {"moonday-x": "09:00-10:00"}}, r"calendars\.c\.hours\.moonday-x: expected days"),
        ({"hours": {"mon": "9 to 5"}}, r"calendars\.c\.hours\.mon: expected hours"),
        ({"hours": {"mon": "25:00-26:00"}}, r"calendars\.c\.hours\.mon: expected hours"),
        ({"hours": {"mon": "09:00-09:00"}}, r"no time at all"),
        ({"hours": {"mon": "09:00-10:00"}, "days": {"2026-13-01": "closed"}}, r"days\.2026-13-01: expected a day"),
        ({"hours": {"mon": "09:00-10:00"}, "days": {"02-30": "closed"}}, r"days\.02-30: expected a day"),
        ({"hours": {"mon": "09:00-10:00"}, "holidays": (Holidays(country="XX"),)}, r"holidays\.0: .*XX"),
        (
            {"hours": {"mon": "09:00-10:00"}, "holidays": (Holidays(country="BR", region="QQ"),)},
            r"holidays\.0: .*QQ",
        ),
    ],
)
def test_what_is_no_calendar_is_named(fields: dict[str, object], place: str) -> None:
    with pytest.raises(Misconfigured, match=place):
        calendars_of({"c": CalendarSettings(zone="UTC", **fields)})  # type: ignore[arg-type]  # a table of fields


ZONES = ("UTC", "America/New_York", "America/Sao_Paulo", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kathmandu")
TIMES = st.integers(ms("2018-01-01T00:00"), ms("2027-01-01T00:00"))


@given(st.sampled_from(ZONES), TIMES, st.integers(0, 200 * HOUR))
def test_as_much_open_time_has_passed_as_was_added(zone: str, at: int, open_ms: int) -> None:
    cal = calendar(zone, {"mon-thu": "09:00-12:00, 13:00-18:00", "fri-sat": "20:00-02:00"})
    due = cal.add(at, open_ms)

    assert cal.open_between(at, due) == open_ms
    assert due >= at
    if open_ms:
        assert cal.open_between(at, due - 1) == open_ms - 1


@given(st.sampled_from(ZONES), TIMES, st.integers(0, 30 * DAY), st.integers(0, 30 * DAY))
def test_open_time_adds_up(zone: str, at: int, first: int, second: int) -> None:
    cal = calendar(zone)
    middle, end = at + first, at + first + second

    assert cal.open_between(at, middle) + cal.open_between(middle, end) == cal.open_between(at, end)
    opens = cal.next_open(at)
    assert opens is not None
    assert cal.is_open(opens)
    assert cal.open_between(at, opens) == 0


def test_without_a_calendar_all_time_counts() -> None:
    assert ALWAYS.add(5, 10) == 15
    assert ALWAYS.open_between(5, 10) == 5
    assert ALWAYS.is_open(0)
