"""A real installation in a folder and a process of its own, for the benchmarks."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.embedded.limits import Limits
from omnibus.bus.topics import Topics
from omnibus.telemetry import logs
from omnibus.testing.ports import free_port

TOPICS = Topics()
CONFIG = """
http: {{host: 127.0.0.1, port: {port}}}
log: {{format: json, level: warning}}
channels:
  hook: {{type: webhook}}
queues: {{billing: {{}}, general: {{}}}}
routes:
  - {{name: billing, when: "message.text.matches('(?i)invoice|payment|fatura')", to: queue:billing, priority: high}}
  - {{name: everything else, to: queue:general}}
sinks:
  files: {{type: jsonl, from: [queue:billing, queue:general], folder: ./omnibus-data/queues}}
"""


@dataclass(frozen=True)
class Installation:
    """A running `omnibus up`: where it is, and how long it took to be ready (seconds from the start of the process)."""

    folder: Path
    url: str
    pid: int
    started_s: float

    def memory_bytes(self) -> int:
        """Resident memory of the process (VmRSS of /proc)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def cpu_s(self) -> float:
        """CPU seconds the process has used (utime and stime of /proc)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """Started, ready, and stopped and removed at the end."""
    logs.configure("auto", "error")  # standard output is for the figures
    folder = Path(tempfile.mkdtemp(prefix="omnibus-bench-"))
    port = free_port()
    (folder / "omnibus.yaml").write_text(CONFIG.format(port=port))
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibus.cli.main", "up", cwd=folder, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _ready(f"{url}/health/ready")
        yield Installation(folder, url, process.pid, time.perf_counter() - began)
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _ready(url: str) -> None:
    async with ClientSession(timeout=ClientTimeout(total=2)) as session:
        for _ in range(3_000):
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except (ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.01)
    raise TimeoutError(f"{url} did not become ready")


@asynccontextmanager
async def looking_in(installed: Installation, poll_ms: int = 2) -> AsyncIterator[EmbeddedBus]:
    """The installation's bus, opened beside it."""
    bus = EmbeddedBus(
        installed.folder / "omnibus-data", dead_letters=TOPICS.dead_letters, limits=Limits(poll_ms=poll_ms)
    )
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close()
