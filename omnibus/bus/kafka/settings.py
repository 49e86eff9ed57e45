"""From the configuration's section to a bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from omnibus.blobs import BlobStore
from omnibus.bus.kafka.access import Access
from omnibus.bus.kafka.bus import KafkaBus
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.topics import Topics
from omnibus.config.model import KafkaSettings
from omnibus.errors import Misconfigured


def configured(
    addresses: Sequence[str],
    topics: Topics,
    blobs: BlobStore | None,
    settings: KafkaSettings | None,
    *,
    skip_lost: bool = False,
) -> KafkaBus:
    """The bus as the operator wants it. Raises Misconfigured for a login that lacks something."""
    if settings is None:
        return KafkaBus(addresses, topics=topics, blobs=blobs, limits=Limits(skip_lost=skip_lost))
    access = access_of(settings)
    access.client_arguments()  # what is wrong is said before anything is opened
    return KafkaBus(
        addresses,
        topics=topics,
        blobs=blobs,
        access=access,
        limits=limits_of(settings, skip_lost=skip_lost),
        application=settings.application,
        state_dir=settings.state,
    )


def limits_of(settings: KafkaSettings, *, skip_lost: bool = False) -> Limits:
    """The engine's bounds and paces as the operator wants them."""
    session_ms = int(settings.session_timeout.total_seconds() * 1000)
    least, _ = Limits().commit_interval_ms
    longest = settings.commit_interval.total_seconds() * 1000
    return Limits(
        session_timeout_ms=session_ms,
        heartbeat_ms=min(1_000, session_ms // 4),
        rebalance_timeout_ms=max(25_000, session_ms + 10_000),
        commit_interval_ms=(min(least, longest), longest),
        replication=settings.replication,
        compression=settings.compression,
        skip_lost=skip_lost,
    )


def access_of(settings: KafkaSettings) -> Access:
    tls, sasl = settings.tls, settings.sasl
    return Access(
        tls=tls is not None,
        ca_file=None if tls is None else tls.ca_file,
        certificate_file=None if tls is None else tls.certificate,
        key_file=None if tls is None else tls.key,
        mechanism=None if sasl is None else sasl.mechanism,
        username=None if sasl is None else sasl.username,
        password=None if sasl is None or sasl.password is None else sasl.password.reveal(),
        token=None if sasl is None or sasl.token_file is None else _reader(sasl.token_file),
    )


def _reader(path: Path) -> Callable[[], str]:
    def token() -> str:
        try:
            return path.read_text("utf-8").strip()
        except OSError as error:
            raise Misconfigured("kafka.sasl.token_file", str(error)) from error

    return token
