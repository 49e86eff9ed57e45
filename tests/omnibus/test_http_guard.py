"""The circuit breaker stops calling what keeps failing; the rate limit keeps the pace; neither forgets."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from omnibus.errors import Refused, TryAgain
from omnibus.http_guard import Breaker, RateLimit, is_public


class Hands:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def fail(breaker: Breaker, times: int, destination: str = "api.example.com") -> None:
    for _ in range(times):
        with pytest.raises(TryAgain, match="HTTP 503"), breaker.guard(destination):
            raise TryAgain("HTTP 503")


def call(breaker: Breaker, destination: str = "api.example.com") -> None:
    with breaker.guard(destination):
        pass


def test_failures_in_a_row_open_the_circuit_for_that_destination_only() -> None:
    breaker = Breaker(failures=3, rest=timedelta(seconds=30), monotonic=Hands())
    fail(breaker, 3)

    with pytest.raises(TryAgain, match="keeps failing") as turned_away:
        call(breaker)
    assert turned_away.value.after == timedelta(seconds=30)
    assert breaker.is_open("api.example.com")
    call(breaker, "other.example.com")


def test_one_good_answer_forgets_the_failures() -> None:
    breaker = Breaker(failures=3, monotonic=Hands())
    fail(breaker, 2)
    call(breaker)
    fail(breaker, 2)

    assert not breaker.is_open("api.example.com")


def test_a_refusal_is_an_answer() -> None:
    breaker = Breaker(failures=1, monotonic=Hands())
    with pytest.raises(Refused), breaker.guard("api.example.com"):
        raise Refused("NO_PERMISSION", "HTTP 403")

    assert not breaker.is_open("api.example.com")


def test_after_a_rest_one_probe_passes_and_closes_the_circuit() -> None:
    hands = Hands()
    breaker = Breaker(failures=2, rest=timedelta(seconds=30), monotonic=hands)
    fail(breaker, 2)
    hands.at += 30

    with breaker.guard("api.example.com"), pytest.raises(TryAgain, match="keeps failing"):
        call(breaker)
    call(breaker)

    assert not breaker.is_open("api.example.com")


def test_a_failed_probe_opens_the_circuit_again() -> None:
    hands = Hands()
    breaker = Breaker(failures=2, rest=timedelta(seconds=30), monotonic=hands)
    fail(breaker, 2)
    hands.at += 30
    fail(breaker, 1)

    with pytest.raises(TryAgain, match="keeps failing"):
        call(breaker)


def test_a_cancelled_probe_leaves_room_for_the_next() -> None:
    hands = Hands()
    breaker = Breaker(failures=1, rest=timedelta(seconds=30), monotonic=hands)
    fail(breaker, 1)
    hands.at += 30
    with pytest.raises(asyncio.CancelledError), breaker.guard("api.example.com"):
        raise asyncio.CancelledError

    call(breaker)


async def test_a_burst_passes_at_once_and_the_rest_waits_its_turn() -> None:
    hands = Hands()
    limit = RateLimit(10, burst=3, monotonic=hands, sleep=hands.sleep)

    for _ in range(5):
        await limit.acquire()

    assert hands.at == pytest.approx(100.2)


async def test_those_who_wait_go_in_the_order_they_came() -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    limit = RateLimit(2, monotonic=Hands(), sleep=note)
    await asyncio.gather(*(limit.acquire() for _ in range(4)))

    assert waits == pytest.approx([0.5, 1.0, 1.5])


async def test_giving_up_gives_the_turn_back() -> None:
    async def give_up(seconds: float) -> None:
        raise asyncio.CancelledError

    limit = RateLimit(1, monotonic=Hands(), sleep=give_up)
    await limit.acquire()
    with pytest.raises(asyncio.CancelledError):
        await limit.acquire()

    assert limit.delay() == timedelta(seconds=1)


def test_asking_for_the_delay_takes_only_what_is_there() -> None:
    hands = Hands()
    limit = RateLimit(4, burst=2, monotonic=hands)

    assert [limit.delay(), limit.delay(), limit.delay()] == [None, None, timedelta(seconds=0.25)]
    hands.at += 0.25
    assert limit.delay() is None


def test_tokens_do_not_pile_up_beyond_the_burst() -> None:
    hands = Hands()
    limit = RateLimit(100, burst=2, monotonic=hands)
    hands.at += 3600

    assert [limit.delay() is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_never_lets_anything_through_is_a_mistake(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive rate"):
        RateLimit(rate, burst)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2001:0:7f00:1::", "2002:a00:1::1", "64:ff9b::a00:1"])
def test_inner_addresses_in_disguise_are_not_public(address: str) -> None:
    assert not is_public(address)
