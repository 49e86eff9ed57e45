"""A real IMAP server (Dovecot) as an unprivileged user on free ports of loopback, and an account that reads from it."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from imaplib import IMAP4
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest

from connectors.email.channel import CHANNEL
from connectors.email.imap.receive import ImapReceiver
from connectors.email.settings import EmailSettings, ImapSettings
from omnibus.bus.port import Out
from omnibus.channel.declaration import Account
from omnibus.channel.receive import ReceiverTools
from omnibus.config.fields import Secret
from omnibus.http import Http
from omnibus.model.raw import RawEvent
from omnibus.testing.ports import free_port

MISSING = "Dovecot is not installed: apt-get install dovecot-imapd (Debian, Ubuntu)"
PASSWORD = "invented-password"

CONFIG = """
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
mail_location = maildir:{home}/mail/%u
mail_max_userip_connections = 100
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  # No delays after logins that fail: tests fail them on purpose.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {home}/oauth.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u
}}
"""


class Dovecot:
    """The server. `start` and `stop` may be called again and again; the mail stays."""

    def __init__(self, home: Path, tokeninfo_port: int) -> None:
        self.home = home
        self.user = "help"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._ids = (user.pw_uid, user.pw_gid)
        (home / "mail").mkdir()
        (home / "run").mkdir()
        (home / "oauth.conf").write_text(
            f"tokeninfo_url = http://127.0.0.1:{tokeninfo_port}/tokeninfo?access_token=\nusername_attribute = email\n"
        )
        names = {"user": user.pw_name, "group": _group_name(user.pw_gid)}
        (home / "dovecot.conf").write_text(CONFIG.format(home=home, port=self.port, password=PASSWORD, **names))
        self.own(home)

    def own(self, folder: Path) -> None:
        """Give files that a test made to the server's user."""
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, *self._ids)

    def start(self) -> None:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": self._ids[0], "group": self._ids[1], "extra_groups": []}
        dovecot = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        assert dovecot is not None, MISSING
        self._process = subprocess.Popen([dovecot, "-F", "-c", str(self.home / "dovecot.conf")], **as_user)
        self._until_it_listens()

    def _until_it_listens(self) -> None:
        import socket
        import time

        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    if connection.recv(4) == b"* OK":
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, (self.home / "log").read_text()
            assert self._process is not None
            assert self._process.poll() is None, (self.home / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=20)
            self._process = None

    @property
    def mailbox(self) -> Path:
        """The files of the mailbox."""
        return self.home / "mail" / self.user

    def client(self) -> IMAP4:
        """A second program at the same mailbox."""
        client = IMAP4("127.0.0.1", self.port, timeout=20)
        client.login(self.user, PASSWORD)
        return client

    def put(self, *mails: bytes, folder: str = "INBOX", date: str | None = None) -> None:
        """Deliver mails into a folder, which is made where there is none."""
        with self.client() as client:
            client.create(folder)
            for mail in mails:
                answer, _ = client.append(folder, "", date or "", mail)
                assert answer == "OK"

    def subjects(self, folder: str = "INBOX", criteria: str = "ALL") -> list[str]:
        """The subjects of the mails in a folder."""
        with self.client() as client:
            if client.select(f'"{folder}"')[0] != "OK":
                return []
            [found] = client.search(None, criteria)[1]
            subjects = [_subject(client, number) for number in found.split()]
            return [subject for subject in subjects if subject is not None]


