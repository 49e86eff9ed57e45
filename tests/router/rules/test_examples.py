"""The shipped example routes as its examples say; wrong examples and wrong routes are told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibus.bus.topics import Topics
from omnibus.cli.plugins import known_types, settings_of
from omnibus.config.errors import ConfigErrors
from omnibus.config.load import load, loads
from omnibus.config.model import Config
from omnibus.errors import Misconfigured
from router.plan import SECTIONS, plan_of, rules_of
from router.rules.check import check
from router.rules.examples import Example, beside, differences, load_examples, run
from router.rules.facts import VARIABLES

FOLDER = Path(__file__).parents[3] / "docs/examples/routing"
EXAMPLES = load_examples(FOLDER / "omnibus.examples.yaml")


@pytest.fixture(scope="module")
def config() -> Config:
    return load(FOLDER / "omnibus.yaml", env={}, settings_of=settings_of, known_types=known_types, sections=SECTIONS)


def configured(text: str) -> Config:
    return loads(text, settings_of=settings_of, known_types=known_types, sections=SECTIONS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_shipped_example(config: Config, example: Example) -> None:
    assert differences(plan_of(config, Topics(), {}), example) == []


def test_examples_are_found_beside_the_configuration(config: Config) -> None:
    assert beside(config) == FOLDER / "omnibus.examples.yaml"
    assert {row["result"] for row in run(config)} == {"ok"}


def test_an_example_that_comes_out_otherwise_shows_the_difference(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: x, given: {text: invoice}, expect: {to: drop, priority: high}}")

    [row] = run(config, str(file))

    assert row == {
        "name": "x",
        "result": "failed",
        "why": "to: expected drop, got queue:billing; priority: expected high, got normal",
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- {name: x, given: {txt: a}, expect: {}}", "txt"),
        ("nonsense: [", "expected"),
        ("[1]", "object"),
    ],
)
def test_an_unusable_file_of_examples_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)

    with pytest.raises(Misconfigured, match=why) as raised:
        load_examples(file)
    assert str(file) in str(raised.value)


def test_wrong_routes_are_told_with_file_line_and_column() -> None:
    config = configured(
        "queues: {general: {}}\n"
        "automations: {ack: {type: acknowledge, hand_over_to: genral, texts: {en: 'Hi {nam}'}}}\n"
        "routes:\n"
        "  - {name: a, when: \"message.txt == 'x'\", to: queue:general}\n"
        "  - name: b\n"
        "    when: \"message.text.matches('(bad')\"\n"
        "    to: drop\n"
    )
    with pytest.raises(ConfigErrors) as raised:
        check(config)

    told = str(raised.value)
    assert "omnibus.yaml:4:21: routes.0.when: rule 'a': unknown name 'message.txt'" in told
    assert "did you mean message.text" in told
    assert "omnibus.yaml:6:11: routes.1.when: rule 'b': bad regular expression '(bad'" in told
    assert "omnibus.yaml:2:54: automations.ack.hand_over_to: unknown queue 'genral' (known: general)" in told
    assert "no field {nam}" in told


def test_without_a_queue_nobody_could_get_anything() -> None:
    with pytest.raises(ConfigErrors, match="at least one queue"):
        check(configured("routes: []"))


def test_the_page_about_rules_lists_every_name() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    rows = [f"| `{name}` | {variable.type} | {variable.meaning} |" for name, variable in VARIABLES.items()]

    assert "\n".join(rows) in page


def with_words(text: str) -> Config:
    return loads(text, settings_of=settings_of, known_types=known_types, sections=SECTIONS)


def test_an_installations_own_words_count_and_are_part_of_the_version(tmp_path: Path) -> None:
    base = "queues: {general: {}, vip: {}}\nroutes: [{name: a, when: message.asks_for_human, to: queue:vip}]\n"
    own = with_words(base + "words: {de: ['mit einem menschen sprechen']}\n")
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: x, given: {text: Bitte mit einem Menschen sprechen}, expect: {to: queue:vip}}")

    assert run(own, str(file))[0]["result"] == "ok"
    assert run(with_words(base), str(file))[0]["result"] == "failed"
    assert rules_of(own).version != rules_of(with_words(base)).version


def test_an_unusable_word_is_told_with_its_line() -> None:
    config = with_words("queues: {general: {}}\nwords:\n  de: ['(bad']\n")

    with pytest.raises(ConfigErrors, match=r"omnibus\.yaml:3:.*words\.de: '\(bad' is no regular expression"):
        check(config)
