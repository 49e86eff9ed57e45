"""Mail by SMTP and LMTP over real sockets: nothing is accepted that is not stored, nothing stored is bounced."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from omnibus.errors import Misconfigured, Overloaded

Listening = Callable[..., AbstractAsyncContextManager[int]]
MakeMailbox = Callable[..., Any]

MAIL = b"From: Ana <ana@example.org>\r\nSubject: Hi\r\nMessage-ID: <1@example.org>\r\n\r\nThe kettle sings.\r\n"


async def send(port: int, mail: bytes, *recipients: str, client: type[smtplib.SMTP] = smtplib.SMTP) -> dict[str, Any]:
    """Send with the standard library's client; returns refused recipients."""

    def work() -> dict[str, Any]:
        with client("127.0.0.1", port, timeout=10) as server:
            return server.sendmail("ana@example.org", recipients or ("help@example.com",), mail)

    return await asyncio.to_thread(work)


async def refusal(port: int, mail: bytes, *recipients: str) -> str:
    """The answer of a server that refuses."""
    with pytest.raises(smtplib.SMTPException) as refused:
        await send(port, mail, *recipients)
    return str(refused.value)


async def test_a_mail_is_stored_byte_for_byte(mailbox: MakeMailbox, listening: Listening) -> None:
    mail = MAIL + b".\r\n..two dots\r\n\xff raw bytes \x00\r\n"
    box = mailbox()
    async with listening(box) as port:
        await send(port, mail)

    [raw] = box.published
    assert raw.body == mail
    assert (raw.transport, raw.remote) == ("smtp", "127.0.0.1")
    assert raw.attributes["mail_from"] == "ana@example.org"
    assert raw.attributes["rcpt_to"] == "help@example.com"
    assert raw.attributes["own"] == "help@example.com"
    assert box.states == ["ok"]