def _subject(client: IMAP4, number: bytes) -> str | None:
    """The subject of a mail; None when it was moved or deleted since it was found."""
    [answer, *_] = client.fetch(number.decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    return answer[1].decode().partition(":")[2].strip() if isinstance(answer, tuple) else None


def _group_name(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


@pytest.fixture(scope="session")
def tokeninfo_port() -> int:
    """Where the server asks whether a token is valid."""
    return free_port()


@pytest.fixture(scope="session")
def dovecot_server(tokeninfo_port: int) -> Iterator[Dovecot]:
    """A running server with a home of its own: pytest's folders cannot be entered by other users."""
    home = Path(tempfile.mkdtemp(prefix="omnibus-dovecot-"))
    home.chmod(0o755)
    server = Dovecot(home, tokeninfo_port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


_users = itertools.count()


@pytest.fixture
def dovecot(dovecot_server: Dovecot) -> Dovecot:
    """The server, with a mailbox nobody has used yet."""
    dovecot_server.user = f"help{next(_users)}@example.com"
    return dovecot_server


@dataclass
class Log:
    """What a receiver stored, and its cursor, as the bus would keep them: in one step. Taking over fences nobody."""

    raws: list[RawEvent] = field(default_factory=list)
    cursor: bytes | None = None
    states: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def subjects(self) -> list[str]:
        found = [line for raw in self.raws for line in raw.body.split(b"\r\n\r\n")[0].split(b"\r\n")]
        return [line[9:].decode() for line in found if line.startswith(b"Subject: ")]

    async def until(self, holds: Callable[[Log], object]) -> None:
        """Wait until something stored or told makes it true."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: holds(self))


class Tools:
    """Receiver tools over a `Log`. `refusal` is raised instead of storing, once."""

    def __init__(self, account: Account, log: Log, http: Http) -> None:
        self.account = account
        self.http = http
        self.refusal: BaseException | None = None
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def cursor(self) -> bytes | None:
        return self._log.cursor

    async def publish_with_cursor(self, raws: Sequence[RawEvent], cursor: bytes) -> None:
        if raws and self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        async with self._log.changed:
            self._log.raws.extend(raws)
            self._log.cursor = cursor
            self._log.changed.notify_all()

    async def publish(self, raws: Sequence[RawEvent], also: Sequence[Out] = ()) -> None:
        raise AssertionError("a mailbox is stored with its cursor")

    def status(self, state: Literal["ok", "degraded", "disconnected"], reason: str = "") -> None:
        self._log.states.append((state, reason))
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._log.changed:
            self._log.changed.notify_all()


class Reader:
    """An account that reads the mailbox `help` of a server."""

    def __init__(self, dovecot: Dovecot, http: Http) -> None:
        self._dovecot = dovecot
        self._http = http
        self.log = Log()

    def tools(self, **settings: Any) -> Tools:
        given = {"password": Secret(PASSWORD), **settings}
        imap = ImapSettings(
            **{
                "host": "127.0.0.1",
                "port": self._dovecot.port,
                "tls": False,
                "user": self._dovecot.user,
                "timeout": timedelta(seconds=20),
                **{name: value for name, value in given.items() if value is not None},
            }
        )
        account = Account(
            name="support-mail",
            channel=CHANNEL,
            settings=EmailSettings(addresses=("help@example.com",), imap=imap),
            inactivity=timedelta(days=14),
        )
        return Tools(account, self.log, self._http)

    def receiver(self, **settings: Any) -> ImapReceiver:
        return ImapReceiver(cast(ReceiverTools, self.tools(**settings)))

    @asynccontextmanager
    async def reading(self, **settings: Any) -> AsyncIterator[Log]:
        """`async with reader.reading(after="flag") as log`: a receiver that runs and has seen the mailbox."""
        self.log.states.clear()
        running = asyncio.create_task(self.receiver(**settings).run())
        seen = asyncio.create_task(self.log.until(lambda log: len(log.states) > 1))
        try:
            await asyncio.wait([running, seen], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            yield self.log
            if running.done():
                running.result()
        finally:
            seen.cancel()
            running.cancel()
            await asyncio.gather(running, seen, return_exceptions=True)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as client:
        yield client


@pytest.fixture
def reader(dovecot: Dovecot, http: Http) -> Reader:
    return Reader(dovecot, http)


def mail(number: int | str, *, message_id: bool = True, body: str = "text") -> bytes:
    """An invented mail with its number as the subject."""
    named = f"Message-ID: <{number}@example.org>\r\n" if message_id else ""
    return f"From: Ana <ana@example.org>\r\nSubject: {number}\r\n{named}\r\n{body}\r\n".encode()


@pytest.fixture
def make_mail() -> Callable[..., bytes]:
    return mail


def decoded(cursor: bytes | None) -> Any:
    return msgspec.msgpack.decode(cursor or b"")
