"""What the router goes by: rules, queues, automations, accounts. Compiled from the configuration, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.config.errors import ConfigError, ConfigErrors, Mark
from omnibus.config.model import AutomationConfig, Config, QueueSettings, Route, RouteTarget, Sticky
from omnibus.errors import Misconfigured
from router.automations.contract import AutomationSettings
from router.automations.registry import discover
from router.automations.survey import SurveySettings
from router.calendars import Calendar
from router.hours import CalendarSettings, calendars_of
from router.queues import DEFAULT_QUEUE_PLAN, QueuePlan, queue_plans
from router.rules.rule import Rule, RuleError, RuleTarget, StickyRule
from router.rules.ruleset import BadRules, RuleSet, load_rules
from router.rules.words import HumanWords, human_words
from router.sections import BreakerSettings, ContactSettings, ShadowSettings

DEFAULT_QUEUE = "default"
"""Where conversations go that no rule places, when there is a queue of that name; otherwise the first queue."""

WORDS = "words"
CALENDARS = "calendars"
BREAKER = "breaker"
SHADOW = "shadow"
CONTACTS = "contacts"
SECTIONS: Mapping[str, Any] = {
    WORDS: dict[str, tuple[str, ...]],
    CALENDARS: dict[str, CalendarSettings],
    BREAKER: BreakerSettings,
    SHADOW: ShadowSettings,
    CONTACTS: ContactSettings,
}
"""Top-level sections of the configuration that are the router's own, for `omnibus.config.load`."""

DAY_MS = 86_400_000


class AccountPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the router must know of a channel account: its channel, and the content kinds it takes (None: any)."""

    channel: str | None = None
    inactivity_ms: int = DAY_MS
    sends: frozenset[str] | None = None
    has_choices: bool = True
    reply_window_ms: int | None = None


class AutomationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the router deals with an automation: who gets its conversations, and how long it may keep silent."""

    hand_over_to: str
    timeout_ms: int = 60_000
    survey: SurveySettings | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One version of everything the router's step depends on besides its state."""

    topics: Topics
    rules: RuleSet
    queues: tuple[str, ...]
    default_queue: str
    automations: Mapping[str, AutomationPlan] = {}
    accounts: Mapping[str, AccountPlan] = {}
    queue_plans: Mapping[str, QueuePlan] = {}
    calendars: Mapping[str, Calendar] = {}
    breaker: BreakerSettings = BreakerSettings()
    contacts: ContactSettings = ContactSettings()
    shadow: Plan | None = None
    closed_kept_ms: int = 7 * DAY_MS
    """How long a closed conversation's state is kept for late receipts and commands."""

    def account(self, name: str) -> AccountPlan:
        """The plan of an account; defaults for one that is no longer configured."""
        return self.accounts.get(name, _UNKNOWN_ACCOUNT)

    def queue(self, name: str | None) -> QueuePlan:
        """The plan of a queue; defaults for none, or one that is no longer configured."""
        return self.queue_plans.get(name or "", DEFAULT_QUEUE_PLAN)

    def has_target(self, target: str) -> bool:
        """Whether there is that target (`queue:billing`)."""
        kind, _, name = target.partition(":")
        return self.knows_target(kind, name)

    @property
    def has_surveys(self) -> bool:
        """Whether any queue asks how it was."""
        return any(queue.survey is not None for queue in self.queue_plans.values())

    @property
    def place_kept_ms(self) -> int:
        """How long it is remembered where a contact was: as long as a rule may ask."""
        asked = [rule.sticky.within_ms for rule in self.rules.rules if rule.sticky is not None]
        return max(int(self.contacts.last_place_for.total_seconds() * 1000), *asked, 0)

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
    calendars, wrong_calendars = _calendars(config)
    queues, wrong_queues = queue_plans(config, calendars)
    errors += [*wrong_calendars, *([] if wrong_calendars else wrong_queues)]
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
        queue_plans=queues,
        calendars=calendars,
        breaker=config.sections.get(BREAKER) or BreakerSettings(),
        contacts=config.sections.get(CONTACTS) or ContactSettings(),
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
            calendars=tuple(config.sections.get(CALENDARS) or ()),
            surroundings=_surroundings(config),
        )
    except BadRules as bad:
        raise ConfigErrors(_located(config, error) for error in bad.errors) from None