async def test_a_plus_address_belongs_to_its_mailbox(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox()
    async with listening(box) as port:
        await send(port, MAIL, "Help+c-0123@Example.com")

    assert [raw.attributes["rcpt_to"] for raw in box.published] == ["Help+c-0123@Example.com"]


async def test_mail_for_others_is_refused_for_good(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox()
    async with listening(box) as port:
        assert "550" in await refusal(port, MAIL, "stranger@example.com")

    assert not box.published


async def test_a_mail_to_two_accounts_is_stored_once_for_each(mailbox: MakeMailbox, listening: Listening) -> None:
    one, two = mailbox("help@example.com", name="one"), mailbox("sales@example.com", name="two")
    async with listening(one, two) as port:
        refused = await send(port, MAIL, "help@example.com", "sales@example.com", "nobody@example.com")

    assert list(refused) == ["nobody@example.com"]
    assert [raw.account for raw in (*one.published, *two.published)] == ["one", "two"]
    assert [raw.attributes["rcpt_to"] for raw in two.published] == ["sales@example.com"]


async def test_two_recipients_of_one_account_are_one_mail(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox("help@example.com", "support@example.com")
    async with listening(box) as port:
        await send(port, MAIL, "help@example.com", "support@example.com")

    assert [raw.attributes["rcpt_to"] for raw in box.published] == ["help@example.com support@example.com"]


@pytest.mark.parametrize("fault", [Overloaded("full"), RuntimeError("a bug of ours")])
async def test_what_cannot_be_stored_now_comes_again(
    mailbox: MakeMailbox, listening: Listening, fault: Exception
) -> None:
    box = mailbox()
    box.refusal = fault
    async with listening(box) as port:
        answer = await refusal(port, MAIL)

    assert "451" in answer
    assert "a bug of ours" not in answer


async def test_a_mail_is_refused_when_one_of_its_accounts_cannot_store_it(
    mailbox: MakeMailbox, listening: Listening
) -> None:
    """The whole mail comes again; the account that has it already knows the copy by its id."""
    one, two = mailbox("help@example.com", name="one"), mailbox("sales@example.com", name="two")
    two.refusal = Overloaded("full")
    async with listening(one, two) as port:
        assert "451" in await refusal(port, MAIL, "help@example.com", "sales@example.com")


async def test_the_size_limit_is_announced_and_kept(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox(max_size=10_000)
    async with listening(box) as port:

        def announced() -> str:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
                server.ehlo()
                return server.esmtp_features["size"]

        assert await asyncio.to_thread(announced) == "10000"
        assert "552" in await refusal(port, MAIL + b"x" * 11_000)
        await send(port, MAIL)

    assert [len(raw.body) for raw in box.published] == [len(MAIL)]


async def test_a_line_without_end_is_read_and_not_kept(mailbox: MakeMailbox, listening: Listening) -> None:
    """The client does not announce the size: the limit holds all the same, for a line of any length."""
    box = mailbox(max_size=10_000)
    async with listening(box) as port:
        answers = await _talk(
            port,
            b"EHLO x\r\nMAIL FROM:<ana@example.org>\r\nRCPT TO:<help@example.com>\r\nDATA\r\n",
            b"x" * 600_000,
            b"\r\n.\r\nQUIT\r\n",
        )

    assert "\n552 5.3.4" in answers
    assert not box.published


async def test_a_long_line_within_the_limit_is_kept(mailbox: MakeMailbox, listening: Listening) -> None:
    """Lines above 998 characters break RFC 5322, and programs write them."""
    box = mailbox()
    mail = MAIL + b"." + b"y" * 300_000 + b"\r\nend\r\n"
    async with listening(box) as port:
        await send(port, mail)

    assert box.published[0].body == mail


async def test_eight_bit_addresses_are_taken(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox("grüße@example.com")
    async with listening(box) as port:
        talk = "EHLO x\r\nMAIL FROM:<ana@example.org> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<grüße@example.com>\r\nDATA\r\n"
        answers = await _talk(port, talk.encode(), MAIL, b".\r\nQUIT\r\n")

    assert "\n250 2.0.0" in answers
    assert box.published[0].attributes["rcpt_to"] == "grüße@example.com"


async def test_too_many_recipients_are_put_off(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox()
    people = [f"help+{number}@example.com" for number in range(120)]
    async with listening(box) as port:
        refused = await send(port, MAIL, *people)

    assert len(refused) == 20
    assert {answer[0] for answer in refused.values()} == {452}


async def test_connections_are_bounded(mailbox: MakeMailbox, listening: Listening) -> None:
    box = mailbox(max_connections=1)
    async with listening(box) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"220")
        second, second_writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await second.readline()).startswith(b"421")
        writer.close()
        second_writer.close()


async def test_lmtp_answers_for_each_recipient(mailbox: MakeMailbox, listening: Listening) -> None:
    one = mailbox("help@example.com", name="one", lmtp=True)
    two = mailbox("sales@example.com", name="two", lmtp=True)
    two.refusal = Overloaded("full")
    async with listening(one, two) as port:
        answers = await _talk(
            port,
            b"LHLO x\r\nMAIL FROM:<ana@example.org>\r\nRCPT TO:<help@example.com>\r\nRCPT TO:<sales@example.com>\r\n"
            b"DATA\r\n",
            MAIL,
            b".\r\nQUIT\r\n",
        )

    assert answers.splitlines()[-3:] == ["250 2.0.0 Ok: stored", "451 4.3.1 Busy, try again later", "221 Bye"]
    assert len(one.published) == 1


async def test_starttls_is_offered_and_can_be_demanded(
    mailbox: MakeMailbox, listening: Listening, certificate: tuple[Path, Path]
) -> None:
    box = mailbox(tls_cert=certificate[0], tls_key=certificate[1], require_tls=True)
    context = ssl.create_default_context(cafile=str(certificate[0]))

    def encrypted(port: int) -> None:
        with smtplib.SMTP("localhost", port, timeout=10) as server:
            server.starttls(context=context)
            server.sendmail("ana@example.org", ["help@example.com"], MAIL)

    async with listening(box) as port:
        assert "530" in await refusal(port, MAIL)
        await asyncio.to_thread(encrypted, port)

    assert len(box.published) == 1


async def test_no_login_is_offered(mailbox: MakeMailbox, listening: Listening) -> None:
    async with listening(mailbox()) as port:
        assert "AUTH" not in await _talk(port, b"EHLO x\r\nQUIT\r\n")


async def test_a_shared_socket_is_described_in_one_way(mailbox: MakeMailbox, listening: Listening) -> None:
    with pytest.raises(Misconfigured, match=r"two\.smtp"):
        async with listening(mailbox(name="one"), mailbox("sales@example.com", name="two", max_size=5)):
            pass


async def test_an_address_belongs_to_one_account(mailbox: MakeMailbox, listening: Listening) -> None:
    with pytest.raises(Misconfigured, match="belongs to one already"):
        async with listening(mailbox(name="one"), mailbox("Help@example.com", name="two")):
            pass


async def test_a_broken_certificate_is_told_to_the_operator(
    mailbox: MakeMailbox, listening: Listening, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"smtp\.tls_cert"):
        async with listening(mailbox(tls_cert=tmp_path / "missing.pem")):
            pass


async def test_stopping_frees_the_port(mailbox: MakeMailbox, listening: Listening) -> None:
    async with listening(mailbox()) as port:
        pass

    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


async def _talk(port: int, *pieces: bytes) -> str:
    """Say all of it at once and return everything that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answers = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answers.decode().replace("\r\n", "\n")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
