"""What the router goes by: rules, queues, automations, accounts. Compiled from the configuration, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.config.errors import ConfigError, ConfigErrors, Mark
from omnibus.config.model import AutomationConfig, Config, Route
from omnibus.errors import Misconfigured
from router.automations.contract import AutomationSettings
from router.automations.registry import discover
from router.rules.ruleset import BadRules, Rule, RuleError, RuleSet, load_rules
from router.rules.words import HumanWords, human_words

DEFAULT_QUEUE = "default"
"""Where conversations go that no rule places, when there is a queue of that name; otherwise the first queue."""

WORDS = "words"
SECTIONS: Mapping[str, Any] = {WORDS: dict[str, tuple[str, ...]]}
"""Top-level sections of the configuration that are the router's own, for `omnibus.config.load`."""

DAY_MS = 86_400_000


class AccountPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the router must know of a channel account: its channel, and the content kinds it takes (None: any)."""

    channel: str | None = None
    inactivity_ms: int = DAY_MS
    sends: frozenset[str] | None = None
    reply_window_ms: int | None = None


class AutomationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the router deals with an automation: who gets its conversations, and how long it may keep silent."""

    hand_over_to: str
    timeout_ms: int = 60_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One version of everything the router's step depends on besides its state."""

    topics: Topics
    rules: RuleSet
    queues: tuple[str, ...]
    default_queue: str
    automations: Mapping[str, AutomationPlan] = {}
    accounts: Mapping[str, AccountPlan] = {}
    closed_kept_ms: int = 7 * DAY_MS
    """How long a closed conversation's state is kept for late receipts and commands."""

    def account(self, name: str) -> AccountPlan:
        """The plan of an account; defaults for one that is no longer configured."""
        return self.accounts.get(name, _UNKNOWN_ACCOUNT)

    def knows_target(self, kind: str, name: str | None) -> bool:
        """Whether there is such a queue or automation."""
        return name in (self.queues if kind == "queue" else self.automations)


_UNKNOWN_ACCOUNT = AccountPlan()


def plan_of(config: Config, topics: Topics, accounts: Mapping[str, Account]) -> Plan:
    """The plan of a configuration. Raises ConfigErrors with every error at its file, line and column."""
    if not config.queues:
        why = "at least one queue is needed: somebody must get the conversations"
        raise ConfigErrors([ConfigError(config.where("queues"), "queues", why)])
    default = default_queue(config)
    automations, errors = _automation_plans(config, default)
    try:
        rules = rules_of(config)
    except ConfigErrors as wrong:
        raise ConfigErrors([*wrong.errors, *errors]) from None
    if errors:
        raise ConfigErrors(errors)
    return Plan(
        topics=topics,
        rules=rules,
        queues=tuple(config.queues),
        default_queue=default,
        automations=automations,
        accounts={name: _account_plan(account) for name, account in accounts.items()},
    )


def default_queue(config: Config) -> str:
    """The queue of conversations that no rule places."""
    return DEFAULT_QUEUE if DEFAULT_QUEUE in config.queues else next(iter(config.queues))


def rules_of(config: Config) -> RuleSet:
    """The compiled routes. Raises ConfigErrors with every error at its line."""
    rules = [rule_of(route, f"routes.{index}") for index, route in enumerate(config.routes)]
    try:
        return load_rules(
            rules,
            default=f"queue:{default_queue(config)}",
            queues=tuple(config.queues),
            automations=tuple(config.automations),
            words=words_of(config),
        )
    except BadRules as bad:
        raise ConfigErrors(_located(config, error) for error in bad.errors) from None


def words_of(config: Config) -> HumanWords:
    """The word lists for those who ask for a person: the shipped ones and the section `words`. Raises ConfigErrors."""
    try:
        return human_words(config.sections.get(WORDS))
    except Misconfigured as wrong:
        raise ConfigErrors([ConfigError(config.where(wrong.setting), wrong.setting, wrong.why)]) from None


def rule_of(route: Route, place: str) -> Rule:
    """A route of the configuration as a rule."""
    return Rule(
        name=route.name,
        when=route.when,
        to=route.to,
        priority=route.priority,
        tags=route.tags,
        skills=route.skills,
        go_on=route.continue_,
        stop=route.stop,
        place=place,
    )


def _located(config: Config, error: RuleError) -> ConfigError:
    mark = config.where(error.place)
    where = f" (line {error.line}, column {error.column} of it)" if error.place.endswith(".when") else ""
    hint = f"did you mean {' or '.join(error.near)}?" if error.near else ""
    return ConfigError(mark, error.place, f"rule {error.rule!r}: {error.why}{where}", hint)


def _automation_plans(config: Config, default: str) -> tuple[dict[str, AutomationPlan], list[ConfigError]]:
    plans: dict[str, AutomationPlan] = {}
    errors: list[ConfigError] = []
    for name, automation in config.automations.items():
        settings = automation.settings
        queue = getattr(settings, "hand_over_to", None) or default
        if queue not in config.queues:
            path = f"automations.{name}.hand_over_to"
            errors.append(_unknown_queue(config.where(path), path, queue, list(config.queues)))
        timeout = settings.timeout if isinstance(settings, AutomationSettings) else timedelta(minutes=1)
        errors += _settings_errors(config, automation)
        plans[name] = AutomationPlan(hand_over_to=queue, timeout_ms=int(timeout.total_seconds() * 1000))
    return plans, errors


def _settings_errors(config: Config, automation: AutomationConfig) -> list[ConfigError]:
    try:
        discover().automation(automation.type).check(automation.settings, automation.name)
    except Misconfigured as wrong:
        return [ConfigError(config.where(wrong.setting), wrong.setting, wrong.why)]
    return []


def _unknown_queue(mark: Mark, path: str, queue: str, known: list[str]) -> ConfigError:
    return ConfigError(mark, path, f"unknown queue {queue!r}", f"known: {', '.join(sorted(known))}")


def _account_plan(account: Account) -> AccountPlan:
    capabilities = account.channel.capabilities
    window = capabilities.reply_window
    return AccountPlan(
        channel=account.channel.name,
        inactivity_ms=int(account.inactivity.total_seconds() * 1000),
        sends=capabilities.sends,
        reply_window_ms=None if window is None else int(window.duration.total_seconds() * 1000),
    )
