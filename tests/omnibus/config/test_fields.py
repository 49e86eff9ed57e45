"""The words of settings: durations, sizes, addresses and secrets, each read in one way only."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.config.fields import (
    HostPort,
    Secret,
    duration_words,
    parse_blobs_url,
    parse_bus_url,
    parse_duration,
    parse_host,
    parse_regex,
    parse_size,
    parse_time_zone,
    parse_url,
    size_words,
)
from omnibus.telemetry.redact import masked


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("15m", 900), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172_800), ("1w", 604_800), ("1.5h", 5400), ("0s", 0),
        ("PT15M", 900), ("P1DT2H", 93_600), ("P2W", 1_209_600), ("PT0.5S", 0.5), ("30", 30), (30, 30), (0.5, 0.5),
    ],
)  # fmt: skip
def test_durations_are_written_in_several_ways(written: str | float, seconds: float) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "15x", "m", "-3s", "P", "PT", "1h-3m", "nan", "inf", "9" * 12 + "w", "1 h", True]
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(written)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_reads_as_it_was_written(ms: int) -> None:
    value = timedelta(milliseconds=ms)
    assert parse_duration(duration_words(value)) == value


@pytest.mark.parametrize(
    ("written", "size"),
    [("25MB", 25_000_000), ("256KB", 256_000), ("1GiB", 2**30), ("1.5k", 1500), ("10 MB", 10**7), ("77", 77), (5, 5)],
)
def test_sizes_are_written_with_units(written: str | int, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "MB", "1XB", "-1", -1, True, "1e9", "9" * 20])
def test_what_is_no_size_is_refused(written: str | int) -> None:
    with pytest.raises(ValueError):
        parse_size(written)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_size_reads_as_it_was_written(size: int) -> None:
    assert parse_size(size_words(size)) == size


@pytest.mark.parametrize("written", ["kafka.example.com:9092", "127.0.0.1:1", "[::1]:65535"])
def test_a_host_and_port_reads_as_it_was_written(written: str) -> None:
    assert repr(HostPort.parse(written)) == written


@pytest.mark.parametrize("written", ["", "a", "a:", ":1", "a:0", "a:65536", "::1:1", "[a]:1", "a b:1", "a:1x", "a:²"])
def test_what_is_no_host_and_port_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        HostPort.parse(written)


def test_addresses_are_checked_by_their_kind() -> None:
    assert parse_url("https://in.example.com/hook") == "https://in.example.com/hook"
    assert parse_bus_url("kafka://a:9092,b:9093") == "kafka://a:9092,b:9093"
    assert parse_blobs_url("s3://bucket/x") == "s3://bucket/x"
    for parse, wrong in (
        (parse_url, "https://"), (parse_url, "ftp://a.example.com"), (parse_url, "https://a b"), (parse_url, "x"),
        (parse_bus_url, "embedded:"), (parse_bus_url, "kafka://a"), (parse_bus_url, "redis://a:1"),
        (parse_blobs_url, "s3://"), (parse_blobs_url, "file:"), (parse_blobs_url, "x"),
        (parse_regex, "a("), (parse_regex, "(?=a)"), (parse_time_zone, "Mars/Base"), (parse_time_zone, "../etc"),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            parse(wrong)


def test_hosts_are_names_or_addresses_of_either_kind() -> None:
    assert [parse_host(host) for host in ("imap.example.com", "0.0.0.0", "::1")] == [
        "imap.example.com",
        "0.0.0.0",
        "::1",
    ]
    with pytest.raises(ValueError, match="does not appear"):
        parse_host("a b")


def test_patterns_and_time_zones_that_are_some_are_taken() -> None:
    assert parse_regex("(?i)boleto|fatura") == "(?i)boleto|fatura"
    assert parse_time_zone("America/Sao_Paulo") == "America/Sao_Paulo"


def test_a_secret_is_not_shown_by_anything_but_reveal() -> None:
    secret = Secret("swordfish-9")

    assert [repr(secret), str(secret), f"{secret}", f"{secret!s:>5}"] == ["***", "***", "***", "  ***"]
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == "swordfish-9"
    with pytest.raises(TypeError, match="cannot be pickled") as refusal:
        pickle.dumps(secret)
    assert "swordfish" not in str(refusal.value)


def test_secrets_compare_and_copy_as_values() -> None:
    secret = Secret("swordfish-9")

    assert secret == Secret("swordfish-9") != Secret("other-9")
    assert secret != "swordfish-9"
    assert len({secret, Secret("swordfish-9")}) == 1
    assert copy.deepcopy([secret]) == [secret]


def test_an_empty_secret_is_none() -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        Secret("")


def test_a_secret_is_masked_wherever_text_passes_from_then_on() -> None:
    Secret("p@ss/word-77")

    assert masked("login with p@ss/word-77 at ?key=p%40ss%2Fword-77") == "login with *** at ?key=***"
