"""The use cases of the publish API: publish, end a user's connections, and ask the cluster about channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from wsmesh.channels import kind_of
from wsmesh.contract import App
from wsnode.domain.authorisation import Request, authorise
from wsnode.domain.frames import payload_of
from wsnode.domain.hub import Hub
from wsnode.domain.keys import Known, digest
from wsnode.domain.messages import Event, Payload, StreamId, Terminate
from wsnode.domain.publish_bodies import (
    KEY_HEADER,
    Acks,
    BatchBody,
    EventBody,
    acks_in_query,
    check_acks,
    check_batch,
    check_channel,
    check_key,
    check_user,
    decode,
    event_of,
    info_of,
)
from wsnode.domain.rate import Bucket
from wsnode.domain.refused import Refused

ChannelCounts = dict[str, int]
"""Channel -> number of subscribers."""

ChannelUsers = dict[str, list[str]]
"""Presence channel -> its users."""

Answer = dict[str, Any]
"""The JSON object of an answer."""


@dataclass(frozen=True, slots=True)
class Published:
    """A message on the own stream: its event id, and the other nodes that hold it."""

    id: str
    acknowledged_by: list[str]


class InsufficientAcks(Exception):
    """The message is on the own stream and on its way, but too few other nodes said in time that they hold it."""

    def __init__(self, id: str, wanted: Acks, acknowledged_by: list[str]) -> None:  # noqa: A002
        super().__init__(id)
        self.id = id
        self.wanted = wanted
        self.acknowledged_by = acknowledged_by


class ChannelQuery(msgspec.Struct, frozen=True):
    """What a node asks the others: the subscribers of the channels named, or else of those with the prefix."""

    app: str
    prefix: str = ""
    channels: list[str] | None = None


class UserQuery(ChannelQuery, frozen=True):
    """The same for the users of presence channels."""


class Stream(Protocol):
    """The own stream."""

    async def publish(self, payload: Payload, acks: Acks | None) -> Published:
        """Append and deliver here before the first suspension, then wait until `acks` other nodes hold it.

        None stands for the node's setting. Raises InsufficientAcks.
        """
        ...

    async def acknowledged(self, stream: StreamId, seq: int, acks: Acks | None) -> Published:
        """Wait until `acks` other nodes hold a message that is here, of any stream. Raises InsufficientAcks."""
        ...


class Cluster(Protocol):
    """The other nodes."""

    async def ask_peers(self, query: ChannelQuery) -> tuple[dict[str, ChannelCounts], list[str]]:
        """The answers by node id, and the nodes that are up but did not answer in time.

        A node may answer with more than was asked for.
        """
        ...

    async def ask_users(self, query: UserQuery) -> tuple[dict[str, ChannelUsers], list[str]]:
        """The same for the users of presence channels."""
        ...


class Publishing:
    """What publishers may do. `now` is the time of day in seconds; everything here raises Refused."""

    def __init__(self, hub: Hub, stream: Stream, cluster: Cluster, *, now: Callable[[], float]) -> None:
        self._hub = hub
        self._stream = stream
        self._cluster = cluster
        self._now = now
        self._rates: dict[str, tuple[int, Bucket]] = {}
        self.published = 0
        """Events accepted since the start."""
        self.unacknowledged = 0
        """Of these, the ones that too few nodes confirmed in time."""

    def app(self, app_id: str, request: Request) -> App:
        """The app that a request is for, and may use."""
        app = self._hub.directory.by_id(app_id)
        if app is None:
            raise Refused(404, "unknown_app", "there is no app with this id")
        authorise(app, request, self._now())
        return app

    def app_id_of(self, key: str) -> str:
        """The id of the app with this key, for the one path that does not say it."""
        app = self._hub.directory.by_key(key)
        if app is None:
            raise Refused(404, "unknown_app", "there is no app with this auth_key")
        return app.id

    async def event(self, app: App, body: bytes, acks: str | None, key: str | None = None) -> Answer:
        """Publish one event; if one with the same idempotency key is here already, answer as for that."""
        self._take(app)
        check_key(key)
        event = decode(body, EventBody)
        wanted = event.acks if event.acks is not None else acks_in_query(acks)
        return await self._publish(app, [event], wanted, [key])

    async def batch(self, app: App, body: bytes, acks: str | None, key: str | None = None) -> Answer:
        """Publish several events, in order; each has a key of its own, made of the request's and its place."""
        self._take(app)
        check_key(key)
        batch = decode(body, BatchBody)
        check_batch(batch)
        check_acks(batch.acks)
        wanted = batch.acks if batch.acks is not None else acks_in_query(acks)
        keys = [None if key is None else f"{key}\n{number}" for number in range(len(batch.batch))]
        return await self._publish(app, batch.batch, wanted, keys, in_batch=True)

    async def terminate(self, app: App, user: str, acks: str | None) -> Answer:
        """End the connections of a user on all nodes."""
        self._take(app)
        check_user(user)
        [done] = await self._all([self._stream.publish(Terminate(app=app.id, user=user), acks_in_query(acks))])
        return {"id": done.id, "acknowledged_by": done.acknowledged_by}

    async def channels(self, app: App, prefix: str, info: str | None) -> Answer:
        """The channels of the whole cluster that have subscribers."""
        wanted = info_of(info, [prefix])
        numbers, silent = await self._numbers(app, wanted, prefix)
        return _whole({"channels": {name: numbers.of(name, wanted) for name in sorted(numbers.counts)}}, silent)

    async def channel(self, app: App, name: str, info: str | None) -> Answer:
        """One channel, as the whole cluster sees it."""
        check_channel(name)
        wanted = info_of(info, [name], extra=("cache",))
        answer: Answer = {}
        if "cache" in wanted:
            if not self._hub.directory.is_cached(app, name):
                raise Refused(400, "invalid_info", "this is no cache channel", "info")
            last = self._hub.last_event(app.id, name)
            event = msgspec.json.decode(payload_of(last.frame)) if last is not None else None
            answer["cache"] = {key: event[key] for key in ("event", "data", "id")} if event else None
        numbers, silent = await self._numbers(app, wanted, name, [name])
        return _whole({"occupied": numbers.counts.get(name, 0) > 0} | numbers.of(name, wanted) | answer, silent)

    async def users(self, app: App, name: str) -> Answer:
        """The members of a presence channel, each once, as the whole cluster sees it."""
        check_channel(name)
        if not kind_of(name).presence:
            raise Refused(400, "invalid_channel", "only presence channels have users", "channel")
        users, silent = await self._users(UserQuery(app=app.id, prefix=name, channels=[name]))
        return _whole({"users": [{"id": user} for user in sorted(users.get(name, ()))]}, silent)

    # ---

    def _take(self, app: App) -> None:
        limit = app.limits.publishes_per_second
        if not limit:
            return
        now = self._now()
        former = self._rates.get(app.id)
        if former is None or former[0] != limit:
            former = self._rates[app.id] = (limit, Bucket(limit, limit, now))
        if not former[1].take(now):
            raise Refused(429, "rate_limited", f"the app may publish {limit} times a second at this node; slow down")

    async def _publish(
        self, app: App, bodies: list[EventBody], acks: Acks | None, keys: list[str | None], *, in_batch: bool = False
    ) -> Answer:
        directory = self._hub.directory
        places = [f"batch[{number}]." if in_batch else "" for number in range(len(bodies))]
        events = [event_of(body, app, directory, at, key) for body, at, key in zip(bodies, places, keys, strict=True)]
        for event in events:
            self._before(event)
        per_event = [body.acks if body.acks is not None else acks for body in bodies]
        done = await self._all([self._once(event, acks) for event, acks in zip(events, per_event, strict=True)])
        self.published += len(events)
        answers: list[Answer] = [{"id": one.id, "acknowledged_by": one.acknowledged_by} for one in done]
        silent = await self._add_info(app, bodies, answers, in_batch=in_batch)
        return _whole({"batch": answers} if in_batch else answers[0], silent)

    def _before(self, event: Event) -> Known | None:
        """The event that came here before with the same idempotency key."""
        known = self._hub.keys.find(event)
        if known is not None and known.digest != digest(event):
            text = "this idempotency key was used for another event; take a new one for each"
            raise Refused(409, "idempotency_conflict", text, KEY_HEADER)
        return known

    async def _once(self, event: Event, acks: Acks | None) -> Published:
        known = self._before(event)
        if known is None:
            return await self._stream.publish(event, acks)
        return await self._stream.acknowledged(known.stream, known.seq, acks)

    async def _all(self, publishes: list[Coroutine[Any, Any, Published]]) -> list[Published]:
        """Append all in order, then wait for all."""
        outcomes = await asyncio.gather(*publishes, return_exceptions=True)
        late = [outcome for outcome in outcomes if isinstance(outcome, InsufficientAcks)]
        self.unacknowledged += len(late)
        if late:
            texts = [
                f"{one.id} is held by {len(one.acknowledged_by)} other nodes, {one.wanted} were asked for"
                for one in late
            ]
            hint = "it is on its way; sent again it makes a second one, unless both carry the same X-Idempotency-Key"
            raise Refused(503, "insufficient_acks", "; ".join([*texts, hint]))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Published)]

    async def _add_info(self, app: App, bodies: list[EventBody], answers: list[Answer], *, in_batch: bool) -> list[str]:
        named = {name for body in bodies if body.info for name in (body.channels or [body.channel or ""])}
        if not named:
            return []
        asked = [word for body in bodies for word in info_of(body.info, [])]
        numbers, silent = await self._numbers(app, asked, channels=sorted(named))
        for body, answer in zip(bodies, answers, strict=True):
            names = body.channels or [body.channel or ""]
            wanted = info_of(body.info, names)
            attributes = {name: numbers.of(name, wanted) for name in names} if wanted else {}
            if in_batch and len(names) == 1:
                answer |= attributes.get(names[0], {})
            elif attributes:
                answer["channels"] = attributes
        return silent

    async def _numbers(
        self, app: App, wanted: list[str], prefix: str = "", channels: list[str] | None = None
    ) -> tuple[_Numbers, list[str]]:
        """What `wanted` needs to know of channels, and the nodes that did not answer."""
        counting = self._count(ChannelQuery(app=app.id, prefix=prefix, channels=channels))
        if "user_count" not in wanted:
            counts, silent = await counting
            return _Numbers(counts, {}), silent
        listing = self._users(UserQuery(app=app.id, prefix=prefix, channels=channels))
        (counts, silent), (users, also_silent) = await asyncio.gather(counting, listing)
        return _Numbers(counts, users), sorted({*silent, *also_silent})

    async def _users(self, query: UserQuery) -> tuple[dict[str, set[str]], list[str]]:
        """The users of the whole cluster, and the nodes that did not answer: of them what they said last is taken."""
        answers, silent = await self._cluster.ask_users(query)
        answers |= {node: self._hub.users_at(node, query.app, query.prefix, query.channels) for node in silent}
        total: dict[str, set[str]] = {}
        for users in [self._hub.users(query.app, query.prefix, query.channels), *answers.values()]:
            for name, there in users.items():
                if query.channels is None or name in query.channels:
                    total.setdefault(name, set()).update(there)
        return total, sorted(silent)

    async def _count(self, query: ChannelQuery) -> tuple[ChannelCounts, list[str]]:
        """The subscribers of the whole cluster, and the nodes that did not answer."""
        total = self._hub.channel_counts(query.app, query.prefix, query.channels)
        answers, silent = await self._cluster.ask_peers(query)
        for counts in answers.values():
            for name, number in counts.items():
                if query.channels is None or name in query.channels:
                    total[name] = total.get(name, 0) + number
        return total, sorted(silent)


class _Numbers(NamedTuple):
    """Channels that have subscribers, with their number, and the users of presence channels."""

    counts: ChannelCounts
    users: dict[str, set[str]]

    def of(self, channel: str, wanted: list[str]) -> Answer:
        """The attributes of a channel that `info` asks for."""
        numbers = {
            "subscription_count": self.counts.get(channel, 0),
            "user_count": len(self.users.get(channel, ())),
        }
        return {word: numbers[word] for word in wanted if word in numbers}


def _whole(answer: Answer, silent: list[str]) -> Answer:
    return answer | {"unanswered": silent} if silent else answer
