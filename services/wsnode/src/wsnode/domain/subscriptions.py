"""The channels that have subscribers here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wsmesh.channels import kind_of
from wsmesh.contract import App
from wsnode.domain.channel import Channel
from wsnode.domain.counts import Key
from wsnode.domain.directory import Directory

if TYPE_CHECKING:
    from wsnode.domain.session import Session


class Subscriptions:
    """Channels by app and name; one without subscribers is forgotten."""

    def __init__(self) -> None:
        self.number = 0
        self._channels: dict[str, dict[str, Channel]] = {}

    def of(self, app: str) -> Mapping[str, Channel]:
        """The app's channels by name."""
        return self._channels.get(app, {})

    def find(self, key: Key) -> Channel | None:
        """A channel, if it has subscribers here."""
        return self._channels.get(key[0], {}).get(key[1])

    def join(self, session: Session, app: App, name: str, directory: Directory) -> Channel:
        """Subscribe a session that is not subscribed."""
        channels = self._channels.setdefault(app.id, {})
        channel = channels.get(name)
        if channel is None:
            channel = channels[name] = Channel(
                cached=directory.is_cached(app, name),
                counted=directory.rule_for(app, name).subscription_count,
                watched=directory.is_watched(app, name),
                presence=kind_of(name).presence,
            )
        channel.sessions.add(session)
        session.channels.add(name)
        self.number += 1
        return channel

    def leave(self, session: Session, name: str) -> Channel:
        """End a subscription that there is."""
        channels = self._channels[session.app_id]
        channel = channels[name]
        channel.sessions.remove(session)
        channel.ahead.pop(session, None)
        session.channels.remove(name)
        self.number -= 1
        if not channel.sessions:
            del channels[name]
            if not channels:
                del self._channels[session.app_id]
        return channel

    def counts(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, int]:
        """The subscribers of the app's channels that begin with `prefix`, or of those named.

        The channels that are a user's own are left out unless `prefix` begins like them.
        """
        there = self._channels.get(app, {})
        if channels is not None:
            return {name: len(there[name].sessions) for name in channels if name in there}
        return {
            name: len(channel.sessions)
            for name, channel in there.items()
            if name.startswith(prefix) and (prefix.startswith("#") or not name.startswith("#"))
        }

    def users(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The users of the app's presence channels that begin with `prefix`, or of those named."""
        there = self._channels.get(app, {})
        names = there if channels is None else [name for name in channels if name in there]
        return {
            name: members.users
            for name in names
            if (members := there[name].members) is not None and (channels is not None or name.startswith(prefix))
        }

    def announced(self, key: Key) -> int:
        """What other nodes are told of a channel: its subscribers if its rule counts them, 1 if it is only watched."""
        channel = self.find(key)
        if channel is None or not (channel.counted or channel.watched):
            return 0
        return len(channel.sessions) if channel.counted else 1

    def apply(self, directory: Directory) -> list[Key]:
        """Follow the rules of a new configuration; the channels whose subscribers begin or cease to be counted."""
        changed = []
        for app in directory.apps:
            for name, channel in self._channels.get(app.id, {}).items():
                channel.cached = directory.is_cached(app, name)
                wanted = directory.rule_for(app, name).subscription_count, directory.is_watched(app, name)
                if wanted != (channel.counted, channel.watched):
                    channel.counted, channel.watched = wanted
                    changed.append((app.id, name))
        return changed
