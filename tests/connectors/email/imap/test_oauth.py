"""XOAUTH2: tokens are had with the refresh token, renewed when they end, and a withdrawn grant is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from connectors.email.settings import OauthSettings
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, TryAgain
from omnibus.testing.served import served


class TokenServer:
    """Issues tokens, and tells the mail server which of them are valid."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.issued: list[str] = []
        self.expired: set[str] = set()
        self.refusal: tuple[int, str] | None = None
        self.expires_in = 3_600

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "invented-refresh-token")
        assert (form["client_id"], form["client_secret"]) == ("omnibus", "invented-client-secret")
        if self.refusal is not None:
            return web.json_response({"error": self.refusal[1]}, status=self.refusal[0])
        self.issued.append(f"invented-access-token-{len(self.issued)}")
        return web.json_response({"access_token": self.issued[-1], "expires_in": self.expires_in})

    async def tokeninfo(self, request: web.Request) -> web.Response:
        token = request.query["access_token"]
        if token not in self.issued or token in self.expired:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"email": self.user})


@pytest.fixture
async def tokens(dovecot: Any, tokeninfo_port: int) -> AsyncIterator[TokenServer]:
    server = TokenServer(dovecot.user)
    app = web.Application()
    app.router.add_post("/token", server.token)
    app.router.add_get("/tokeninfo", server.tokeninfo)
    async with served(app, tokeninfo_port):
        yield server


@pytest.fixture
def oauth(tokens: TokenServer, tokeninfo_port: int) -> dict[str, Any]:
    """The settings that log in with a token."""
    settings = OauthSettings(
        token_url=f"http://127.0.0.1:{tokeninfo_port}/token",
        client_id="omnibus",
        client_secret=Secret("invented-client-secret"),
        refresh_token=Secret("invented-refresh-token"),
    )
    return {"password": None, "oauth": settings}


async def test_a_mailbox_is_read_with_a_token(
    reader: Any, dovecot: Any, make_mail: Any, oauth: dict[str, Any], tokens: TokenServer
) -> None:
    async with reader.reading(**oauth) as log:
        await asyncio.to_thread(dovecot.put, make_mail(1))
        await log.until(lambda log: log.subjects == ["1"])
    assert len(tokens.issued) == 1


async def test_a_token_that_the_mail_server_refuses_is_renewed_at_once(
    reader: Any, oauth: dict[str, Any], tokens: TokenServer
) -> None:
    """Its time is not over by our clock, but the grant was renewed or the server's clock is another."""
    tokens.expired = {"invented-access-token-0"}
    async with reader.reading(**oauth):
        assert tokens.issued == ["invented-access-token-0", "invented-access-token-1"]


async def test_a_token_whose_time_is_over_is_not_used_again(
    oauth: dict[str, Any], tokens: TokenServer, http: Any
) -> None:
    from connectors.email.imap.oauth import Tokens

    tokens.expires_in = 30  # less than the minute that a login must have
    held = Tokens(oauth["oauth"], http)
    assert [await held.token(), await held.token()] == ["invented-access-token-0", "invented-access-token-1"]
    tokens.expires_in = 3_600
    assert [await held.token(), await held.token()] == ["invented-access-token-2", "invented-access-token-2"]


async def test_a_withdrawn_grant_is_told_to_the_operator(
    reader: Any, oauth: dict[str, Any], tokens: TokenServer
) -> None:
    tokens.refusal = (400, "invalid_grant")
    with pytest.raises(Misconfigured, match=r"imap\.oauth\.refresh_token"):
        await reader.receiver(**oauth).run()


async def test_a_token_server_that_is_away_is_asked_again_later(
    reader: Any, oauth: dict[str, Any], tokens: TokenServer
) -> None:
    tokens.refusal = (503, "")
    with pytest.raises(TryAgain, match="503"):
        await reader.receiver(**oauth).run()


async def test_tokens_that_are_never_taken_are_told_to_the_operator(
    reader: Any, oauth: dict[str, Any], tokens: TokenServer
) -> None:
    tokens.expired = {f"invented-access-token-{number}" for number in range(9)}
    with pytest.raises(Misconfigured, match=r"imap\.oauth"):
        await reader.receiver(**oauth).run()
    assert len(tokens.issued) == 2
