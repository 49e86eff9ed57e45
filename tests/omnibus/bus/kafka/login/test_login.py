"""Encryption and login against a real broker: every mechanism does a stage's whole work, and what is wrong is said."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from omnibus.bus.kafka import Access
from omnibus.bus.open import open_bus
from omnibus.bus.port import Out, Record, StageSpec, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.cli.settings import configuration
from omnibus.errors import Misconfigured
from omnibus.stage.contract import Ctx, Timer

if TYPE_CHECKING:
    from omnibus.bus.kafka import KafkaBus
    from tests.omnibus.bus.kafka.login.conftest import Section, Secured

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]
PASSWORD = "invented-password"
Opened = Callable[..., Any]


class Pass:
    """Lets everything through."""

    def __init__(self, to: str) -> None:
        self._to = to

    def process(self, record: Record, ctx: Ctx) -> None:
        ctx.emit(Out(self._to, record.key, record.value))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("it sets none")


@pytest.fixture
def opened(secured: Secured, tmp_path: Path) -> Opened:
    """A bus as the configuration file asks for it."""

    @asynccontextmanager
    async def bus(listener: str, **kafka: Any) -> AsyncIterator[KafkaBus]:
        prefix = f"safe{uuid.uuid4().hex[:8]}"
        file = tmp_path / f"{prefix}.yaml"
        content = {"bus": f"kafka://127.0.0.1:{secured.ports[listener]}", "prefix": prefix,
                   "kafka": {"state": str(tmp_path / "state"), **kafka}}  # fmt: skip
        file.write_text(yaml.safe_dump(content), "utf-8")
        config = configuration(file, env={})
        made = cast("KafkaBus", open_bus(config.bus, Topics(config.prefix), None, config.kafka))
        await made.open()
        try:
            yield made
        finally:
            await made.close(5.0)

    return bus


async def works(bus: KafkaBus) -> None:
    """Topics, publishing, a group, transactions, a changelog and reading: all that needs a right."""
    prefix = bus.core.prefix
    names = [f"{prefix}.in", f"{prefix}.out", f"{prefix}.dead"]
    await bus.ensure_topics([TopicSpec(name=name, partitions=2, retention_ms=60_000) for name in names])
    runner = bus.run_stage(StageSpec(name="pass", inputs=(names[0],)), lambda task: Pass(names[1]))
    await runner.start()
    publisher = bus.publisher("p")
    await publisher.publish([Out(names[0], b"%d" % n, b"hello") for n in range(20)])
    await publisher.cursor("mailbox")
    await publisher.publish_with_cursor([Out(names[0], b"21", b"hello")], "mailbox", b"uid 1")
    ends = time.monotonic() + 60
    while sum([len(await bus.read(names[1], partition, 0)) for partition in range(2)]) < 21:
        assert time.monotonic() < ends, runner.health
        await asyncio.sleep(0.05)
    while not (lags := await bus.lag("pass")) or any(lags.values()):
        assert time.monotonic() < ends, lags
        await asyncio.sleep(0.05)


def login(mechanism: str, password: str = PASSWORD, user: str = "omnibus") -> dict[str, str]:
    return {"mechanism": mechanism, "username": user, "password": password}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_over_tls_does_a_stages_work(opened: Opened, tls: Section, mechanism: str) -> None:
    """With no more rights than docs/guide/kafka.md asks for."""
    async with opened("LOGIN", tls=tls(), sasl=login(mechanism)) as bus:
        await works(bus)


async def test_a_token_over_tls_does_a_stages_work(opened: Opened, tls: Section, secured: Secured) -> None:
    """A token signed by an issuer whose keys the broker knows, with its audience."""
    sasl = {"mechanism": "OAUTHBEARER", "token_file": str(secured.token_file())}
    async with opened("LOGIN", tls=tls(), sasl=sasl) as bus:
        await works(bus)


async def test_a_certificate_of_ours_is_a_login(opened: Opened, tls: Section) -> None:
    async with opened("MUTUAL", tls=tls(certificate="client.pem")) as bus:
        await works(bus)


async def test_a_login_without_encryption_works_where_it_must(opened: Opened) -> None:
    async with opened("CLEAR", sasl=login("SCRAM-SHA-256")) as bus:
        await works(bus)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_a_sentence(opened: Opened, tls: Section, mechanism: str) -> None:
    with pytest.raises(Misconfigured, match=f"^kafka.sasl: 127.0.0.1:.* refuses the login as omnibus by {mechanism}: "):
        async with opened("LOGIN", tls=tls(), sasl=login(mechanism, "wrong")):
            pass


@pytest.mark.parametrize("options", [{"lasts": dt.timedelta(hours=-1)}, {"audience": "somebody.example.net"}])
async def test_a_token_that_does_not_count_is_a_sentence(
    opened: Opened, tls: Section, secured: Secured, options: dict[str, Any]
) -> None:
    """One that has expired, and one for somebody else."""
    sasl = {"mechanism": "OAUTHBEARER", "token_file": str(secured.token_file(**options))}
    with pytest.raises(Misconfigured, match=r"^kafka.sasl.token_file: .* refuses the token"):
        async with opened("LOGIN", tls=tls(), sasl=sasl):
            pass


async def test_a_mechanism_that_is_not_offered_is_a_sentence(opened: Opened) -> None:
    with pytest.raises(Misconfigured, match=r"^kafka.sasl.mechanism: .* does not offer SCRAM-SHA-512"):
        async with opened("CLEAR", sasl=login("SCRAM-SHA-512")):
            pass


async def test_a_token_file_that_is_gone_is_a_sentence(opened: Opened, tls: Section, tmp_path: Path) -> None:
    sasl = {"mechanism": "OAUTHBEARER", "token_file": str(tmp_path / "gone")}
    with pytest.raises(Misconfigured, match=r"kafka.sasl.token_file: .*No such file"):
        async with opened("LOGIN", tls=tls(), sasl=sasl):
            pass


@pytest.mark.parametrize(
    ("listener", "ca", "said"),
    [
        ("LOGIN", "other-ca.pem", r"^kafka.tls.ca_file: no authority that .*other-ca.pem holds has signed"),
        ("EXPIRED", "ca.pem", r"^kafka.tls: the certificate of 127.0.0.1:\d+ has expired"),
        ("ELSEWHERE", "ca.pem", r"^kafka.tls: the certificate of 127.0.0.1:\d+ is for another name"),
    ],
)
async def test_a_certificate_that_does_not_count_is_a_sentence(
    opened: Opened, tls: Section, listener: str, ca: str, said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        async with opened(listener, tls=tls(ca), sasl=login("PLAIN")):
            pass


@pytest.mark.parametrize("certificate", [{"certificate": "stranger.pem"}, {}])
async def test_a_broker_that_wants_a_certificate_says_so(
    opened: Opened, tls: Section, certificate: dict[str, str]
) -> None:
    """Of a stranger's authority, or none at all: with TLS 1.3 this is learnt after the connection is there."""
    with pytest.raises(Misconfigured, match=r"^kafka.* certificate"):
        async with opened("MUTUAL", tls=tls(**certificate)):
            pass


