"""A configuration is read once; whatever is wrong with it is told all together, each at its line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import orjson
import pytest

from omnibus.config.describe import public
from omnibus.config.errors import ConfigErrors, Mark
from omnibus.config.fields import Settings
from omnibus.config.load import load as load_file
from omnibus.config.model import Config

Load = Callable[..., Config]
Faults = Callable[..., list[str]]

WHOLE = """\
bus: kafka://kafka:9092
channels:
  support-mail:
    type: letters
    imap: {host: imap.example.com, user: help@example.com, password: "${IMAP_PASSWORD}"}
    poll_every: 1m30s
  bird: {type: parrot, bot_token: "${BIRD_TOKEN:-123:invented}", number: 0055}
queues:
  billing: {calendar: br-business, sla: {first_response: 15m, resolution: PT8H}, capacity: 200, overflow: general}
  general: {}
automations:
  faq: {type: answers, hand_over_to: general}
routes:
  - {name: billing, when: "message.text.matches('^pay$')", to: queue:billing, priority: high, tags: [money]}
  - {name: noted, tags: [seen], continue: true}
  - {name: everything else, to: automation:faq}
sinks:
  desk: {type: desk, from: [queue:billing, queue:general], subdomain: acme}
log: {format: json}
"""
ENV = {"IMAP_PASSWORD": "correct horse"}


def test_a_whole_configuration_becomes_typed_settings(load: Load) -> None:
    config = load(WHOLE, env=ENV)

    letters = public(config.channels["support-mail"].settings)
    assert letters["imap"]["port"] == 993
    assert config.channels["support-mail"].settings.poll_every == timedelta(seconds=90)  # type: ignore[attr-defined] # the test's own class
    assert public(config.channels["bird"].settings)["number"] == "0055"
    assert config.queues["billing"].sla.resolution == timedelta(hours=8)
    assert config.queues["general"].capacity is None
    assert config.automations["faq"].type == "answers"
    assert config.sinks["desk"].sources == ("queue:billing", "queue:general")
    assert [route.name for route in config.routes] == ["billing", "noted", "everything else"]
    assert config.routes[0].when == "message.text.matches('^pay$')"
    assert config.routes[1].continue_
    assert (config.bus, config.log.format, config.partitions, config.http.port) == (
        "kafka://kafka:9092",
        "json",
        12,
        8080,
    )


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}", "channels:\nqueues:\nroutes:\nsinks:\n"])
def test_nothing_configured_is_all_defaults(load: Load, text: str) -> None:
    config = load(text)

    assert (config.bus, config.blobs) == ("embedded:./omnibus-data", "file:./omnibus-data/blobs")
    assert config.http.max_body == 10_000_000
    assert not config.channels


def test_every_error_is_reported_at_its_own_place(faults: Faults) -> None:
    text = """\
bus: embeded:./x
channels:
  mail: {type: letters, imap: {host: imap.example.com, port: abc, user: a, password: "${NOT_SET}"}, poll_evry: 3}
  bird: {type: parot}
  bird2: {type: parrot, bot_token: [1], mode: push, loud: no, rate: 0, bot_token: x}
queues:
  billing: {sla: {first_response: 15x}, overflow: generl}
  general: {}
routes:
  - {name: a, to: queue:biling}
  - {name: a}