def _surroundings(config: Config) -> bytes:
    """What decisions depend on besides the rules; nothing while queues and calendars are as they are by default."""
    queues = {name: queue for name, queue in config.queues.items() if queue != QueueSettings()}
    calendars = config.sections.get(CALENDARS)
    return msgspec.json.encode([queues, calendars], order="deterministic") if queues or calendars else b""


def _calendars(config: Config) -> tuple[dict[str, Calendar], list[ConfigError]]:
    calendars: dict[str, Calendar] = {}
    errors = []
    for name, settings in (config.sections.get(CALENDARS) or {}).items():
        try:
            calendars |= calendars_of({name: settings})
        except Misconfigured as wrong:
            errors.append(ConfigError(config.where(wrong.setting), wrong.setting, wrong.why))
    return calendars, errors


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
        targets=tuple(_target_of(target) for target in route.targets),
        split=route.split,
        sticky=None if route.sticky is None else _sticky_of(route.sticky),
        language=route.language,
        attributes=route.attributes,
        priority=route.priority,
        tags=route.tags,
        skills=route.skills,
        go_on=route.continue_,
        stop=route.stop,
        place=place,
    )


def _target_of(target: RouteTarget) -> RuleTarget:
    return RuleTarget(
        queue=target.queue,
        automation=target.automation,
        priority=target.priority,
        timeout_ms=None if target.timeout is None else int(target.timeout.total_seconds() * 1000),
        unless=target.unless,
    )


def _sticky_of(sticky: Sticky) -> StickyRule:
    return StickyRule(within_ms=int(sticky.within.total_seconds() * 1000), agent=sticky.to == "agent")


def _located(config: Config, error: RuleError) -> ConfigError:
    mark = config.where(error.place)
    where = f" (line {error.line}, column {error.column} of it)" if error.place.endswith((".when", ".unless")) else ""
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
        errors += _calendar_errors(config, automation)
        plans[name] = AutomationPlan(
            hand_over_to=queue,
            timeout_ms=int(timeout.total_seconds() * 1000),
            survey=settings if isinstance(settings, SurveySettings) else None,
        )
    return plans, errors


def _settings_errors(config: Config, automation: AutomationConfig) -> list[ConfigError]:
    try:
        discover().get(automation.type).check(automation.settings, automation.name)
    except Misconfigured as wrong:
        return [ConfigError(config.where(wrong.setting), wrong.setting, wrong.why)]
    return []


def _calendar_errors(config: Config, automation: AutomationConfig) -> list[ConfigError]:
    calendar, known = getattr(automation.settings, "calendar", None), config.sections.get(CALENDARS) or {}
    if calendar is None or calendar in known:
        return []
    path = f"automations.{automation.name}.calendar"
    return [
        ConfigError(config.where(path), path, f"unknown calendar {calendar!r}", f"known: {', '.join(sorted(known))}")
    ]


def _unknown_queue(mark: Mark, path: str, queue: str, known: list[str]) -> ConfigError:
    return ConfigError(mark, path, f"unknown queue {queue!r}", f"known: {', '.join(sorted(known))}")


def _account_plan(account: Account) -> AccountPlan:
    capabilities = account.channel.capabilities
    window = capabilities.reply_window
    return AccountPlan(
        channel=account.channel.name,
        inactivity_ms=int(account.inactivity.total_seconds() * 1000),
        sends=capabilities.sends,
        has_choices="choices" in capabilities.supports,
        reply_window_ms=None if window is None else int(window.duration.total_seconds() * 1000),
    )
