"""Measures reading mail and prints JSON: parsing beside the standard library, IMAP to unified events, hostile mails,
and the memory a 25 MB file takes.

python -m bench.email [--quick]; needs Dovecot (apt-get install dovecot-imapd) for the part over IMAP.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import email
import email.policy
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import connectors.email
from connectors.email.mail import read_mail
from connectors.email.mapping import map_mail
from connectors.email.settings import BackfillSettings
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.channel.events import AnyEvent, Message
from omnibus.http import Http
from omnibus.model.raw import RawEvent
from tests.connectors.email.imap.conftest import Dovecot, Reader
from tests.connectors.email.test_hostile import HOSTILE

FIXTURES = Path(connectors.email.__file__).parent / "fixtures"
LARGE = 25_000_000


def raw_event(body: bytes) -> RawEvent:
    return RawEvent(
        id="raw_1",
        channel="email",
        account="support-mail",
        received_at=datetime(2026, 5, 4, tzinfo=UTC),
        body=body,
        transport="imap",
        attributes={"own": "help@example.com"},
    )


def ours(data: bytes) -> None:
    """Every field and body that the mapping asks for."""
    mail = read_mail(data)
    _ = (mail.sender, mail.subject, mail.message_id, mail.references, mail.date, mail.plain, mail.html)
    _ = (mail.addresses("to"), mail.addresses("cc"), [part.decoded() for part in mail.bodies.files])


def standard_library(data: bytes) -> None:
    """The same of `email.policy.default`; what it raises on is skipped, which is to its advantage."""
    try:
        mail: Any = email.message_from_bytes(data, policy=email.policy.default)
        _ = [mail[name] for name in ("from", "subject", "message-id", "references", "date", "to", "cc")]
        bodies = [mail.get_body((kind,)) for kind in ("plain", "html")]
        _ = [body.get_content() for body in bodies if body is not None]
        _ = [part.get_payload(decode=True) for part in mail.iter_attachments()]
    except (ValueError, LookupError, KeyError, AttributeError, TypeError):
        return


def times(read: Callable[[bytes], object], mails: list[bytes], rounds: int) -> dict[str, float]:
    """Mean and 99th percentile in milliseconds of processor time."""
    seconds: list[float] = []
    for _ in range(rounds):
        for data in mails:
            began = time.thread_time()
            read(data)
            seconds.append(time.thread_time() - began)
    ordered = sorted(seconds)
    return {
        "mean_ms": round(1_000 * statistics.mean(ordered), 3),
        "p99_ms": round(1_000 * ordered[int(0.99 * (len(ordered) - 1))], 3),
    }


def parsing(rounds: int) -> dict[str, Any]:
    mails = [path.read_bytes() for path in sorted(FIXTURES.glob("*.eml"))]
    return {
        "mails": len(mails),
        "ours": times(ours, mails, rounds),
        "ours_with_mapping": times(lambda data: list(map_mail(raw_event(data))), mails, rounds),
        "policy_default": times(standard_library, mails, rounds),
    }


def hostile() -> dict[str, float]:
    """Milliseconds of processor time, the best of three."""
    return {name: _best(data) for name, data in HOSTILE.items()}


def _best(data: bytes) -> float:
    found = []
    for _ in range(3):
        began = time.thread_time()
        list(map_mail(raw_event(data)))
        found.append(time.thread_time() - began)
    return round(1_000 * min(found), 1)


def from_imap(count: int) -> dict[str, Any]:
    """A back-fill from Dovecot into memory, and its mails mapped: our processor time only, so it is per core."""
    home = Path(tempfile.mkdtemp(prefix="omnibus-bench-"))
    home.chmod(0o755)
    server = Dovecot(home, 1)
    try:
        server.start()
        server.put()
        source = (FIXTURES / "reply_gmail_pt.eml").read_bytes()
        for number in range(count):
            own = source.replace(b"Message-ID: <", b"Message-ID: <%d." % number, 1)
            (server.mailbox / "cur" / f"{1_700_000_000 + number}.M{number}P1.mx:2,").write_bytes(own)
        server.own(server.mailbox)
        return asyncio.run(_backfilled(server, count))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def _backfilled(server: Dovecot, count: int) -> dict[str, Any]:
    async with Http() as http:
        reader = Reader(server, http)
        began, cpu = time.perf_counter(), time.process_time()
        async with reader.reading(backfill=BackfillSettings(count=count)) as log:
            await log.until(lambda log: len(log.raws) == count)
            fetched, fetched_cpu = time.perf_counter() - began, time.process_time() - cpu
        events = sum(len(list(map_mail(raw))) for raw in log.raws)
    cpu = time.process_time() - cpu
    return {
        "mails": count,
        "events": events,
        "fetched_per_s": round(count / fetched),
        "fetch_cpu_us": round(1e6 * fetched_cpu / count),
        "unified_per_core_s": round(count / cpu),
    }


def memory() -> dict[str, Any]:
    """Megabytes by which a process grows for a mail with a file of 25 MB: its bytes alone, mapped, its file stored."""
    found = subprocess.run(
        [sys.executable, "-m", "bench.email", "--memory"], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def _peak_mb() -> float:
    """The largest this program was. What `getrusage` says begins with what the program was that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


def _memory() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="omnibus-bench-") as folder:
        return asyncio.run(_mapped_and_stored(Path(folder)))


async def _mapped_and_stored(folder: Path) -> dict[str, Any]:
    blobs = FolderBlobs(folder)
    await _store(blobs, list(map_mail(raw_event((FIXTURES / "attachment.eml").read_bytes()))))
    large_mail(folder / "mail")
    before = _peak_mb()
    body = (folder / "mail").read_bytes()
    with_mail = _peak_mb()
    began = time.process_time()
    events = list(map_mail(raw_event(body)))
    mapped = _peak_mb()
    await _store(blobs, events)
    return {
        "mail_mb": round(len(body) / 1e6, 1),
        "held_mb": round(with_mail - before, 1),
        "peak_while_mapped_mb": round(mapped - before, 1),
        "peak_while_stored_mb": round(_peak_mb() - before, 1),
        "cpu_ms": round(1_000 * (time.process_time() - began)),
        "events": len(events),
    }


async def _store(blobs: FolderBlobs, events: list[AnyEvent]) -> None:
    """What the normalizer and its runner do with the files of a mail."""
    for event in events:
        for media in event.attachments if isinstance(event, Message) else ():
            held = media.data if media.data is not None else media.chunks
            if held is not None:
                await blobs.put(blob_uri(held), held)


def large_mail(path: Path) -> None:
    """Written line by line: made in memory, it would be there twice before anything is measured."""
    with path.open("wb") as out:
        out.write(b"From: ana@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee file.\r\n")
        out.write(b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(LARGE // 57):
            out.write(base64.b64encode(os.urandom(57)) + b"\r\n")
        out.write(b"--b--\r\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory:
        print(json.dumps(_memory()))
        return
    result = {
        "parse": parsing(3 if chosen.quick else 30),
        "imap_to_unified": from_imap(500 if chosen.quick else 10_000),
        "hostile_ms": hostile(),
        "memory_25mb": memory(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
