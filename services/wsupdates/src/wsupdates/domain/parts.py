"""What an app has several of, each under a name of its own: its channel rules, and its webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from wsmesh.contract import App, ChannelRule, Webhook
from wsupdates.domain.refusals import Refusal

Part = TypeVar("Part", bound=ChannelRule | Webhook)


@dataclass(frozen=True)
class Parts(Generic[Part]):
    """One kind of them: `noun` for words and error codes, `field` of the app, `name` as the parts call theirs."""

    noun: str
    field: str
    name: str
    most: int
    """How many an app may have."""

    def all(self, app: App) -> list[Part]:
        """Those of the app, by name."""
        found: list[Part] = getattr(app, self.field)
        return found

    def name_of(self, part: Part) -> str:
        """The name of one."""
        return str(getattr(part, self.name))

    def one(self, app: App, name: str) -> Part:
        """The one of this name. Raises Refusal when there is none."""
        for part in self.all(app):
            if self.name_of(part) == name:
                return part
        raise Refusal(404, f"unknown_{self.noun}", f"app {app.id} has no {self.noun} {name!r}", self.name)

    def put(self, app: App, new: Part) -> App:
        """The app with this one instead of an earlier one of the same name. Raises Refusal when there are too many."""
        parts = [*self._others(app, self.name_of(new)), new]
        if len(parts) > self.most:
            text = f"app {app.id} has {self.most} {self.field}; delete one first"
            raise Refusal(409, f"too_many_{self.field}", text, self.name)
        return self._replaced(app, sorted(parts, key=self.name_of))

    def removed(self, app: App, name: str) -> App:
        """The app without this one. Raises Refusal when there is none."""
        self.one(app, name)
        return self._replaced(app, self._others(app, name))

    def recorded(self, app: App, name: str) -> dict[str, Any] | None:
        """One as the audit record shows it; None when there is none."""
        return next((msgspec.to_builtins(part) for part in self.all(app) if self.name_of(part) == name), None)

    def _others(self, app: App, name: str) -> list[Part]:
        return [part for part in self.all(app) if self.name_of(part) != name]

    def _replaced(self, app: App, parts: list[Part]) -> App:
        return msgspec.structs.replace(app, **{self.field: parts})


RULES = Parts[ChannelRule]("rule", "rules", "pattern", 1_000)
WEBHOOKS = Parts[Webhook]("webhook", "webhooks", "name", 20)