partitons: 3
"""
    assert faults(text) == [
        (
            'omnibus.yaml:1:6: bus: expected a bus address, got str "embeded:./x"'
            " (accepted: embedded:./folder or kafka://host:9092[,host:9092])"
        ),
        'omnibus.yaml:3:62: channels.mail.imap.port: expected int, got str "abc" (accepted: 1..65535)',
        "omnibus.yaml:3:86: channels.mail.imap.password: environment variable NOT_SET is not set",
        "omnibus.yaml:3:112: channels.mail.poll_evry: unknown setting poll_evry (did you mean poll_every?)",
        "omnibus.yaml:4:16: channels.bird.type: unknown type 'parot' (did you mean parrot?)",
        (
            "omnibus.yaml:5:36: channels.bird2.bot_token: expected a secret, got a list"
            " (accepted: text that is not empty; better ${NAME} than the value itself)"
        ),
        'omnibus.yaml:5:47: channels.bird2.mode: expected one of poll, webhook, got str "push"',
        'omnibus.yaml:5:59: channels.bird2.loud: expected true or false, got str "no"',
        "omnibus.yaml:5:69: channels.bird2.rate: expected number, got int 0 (accepted: more than 0)",
        "omnibus.yaml:5:72: channels.bird2.bot_token: key 'bot_token' appears twice",
        (
            'omnibus.yaml:7:35: queues.billing.sla.first_response: expected a duration, got str "15x"'
            " (accepted: such as 250ms, 15m, 1h30m, PT15M, or seconds)"
        ),
        "omnibus.yaml:7:51: queues.billing.overflow: unknown queue 'generl' (did you mean general?)",
        "omnibus.yaml:10:19: routes.0.to: unknown queue 'biling' (did you mean billing?)",
        "omnibus.yaml:11:5: routes.1: the route does nothing (give it a target: to)",
        "omnibus.yaml:11:12: routes.1.name: another route is called 'a'",
        "omnibus.yaml:12:12: partitons: unknown setting partitons (did you mean partitions?)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channels: [1]", "channels: expected a mapping of names, got a list"),
        ("channels: {a: 3}", "channels.a: expected a mapping of settings, got int 3"),
        ("channels: {a: {}}", "channels.a: type is missing (known: letters, parrot)"),
        ("channels: {a: {type: [letters]}}", "channels.a.type: expected text, got a list"),
        ("channels: {a: {type: broken}}", "channels.a.type: broken: its SDK is not installed"),
        ("channels: {a.b: {type: parrot, bot_token: x}}", "channels.a.b: not a usable name"),
        ("channels: {a: {type: parrot}}", "channels.a: bot_token is missing (expected a secret)"),
        ("channels: {a: {type: parrot, bot_token: ''}}", "channels.a.bot_token: expected a secret, got another value"),
        ("channels: {a: {type: parrot, bot_token: x, rate: .nan}}", "rate: expected number"),
        ("channels: {a: {type: parrot, bot_token: x, number: true}}", "number: expected text, got bool true"),
        ("channels: {a: {type: parrot, bot_token: x, labels: {b: c}}}", 'labels.b: expected int, got str "c"'),
        ("channels: {a: {type: parrot, bot_token: x, labels: 3}}", "labels: expected a mapping of names, got int 3"),
        ("automations: {a: {type: answers, hand_over_to: nobody}}", "automations.a: hand_over_to must be somebody"),
        ("queues: {a: {overflow: a}}", "queues.a.overflow: a queue cannot overflow into itself"),
        ("queues: {a: {capacity: 0}}", "queues.a.capacity: expected int, got int 0 (accepted: at least 1)"),
        ("routes: {a: b}", "routes: expected a list, each a mapping of settings, got a mapping"),
        ("routes: [{name: a, to: elsewhere}]", "routes.0.to: expected a target, got 'elsewhere'"),
        ("routes: [{name: a, to: 'automation:x'}]", "routes.0.to: unknown automation 'x' (none are known)"),
        ("routes: [{to: drop}]", "routes.0: name is missing (expected text)"),
        ("sinks: {d: {type: desk, subdomain: a, from: queue}}", "sinks.d.from: expected a list, each text"),
        ("sinks: {d: {type: desk, subdomain: a, from: [thing]}}", "sinks.d.from.0: expected a target, got 'thing'"),
        ("prefix: a b", 'prefix: expected text, got str "a b" (accepted: matching'),
        ("partitions: 12.0", "partitions: expected int, got float 12.0 (accepted: 1..2000)"),
        ("http: {max_body: lots}", "http.max_body: expected a size"),
        ("http: {public_url: 'ftp://a'}", "http.public_url: expected a web address"),
        ("http: {port: null}", "http.port: expected int, got nothing"),
        ("- a", ": expected a mapping of settings, got a list"),
        ("just text", ": expected a mapping of settings, got str"),
    ],
)
def test_mistakes_are_explained(faults: Faults, text: str, message: str) -> None:
    assert any(message in fault for fault in faults(text)), faults(text)


def test_a_list_of_errors_has_an_end(load: Load) -> None:
    with pytest.raises(ConfigErrors) as refusal:
        load("".join(f"wrong{n}: 1\n" for n in range(500)))

    assert len(refusal.value.errors) == 500
    assert str(refusal.value).endswith("... and 400 more")


def test_sinks_may_read_streams_and_all_queues(load: Load) -> None:
    config = load("sinks: {d: {type: desk, subdomain: a, from: ['queue:*', events, outcomes]}}")

    assert config.sinks["d"].sources == ("queue:*", "events", "outcomes")


# -- layers ------------------------------------------------------------------------------------------------------------


def test_flags_win_over_environment_over_file_over_defaults(load: Load) -> None:
    text = "http: {host: a.example.com, port: 1}\nlog: {level: error}\n"
    env = {"OMNIBUS_HTTP__PORT": "2", "OMNIBUS_HTTP__MAX_BODY": "3MB", "OMNIBUS_LOG__LEVEL": "warning"}
    config = load(text, env=env, flags={"http.max_body": "4MB", "partitions": "5"})

    assert (config.http.host, config.http.port, config.http.max_body) == ("a.example.com", 2, 4_000_000)
    assert (config.log.level, config.partitions) == ("warning", 5)


def test_the_environment_reaches_names_with_hyphens_and_lists(load: Load) -> None:
    env = {
        **ENV,
        "OMNIBUS_CHANNELS__SUPPORT_MAIL__IMAP__PORT": "1993",
        "OMNIBUS_CHANNELS__SUPPORT_MAIL__FOLDERS": "INBOX, Help",
        "OMNIBUS_CHANNELS__BIRD__LABELS": "{a: 1}",
        "OMNIBUS_API__TOKENS": '["first one", "second"]',
        "OMNIBUS_ROUTES__0__PRIORITY": "low",
        "OMNIBUS_HTTP__TLS": "",
    }
    config = load(WHOLE, env=env)
    letters = public(config.channels["support-mail"].settings)

    assert (letters["imap"]["port"], letters["folders"]) == (1993, ("INBOX", "Help"))
    assert public(config.channels["bird"].settings)["labels"] == {"a": 1}
    assert [token.reveal() for token in config.api.tokens] == ["first one", "second"]
    assert config.routes[0].priority == "low"
    assert config.http.tls is None


def test_a_channel_can_come_from_the_environment_alone(load: Load) -> None:
    env = {"OMNIBUS_CHANNELS__BIRD__TYPE": "parrot", "OMNIBUS_CHANNELS__BIRD__BOT_TOKEN": "[not a list]"}
    config = load("", env=env)

    assert config.channels["bird"].settings.bot_token.reveal() == "[not a list]"  # type: ignore[attr-defined] # as above


def test_an_alias_is_not_changed_with_its_anchor(load: Load) -> None:
    text = "queues: {a: &same {sla: {resolution: 1h}}, b: *same}"
    config = load(text, env={"OMNIBUS_QUEUES__A__SLA__RESOLUTION": "2h"})

    assert config.queues["a"].sla.resolution == timedelta(hours=2)
    assert config.queues["b"].sla.resolution == timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"env": {"OMNIBUS_HTTP__PORT": "99999"}}, "environment variable OMNIBUS_HTTP__PORT: http.port: expected int"),
        ({"env": {"OMNIBUS_HTPP__PORT": "1"}}, "OMNIBUS_HTPP__PORT: unknown section htpp (did you mean http?)"),
        ({"env": {"OMNIBUS_HTTP__PROT": "1"}}, "http.prot: unknown setting prot (did you mean port?)"),
        ({"env": {"OMNIBUS_BUS__X": "1"}}, "OMNIBUS_BUS__X: there is a single value where x should be"),
        ({"env": {"OMNIBUS_ROUTES__7__NAME": "x"}}, "OMNIBUS_ROUTES__7__NAME: expected a number below 0, got '7'"),
        ({"env": {"OMNIBUS_ROUTES": "[{"}}, "routes: expected a list or mapping as YAML has it"),
        ({"flags": {"http..port": "1"}}, "flag http..port: not a path to a setting"),
        ({"flags": {".".join("a" * 40): "1"}}, "not a path to a setting"),
        ({"flags": {"http.port": "x"}}, "flag http.port: http.port: expected int, got str of 1 characters"),
    ],
)
def test_overlays_are_checked_like_the_file(faults: Faults, options: dict[str, object], message: str) -> None:
    assert any(message in fault for fault in faults("bus: embedded:x\nroutes: []\n", **options)), faults(
        "routes: []", **options
    )


def test_variables_of_other_programs_are_left_alone(load: Load) -> None:
    assert load("", env={"OMNIBUS_HOME": "/srv", "HTTP__PORT": "1", "PATH": "/bin"}).http.port == 8080


# -- further sections and files ----------------------------------------------------------------------------------------


class Calendar(Settings, frozen=True, kw_only=True):
    time_zone: str


def test_packages_add_sections_of_their_own(load: Load, faults: Faults) -> None:
    sections = {"calendars": dict[str, Calendar]}
    config = load("calendars: {br: {time_zone: America/Sao_Paulo}}", sections=sections)

    assert config.sections["calendars"]["br"].time_zone == "America/Sao_Paulo"
    assert load("", sections=sections).sections["calendars"] is None
    assert "calendars.br: time_zone is missing" in faults("calendars: {br: {}}", sections=sections)[0]


def test_every_value_knows_where_it_was_given(load: Load) -> None:
    config = load(WHOLE, env=ENV, flags={"partitions": "3"})

    assert config.where("routes.0.when") == Mark("omnibus.yaml", 14, 27)
    assert config.where("channels.support-mail.imap.password") == Mark("omnibus.yaml", 5, 70)
    assert config.where("queues.general.capacity") == config.where("queues.general")
    assert str(config.where("partitions")) == "flag partitions"


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "omnibus.yaml"
    path.write_bytes(b"\xef\xbb\xbfpartitions: 4\r\n")
    config = load_file(path, env={}, settings_of=lambda section, name: None)

    assert config.partitions == 4
    assert config.where("partitions") == Mark(str(path), 1, 13)


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"gone\.yaml: no such file or directory"):
        load_file(tmp_path / "gone.yaml", env={}, settings_of=lambda section, name: None)


def test_no_file_is_the_environment_and_flags(tmp_path: Path) -> None:
    config = load_file(None, env={"OMNIBUS_PARTITIONS": "7"}, settings_of=lambda section, name: None)

    assert config.partitions == 7


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_configuration_never_shows_its_secrets(load: Load) -> None:
    config = load(WHOLE, env={**ENV, "OMNIBUS_API__TOKENS": "hush-hush"})

    shown = [repr(config), str(config), f"{config.channels}", repr(config.core), orjson.dumps(public(config)).decode()]
    for secret in ("correct horse", "123:invented", "hush-hush"):
        assert not [text for text in shown if secret in text]
    assert config.api.tokens[0].reveal() == "hush-hush"


def test_errors_never_show_what_came_from_the_environment(faults: Faults) -> None:
    text = "http: {port: '${TOKEN}', public_url: 'https://user:pw-invented@ex ample.com'}\nlog: {level: '${TOKEN}'}"
    messages = "\n".join(faults(text, env={"TOKEN": "very-secret-value", "OMNIBUS_PARTITIONS": "very-secret-value"}))

    messages += "\n".join(
        faults(
            "channels: {a: {type: '${TOKEN}'}}\nroutes: [{name: a, to: '${TOKEN}'}, {name: b, to: 'queue:${TOKEN}'}]",
            env={"TOKEN": "very-secret-value"},
        )
    )

    assert "very-secret-value" not in messages
    assert "pw-invented" not in messages
    assert messages.count("expected") == 5


def test_json_of_a_secret_is_refused_rather_than_written(load: Load) -> None:
    config = load("api: {tokens: [hush-hush]}")

    with pytest.raises(TypeError):
        msgspec.json.encode(config.core)