async def test_no_encryption_where_it_is_wanted_is_a_sentence(opened: Opened) -> None:
    with pytest.raises(Misconfigured, match=r"^kafka: .* may want TLS"):
        async with opened("LOGIN", sasl=login("PLAIN")):
            pass


async def test_encryption_where_there_is_none_is_a_sentence(opened: Opened, tls: Section) -> None:
    with pytest.raises(Misconfigured, match=r"^kafka.tls: .* does not speak TLS"):
        async with opened("CLEAR", tls=tls(), sasl=login("PLAIN")):
            pass


async def test_no_login_where_one_is_wanted_is_a_sentence(opened: Opened, tls: Section) -> None:
    with pytest.raises(Misconfigured, match=r"^kafka: .* may want a login"):
        async with opened("LOGIN", tls=tls()):
            pass


async def test_somebody_without_rights_is_told_what_is_not_allowed(opened: Opened, tls: Section) -> None:
    async with opened("LOGIN", tls=tls(), sasl=login("PLAIN", user="guest")) as bus:
        with pytest.raises(Exception, match="TOPIC_AUTHORIZATION_FAILED"):
            await bus.ensure_topics([TopicSpec(name=f"{bus.core.prefix}.in", partitions=1)])


def test_an_access_never_shows_its_password() -> None:
    assert PASSWORD not in repr(Access(mechanism="PLAIN", username="omnibus", password=PASSWORD))
