"""A real Apache Kafka for tests and benchmarks, from its Maven artifacts: free ports, gone with its parent.

``KAFKA_BOOTSTRAP_SERVERS`` names an existing cluster instead. Without Maven or Java a running Docker engine is used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from omnibus.testing.ports import free_ports

ROOT = Path(__file__).parents[2]
CI = ROOT / "ci" / "kafka"
VERSION = os.environ.get("OMNIBUS_KAFKA_VERSION", "4.3.1")
_CLUSTER_ID = "T21uaWJ1c1Rlc3RDbHVzdA"
_READY = "Kafka Server started"
_START_S = 90.0
_IMAGE = "apache/kafka:4.1.0"


class NoKafka(RuntimeError):
    """There is no way to get a broker here; the message says which ways there are."""


class Node:
    """One broker process."""

    def __init__(self, number: int, port: int, folder: Path, command: list[str]) -> None:
        self.number = number
        self.port = port
        self._folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin; `wait` for it to be ready."""
        with (self._folder / "out.log").open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                self._command, stdout=out, stderr=subprocess.STDOUT, cwd=self._folder
            )

    def wait(self) -> None:
        """Raises NoKafka with the end of the broker's log when it does not start."""
        ends = time.monotonic() + _START_S
        while _READY not in self.log():
            if self._process is None or self._process.poll() is not None or time.monotonic() > ends:
                raise NoKafka(f"Kafka node {self.number} did not start; its log ends with:\n{self.log()[-3_000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        return (self._folder / "out.log").read_text("utf-8", "replace")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


class Cluster:
    """Running nodes."""

    def __init__(self, nodes: list[Node], addresses: list[str]) -> None:
        self.nodes = nodes
        self.addresses = addresses

    def node(self, number: int) -> Node:
        return next(node for node in self.nodes if node.number == number)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


@contextmanager
def cluster(
    nodes: int = 1,
    *,
    version: str = VERSION,
    more: Mapping[str, str] | None = None,
    listeners: Mapping[str, int] | None = None,
    java: Sequence[str] = (),
) -> Iterator[Cluster]:
    """A cluster with nothing in it (an existing one as it is).

    `more` are further broker settings, `listeners` further listeners of a single node with their ports, and `java`
    options of its machine.
    """
    existing = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if existing and not more and nodes == 1:
        yield Cluster([], existing.split(","))
        return
    if shutil.which("java") is None or (shutil.which("mvn") is None and not _libs(version).is_dir()):
        if more:
            raise NoKafka("a broker with settings of its own needs Java 17 and Maven")
        with _in_docker(nodes) as found:
            yield found
        return
    libs = _fetched(version)
    with tempfile.TemporaryDirectory(prefix="omnibus-kafka-") as folder:
        running = _nodes(nodes, version, libs, Path(folder), more or {}, listeners or {}, java)
        try:
            for node in running:
                node.start()
            for node in running:
                node.wait()
            yield Cluster(running, [node.address for node in running])
        finally:
            for node in running:
                node.kill()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command line


# --- the artifacts --------------------------------------------------------------------------------


def _libs(version: str) -> Path:
    return ROOT / ".kafka" / version / "libs"


def _fetched(version: str) -> Path:
    """The jars, fetched once for all processes of this checkout."""
    libs = _libs(version)
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libs.is_dir():
            part = libs.with_name("libs.part")
            shutil.rmtree(part, ignore_errors=True)
            profile = ["-P", "reload4j,!log4j2"] if version.startswith("3.") else []
            fetched = _run(
                ["mvn", "-q", "-B", "-f", str(CI / "pom.xml"), f"-Dkafka.version={version}", *profile,
                 "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
            )  # fmt: skip
            if fetched.returncode:
                raise NoKafka(f"Maven could not fetch Apache Kafka {version}:\n{fetched.stdout[-2_000:]}")
            part.rename(libs)
    return libs


def _java(version: str, libs: Path, folder: Path, heap: str) -> list[str]:
    log = "log4j.configuration=file:" if version.startswith("3.") else "log4j2.configurationFile="
    file = CI / ("log4j.properties" if version.startswith("3.") else "log4j2.properties")
    # When the test process dies in whatever way, the broker dies too.
    leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return [
        *leash, "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Xmx{heap}", "-Djava.awt.headless=true",
        f"-Dkafka.logs.dir={folder}", f"-D{log}{file}", "-cp", f"{libs}/*",
    ]  # fmt: skip


# --- the nodes ------------------------------------------------------------------------------------


def _nodes(
    count: int,
    version: str,
    libs: Path,
    folder: Path,
    more: Mapping[str, str],
    listeners: Mapping[str, int],
    java: Sequence[str],
) -> list[Node]:
    ports = free_ports(2 * count)
    voters = ",".join(f"{n + 1}@127.0.0.1:{ports[count + n]}" for n in range(count))
    made: list[Node] = []
    for n in range(count):
        home = folder / f"n{n + 1}"
        home.mkdir()
        settings = _settings(n + 1, count, ports[n], ports[count + n], voters, home) | dict(more)
        for setting in ("listeners", "advertised.listeners"):
            settings[setting] += "".join(f",{name}://127.0.0.1:{port}" for name, port in listeners.items())
        base = (CI / "node.properties").read_text("utf-8")
        file = home / "node.properties"
        file.write_text(base + "".join(f"{key}={value}\n" for key, value in settings.items()), "utf-8")
        _format(n + 1, version, libs, home, file)
        command = [*_java(version, libs, home, "256m"), *java, "-Xms128m", "kafka.Kafka", str(file)]
        made.append(Node(n + 1, ports[n], home, command))
    return made


def _settings(number: int, count: int, port: int, control: int, voters: str, home: Path) -> dict[str, str]:
    copies = str(min(3, count))
    # Several nodes are there to be killed: their absence is noticed in seconds. One alone must not fence itself when
    # the machine is busy.
    failover = {
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        "replica.lag.time.max.ms": "5000",
        "controller.quorum.election.timeout.ms": "1000",
        "controller.quorum.fetch.timeout.ms": "2000",
    }
    return (failover if count > 1 else {}) | {
        "node.id": str(number),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": str(home / "data"),
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "2" if count > 2 else "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": "1",
    }


def _format(number: int, version: str, libs: Path, home: Path, file: Path) -> None:
    """Formatting takes a Java start of two seconds, so it is done once for each node number and then copied."""
    template = ROOT / ".kafka" / version / f"formatted-{number}"
    with (template.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.is_dir():
            done = _run(
                [*_java(version, libs, home, "128m"), "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID,
                 "-c", str(file)]
            )  # fmt: skip
            if done.returncode:
                raise NoKafka(f"the storage of Kafka {version} cannot be formatted: {done.stderr[-2_000:]}")
            shutil.copytree(home / "data", template)
            return
    shutil.copytree(template, home / "data")


# --- Docker, where there is no Maven --------------------------------------------------------------


@contextmanager
def _in_docker(nodes: int) -> Iterator[Cluster]:
    docker = shutil.which("docker")
    alive = docker is not None and _run([docker, "info"]).returncode == 0
    if docker is None or not alive or nodes != 1:
        raise NoKafka(
            "these tests need Apache Kafka. Any of these will do: Java 17 and Maven (apt-get install maven "
            "openjdk-17-jre-headless), a running Docker engine (one node only), or KAFKA_BOOTSTRAP_SERVERS=host:port"
        )
    (port,) = free_ports(1)
    wanted = {
        "KAFKA_NODE_ID": "1", "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093", "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1", "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500", "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }  # fmt: skip
    environment = [part for key, value in wanted.items() for part in ("-e", f"{key}={value}")]
    run = [docker, "run", "-d", "--rm", "-p", f"127.0.0.1:{port}:9092", *environment, _IMAGE]
    container = _run(run).stdout.strip()
    try:
        ends = time.monotonic() + _START_S
        while _READY not in _run([docker, "logs", container]).stdout:
            if time.monotonic() > ends:
                raise NoKafka(f"Kafka in Docker ({_IMAGE}) did not start")
            time.sleep(0.2)
        yield Cluster([], [f"127.0.0.1:{port}"])
    finally:
        _run([docker, "rm", "-f", container])
