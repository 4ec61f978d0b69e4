"""The apps and their channel rules, as the last configuration has them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsmesh.channels import kind_of
from wsmesh.contract import App, ChannelRule

DEFAULT_RULE = ChannelRule(pattern="*")
"""The rule of a channel that no rule of its app matches."""

WATCHED = frozenset({"channel_occupied", "channel_vacated"})
"""What webhooks can only be told of a channel when all nodes say whether they have subscribers of it."""

MAX_CACHED = 10_000
"""Channel names whose rule is remembered; beyond, all are forgotten and looked up anew."""


class Directory:
    """Finds apps by key and id, and the rule of a channel. Never changed: a new configuration is a new directory."""

    def __init__(self, apps: Iterable[App] = ()) -> None:
        self._by_id = {app.id: app for app in apps}
        self._by_key = {app.key: app for app in self._by_id.values()}
        self._watchers: dict[str, list[re.Pattern[str]]] = {}
        self._matchers: dict[str, list[tuple[re.Pattern[str], ChannelRule]]] = {}
        self._rules: dict[tuple[str, str], ChannelRule] = {}

    @property
    def apps(self) -> Iterable[App]:
        """All apps, enabled or not."""
        return self._by_id.values()

    def by_id(self, app_id: str) -> App | None:
        """The app with this id."""
        return self._by_id.get(app_id)

    def by_key(self, key: str) -> App | None:
        """The app with this public key."""
        return self._by_key.get(key)

    def rule_for(self, app: App, channel: str) -> ChannelRule:
        """The rule of a channel (see ChannelRule for which of several wins), or the default one."""
        if not app.rules:
            return DEFAULT_RULE
        rule = self._rules.get((app.id, channel))
        if rule is None:
            rule = next((rule for regex, rule in self._matchers_of(app) if regex.fullmatch(channel)), DEFAULT_RULE)
            if len(self._rules) >= MAX_CACHED:
                self._rules.clear()
            self._rules[app.id, channel] = rule
        return rule

    def is_cached(self, app: App, channel: str) -> bool:
        """Whether the last event of a channel is kept for new subscribers."""
        return kind_of(channel).cache or self.rule_for(app, channel).cache

    def is_watched(self, app: App, channel: str) -> bool:
        """Whether a webhook is to be told when a channel is occupied and vacated (Transition)."""
        if not app.webhooks or channel.startswith("#"):
            return False
        watchers = self._watchers.get(app.id)
        if watchers is None:
            watchers = self._watchers[app.id] = [
                pattern_of(webhook.channels) for webhook in app.webhooks if not WATCHED.isdisjoint(webhook.events)
            ]
        return any(watcher.fullmatch(channel) for watcher in watchers)

    def _matchers_of(self, app: App) -> list[tuple[re.Pattern[str], ChannelRule]]:
        matchers = self._matchers.get(app.id)
        if matchers is None:
            by_weight = sorted(app.rules, key=lambda rule: (-len(rule.pattern.replace("*", "")), rule.pattern))
            matchers = self._matchers[app.id] = [(pattern_of(rule.pattern), rule) for rule in by_weight]
        return matchers


def pattern_of(pattern: str) -> re.Pattern[str]:
    """The names that a pattern stands for: `*` is any run of characters."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
