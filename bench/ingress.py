"""How many webhook requests a second one process takes in, durably: ``python bench/ingress.py [--seconds 5]``.

The server is the real connectors stage over the embedded bus (in this process); the client is another process that
sends small JSON messages over kept connections through raw sockets, so that it costs little itself. Prints JSON:
requests a second, the server's CPU time for each request in microseconds, and latencies in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog
import uvloop

from connectors.webhook.channel import CHANNEL
from connectors.webhook.settings import WebhookSettings
from omnibus.config.fields import Secret
from omnibus.testing.door import account_of, open_door

TOKEN = "invented-bench-token"


def main() -> None:
    options = _options()
    if options.client:
        print(json.dumps(asyncio.run(_load(options.client, options.connections, options.seconds))))
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(json.dumps(uvloop.run(_serve(Path(folder), options)), indent=2))


async def _serve(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    settings = WebhookSettings(verify="token", webhook_secret=Secret(TOKEN))
    async with open_door(folder, {"site": account_of(CHANNEL, settings, "site")}) as door:
        before = _cpu()
        command = [
            sys.executable,
            "-m",
            "bench.ingress",
            "--client",
            door.url,
            "--connections",
            str(options.connections),
        ]
        client = await asyncio.create_subprocess_exec(
            *command, "--seconds", str(options.seconds), stdout=subprocess.PIPE
        )
        out, _ = await client.communicate()
        figures: dict[str, float] = json.loads(out)
        figures["server_cpu_us_per_request"] = round((_cpu() - before) * 1e6 / figures["requests"], 1)
        topic = door.runtime.topics.raw(CHANNEL.name)
        bounds = await door.runtime.bus.bounds(topic)
        figures["stored"] = sum(after - first for first, after in bounds.values())
        return figures


async def _load(url: str, connections: int, seconds: float) -> dict[str, float]:
    host, _, port = url.removeprefix("http://").partition(":")
    until = time.perf_counter() + seconds
    started = time.perf_counter()
    results = await asyncio.gather(*(_one(host, int(port), index, until) for index in range(connections)))
    took = time.perf_counter() - started
    times = sorted(each for result in results for each in result)
    return {
        "connections": connections,
        "requests": len(times),
        "requests_per_second": round(len(times) / took),
        "p50_ms": round(times[len(times) // 2] * 1000, 2),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 2),
    }


async def _one(host: str, port: int, number: int, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection(host, port)
    times: list[float] = []
    count = 0
    while (began := time.perf_counter()) < until:
        count += 1
        body = (
            f'{{"id":"{number}-{count}","from":{{"id":"p{number}-{count % 20}","name":"Ana"}},'
            f'"text":"Meu pedido ainda nao chegou, podem ver o que aconteceu?","thread":"t{number}-{count % 20}"}}'
        ).encode()
        writer.write(
            b"POST /in/site HTTP/1.1\r\nHost: in.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            b"Content-Type: application/json\r\nX-Webhook-Token: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (TOKEN.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
    writer.close()
    return times


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--folder", default=None, help="where the bus writes (default: the system's temporary folder)")
    parser.add_argument("--client", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
