"""librdkafka's mock cluster (https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h): brokers that
answer with any error on command. It does not fence and does not hide what was aborted; a real broker shows those."""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import msgspec
import pytest

from omnibus.bus.kafka import KafkaBus, Limits
from omnibus.bus.kafka.access import Access
from omnibus.bus.kafka.wire import Wire
from omnibus.bus.topics import Topics
from omnibus.testing.kafka import cluster

MakeBus = Callable[..., Awaitable[KafkaBus]]

PRODUCE, ADD_PARTITIONS, ADD_OFFSETS, END, INIT, COMMIT_OFFSETS = 0, 24, 25, 26, 22, 28
_ERROR_BYTES = 512


class MockCluster:
    """Brokers inside this process."""

    def __init__(self) -> None:
        self._lib = _library()
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        configuration = self._lib.rd_kafka_conf_new()
        self._lib.rd_kafka_conf_set(configuration, b"log_level", b"0", error, _ERROR_BYTES)
        self._client = self._lib.rd_kafka_new(0, configuration, error, _ERROR_BYTES)
        assert self._client, error.value
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        self.addresses = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(",")
        self._lib.rd_kafka_mock_start_request_tracking(self._cluster)

    def make_topic(self, name: str, partitions: int) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def fail(self, api: int, *codes: int) -> None:
        """The next requests of that kind are answered with these errors."""
        errors = (ctypes.c_int * len(codes))(*codes)
        self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, api, len(codes), errors)

    def asked(self) -> list[int]:
        """The kinds of all requests so far."""
        count = ctypes.c_size_t()
        requests = self._lib.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        found = [int(self._lib.rd_kafka_mock_request_api_key(requests[n])) for n in range(count.value)]
        self._lib.rd_kafka_mock_request_destroy_array(requests, count)
        return found

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


def _library() -> Any:
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    (file,) = folder.glob("librdkafka*.so*")
    lib = ctypes.CDLL(str(file))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    lib.rd_kafka_conf_set.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 3, ctypes.c_size_t]
    lib.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    lib.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    lib.rd_kafka_mock_push_request_errors_array.argtypes = [
        ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)
    ]  # fmt: skip
    lib.rd_kafka_mock_get_requests.restype = ctypes.POINTER(ctypes.c_void_p)
    lib.rd_kafka_mock_get_requests.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
    lib.rd_kafka_mock_request_api_key.argtypes = [ctypes.c_void_p]
    lib.rd_kafka_mock_request_api_key.restype = ctypes.c_int16
    lib.rd_kafka_mock_request_destroy_array.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t]
    for name in ("rd_kafka_mock_start_request_tracking", "rd_kafka_mock_cluster_destroy", "rd_kafka_destroy",
                 "rd_kafka_mock_cluster_bootstraps"):  # fmt: skip
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    return lib


@pytest.fixture
def mock() -> Iterator[MockCluster]:
    made = MockCluster()
    yield made
    made.close()


@pytest.fixture
async def wire(mock: MockCluster) -> AsyncIterator[Wire]:
    made = Wire(mock.addresses, Access(), 5.0, "test")
    await made.open()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[list[str]]:
    """The addresses of a real broker."""
    with cluster() as running:
        yield running.addresses


@pytest.fixture
async def make_bus(broker: list[str], tmp_path: Path) -> AsyncIterator[MakeBus]:
    """Open buses of one application that no other test has; without a name they share one folder for state."""
    application = f"kafka-{uuid.uuid4().hex[:12]}"
    opened: list[KafkaBus] = []

    async def make(state: str = "state", **limits: Any) -> KafkaBus:
        settings = {"session_timeout_ms": 2_000, "heartbeat_ms": 200, "report_every_s": 0.02} | limits
        bus = KafkaBus(
            broker, topics=Topics(application), limits=msgspec.convert(settings, Limits), state_dir=tmp_path / state
        )
        await bus.open()
        opened.append(bus)
        return bus

    yield make
    for bus in opened:
        await bus.close(5.0)
