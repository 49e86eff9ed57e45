"""A real mail server (Postfix) between us and the recipients: own configuration and queue, on loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omnibus.testing.ports import free_port

MISSING = "Postfix is not installed: apt-get install postfix (Debian, Ubuntu)"
NEEDS_ROOT = "Postfix starts as root only: run the tests as root, or leave tests/connectors/email/postfix out"

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
myhostname = mx.example.com
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_tls_security_level = none
transport_maps = inline:{{ {{example.com = smtp:[127.0.0.1]:{ours}}}, {{example.org = smtp:[127.0.0.1]:{theirs}}} }}
relay_transport = error:no mail leaves this machine
default_transport = error:no mail leaves this machine
maillog_file = {home}/log
maillog_file_prefixes = {home}
recipient_delimiter = +
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@pytest.fixture
def postfix() -> Iterator[Callable[[int, int], int]]:
    """`postfix(ours, theirs)`: a server whose mail to us and to the recipients goes to these ports; gives its own."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(ours: int, theirs: int) -> int:
        assert shutil.which("postfix", path="/usr/sbin:/sbin:/usr/local/sbin") is not None, MISSING
        assert os.geteuid() == 0, NEEDS_ROOT
        home = Path(tempfile.mkdtemp(prefix="omnibus-postfix-"))
        port = free_port()
        _configure(home, port, ours, theirs)
        command = ["/usr/sbin/postfix", "-c", str(home / "etc"), "start-fg"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        started.append((process, home))
        _until_it_listens(process, port, home)
        return port

    yield start
    for process, home in started:
        subprocess.run(["/usr/sbin/postfix", "-c", str(home / "etc"), "stop"], check=False, capture_output=True)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _configure(home: Path, port: int, ours: int, theirs: int) -> None:
    home.chmod(0o755)
    for name in ("etc", "queue", "data"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    (home / "etc" / "main.cf").write_text(MAIN.format(home=home, ours=ours, theirs=theirs))
    (home / "etc" / "master.cf").write_text(MASTER.format(port=port))


def _until_it_listens(process: subprocess.Popen[bytes], port: int, home: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(3) == b"220":
                    return
        except OSError:
            pass
        log = home / "log"
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "Postfix says nothing"
        assert process.poll() is None, log.read_text() if log.exists() else f"Postfix ended with {process.returncode}"
        time.sleep(0.05)
