"""`omnibus check` says everything that is wrong, and where; with --live, whether the other sides would work with us."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from click.testing import Result

from omnibus.config.errors import ConfigErrors
from omnibus.testing.ports import free_port
from omnibus.testing.served import served
from omnibus.testing.shell import Shell

Omnibus = Callable[..., Result]

RULES = """
channels: {hook: {type: webhook}}
queues: {general: {}}
routes:
  - {name: good, when: "message.text.contains('x')", to: queue:general}
  - name: bad
    when: "messag.text.contains('x')"
    to: queue:general
  - {name: worse, when: "message.text.matches('(')", to: queue:nowhere}
"""


def test_a_good_configuration_is_summed_up(omnibus: Omnibus) -> None:
    result = omnibus("check")
    assert (result.exit_code, result.return_value) == (0, 0)
    assert (
        result.output == "the configuration is fine: 3 channels, 2 queues, 0 automations, 2 routes, 1 sink\n"
    )  # fmt: skip


def test_it_says_before_a_reload_what_that_would_leave_to_the_next_start(omnibus: Omnibus, here: Path) -> None:
    text = "channels: {hook: {type: webhook}}\nqueues: {general: {}}\n"
    (here / "running.yaml").write_text(text)
    (here / "omnibus.yaml").write_text(text + "drain: 5s\nroutes: [{name: all, to: 'queue:general'}]\n")
    assert omnibus("check", "--running", "running.yaml").output.endswith("needs a restart: drain\n")

    (here / "omnibus.yaml").write_text(text + "routes: [{name: all, to: 'queue:general'}]\n")
    assert omnibus("check", "--running", "running.yaml").output.endswith("a reload takes all of it\n")
    told = json.loads(omnibus("check", "--running", "running.yaml", "--json").output)
    assert told["needs_restart"] == []


def test_rules_are_compiled_and_their_errors_have_lines(omnibus: Omnibus, here: Path) -> None:
    (here / "omnibus.yaml").write_text(RULES.replace("queue:nowhere", "queue:general"))
    error = omnibus("check").exception
    assert isinstance(error, ConfigErrors)
    places = [str(wrong).split(" ")[0] for wrong in error.errors]
    assert places == ["omnibus.yaml:7:11:", "omnibus.yaml:9:25:"]
    assert "did you mean message.text" in str(error)


def test_errors_for_machines_have_their_place_in_fields(omnibus: Omnibus, here: Path) -> None:
    (here / "omnibus.yaml").write_text(RULES)
    result = omnibus("check", "--json")
    assert result.return_value == 2
    told = json.loads(result.output)
    assert told["ok"] is False
    assert [(wrong["line"], wrong["path"]) for wrong in told["errors"]] == [(9, "routes.2.to")]


@asynccontextmanager
async def a_bot_api(port: int, token: str) -> AsyncIterator[None]:
    """The provider's side of a bot: knows one token. https://core.telegram.org/bots/api#getme"""

    async def get_me(request: web.Request) -> web.Response:
        if request.match_info["token"] != token:
            return web.json_response({"ok": False, "error_code": 401, "description": "Unauthorized"}, status=401)
        return web.json_response({"ok": True, "result": {"id": 1, "is_bot": True, "username": "loft_bot"}})

    app = web.Application()
    app.router.add_post("/bot{token}/getMe", get_me)
    async with served(app, port):
        yield


class MailServer(Controller):
    """A submission server that knows one login."""

    def __init__(self, port: int) -> None:
        super().__init__(
            Sink(),
            hostname="127.0.0.1",
            port=port,
            authenticator=self._login,
            auth_require_tls=False,
        )

    def _login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"help", b"right"), handled=False)


@pytest.fixture
def mail_server() -> Iterator[int]:
    server = MailServer(free_port())
    server.start()
    yield server.port
    server.stop()


LIVE = """
bus: embedded:./data
channels:
  good-bot: {{type: telegram, bot_token: "1:good", api_url: "http://127.0.0.1:{bots}"}}
  bad-bot: {{type: telegram, bot_token: "1:bad", api_url: "http://127.0.0.1:{bots}"}}
  good-mail:
    {{type: email, addresses: [help@example.com], smtp: {{port: 2525}},
     outgoing: {{host: 127.0.0.1, port: {mail}, tls: none, user: help, password: right}}}}
  bad-mail:
    {{type: email, addresses: [sales@example.com], smtp: {{port: 2525}},
     outgoing: {{host: 127.0.0.1, port: {mail}, tls: none, user: help, password: wrong}}}}
  silent-mail:
    {{type: email, addresses: [info@example.com], smtp: {{port: 2525}},
     outgoing: {{host: 127.0.0.1, port: {nobody}, tls: none}}}}
  inbox: {{type: email, addresses: [in@example.com], smtp: {{port: 2525}}}}
  hook: {{type: webhook}}
queues: {{general: {{}}}}
sinks:
  desk:
    {{type: mail, from: [queue:general], host: 127.0.0.1, port: {mail}, tls: none, username: help, password: right,
     sender: omnibus@example.com, to: tickets@example.com}}
  files: {{type: jsonl, from: [queue:general], folder: ./out}}
"""


async def test_live_asks_every_account_and_sends_nothing(shell: Shell, mail_server: int) -> None:
    bots = free_port()
    shell.write("omnibus.yaml", LIVE.format(bots=bots, mail=mail_server, nobody=free_port()))
    async with a_bot_api(bots, "1:good"):
        ended = await shell.run("check", "--live", "--json")
    assert ended.code == 1
    told = {probe["what"]: (probe["result"], probe["why"]) for probe in ended.json["probes"]}
    assert told["channel good-bot"] == ("ok", "@loft_bot")
    assert told["channel bad-bot"][0] == "failed"
    assert "bot_token" in told["channel bad-bot"][1]
    assert told["channel good-mail"] == ("ok", f"127.0.0.1:{mail_server}")
    assert told["channel bad-mail"][0] == "failed"
    assert "outgoing.password" in told["channel bad-mail"][1]
    assert told["channel silent-mail"][0] == "failed"
    assert told["channel inbox"][0] == "no probe"
    assert "receives only" in told["channel inbox"][1]
    assert told["channel hook"] == ("no probe", "")
    assert told["sink desk"] == ("ok", f"127.0.0.1:{mail_server}")
    assert told["sink files"] == ("no probe", "")
    assert told["bus"] == ("ok", "embedded:./data (made at the first start)")
    assert "1:bad" not in ended.out + ended.err
    assert not (shell.folder / "data").exists()
