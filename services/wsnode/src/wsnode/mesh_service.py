"""The mesh at work: sends what the domain says is due, and acts on what it decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wsmesh import logs
from wsnode.adapters.mesh_client import PeerFailed
from wsnode.domain.acks import Acknowledgements, Acks, Waiting, enough
from wsnode.domain.effects import Deliver, Effect, Gap, PeerChanged, Request
from wsnode.domain.mesh import Member, Mesh
from wsnode.domain.messages import Payload, StreamId, event_id
from wsnode.domain.wire import Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer
from wsnode.publishing import InsufficientAcks, Published

TICK = 0.1
"""Seconds between two looks at what time alone has made due."""

log = logs.get("mesh")


class Sender(Protocol):
    """Sends one request to a peer. Raises PeerFailed."""

    async def send(self, address: str, body: Hello | Push | Pull | Goodbye) -> HelloAnswer | PushAnswer | Pulled | None:
        """The answer; None to a goodbye."""
        ...


@dataclass(slots=True)
class MeshFigures:
    """Counters for the metrics."""

    requests: int = 0
    failures: int = 0


class MeshService:
    """Connects the mesh to the network, the hub and the clock."""

    def __init__(
        self,
        *,
        mesh: Mesh,
        sender: Sender,
        apply: Callable[[Effect], None],
        clock: Callable[[], float],
        time_of_day: Callable[[], float],
        default_acks: Acks,
        ack_timeout: float,
    ) -> None:
        self.mesh = mesh
        self.figures = MeshFigures()
        self._sender = sender
        self._apply_effect = apply
        self._clock = clock
        self._time_of_day = time_of_day
        self._default_acks = default_acks
        self._ack_timeout = ack_timeout
        self._acknowledgements = Acknowledgements()
        self._requests: set[asyncio.Task[None]] = set()
        self._pump_scheduled = False
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Publishes that wait for acknowledgements."""
        return len(self._acknowledgements)

    # From this node's publishers

    def announce(self, payload: Payload) -> int:
        """Put a payload on the own stream and hand it to the own hub; returns its number."""
        message = self.mesh.append(payload, self._clock(), int(self._time_of_day() * 1000))
        self._apply_effect(Deliver(self.mesh.stream, [message]))
        self._schedule_pump()
        return message.seq

    async def publish(self, payload: Payload, acks: Acks | None) -> Published:
        """Announce a payload and wait until enough other nodes hold it. Raises InsufficientAcks."""
        return await self.acknowledged(self.mesh.stream, self.announce(payload), acks)

    async def acknowledged(self, stream: StreamId, seq: int, acks: Acks | None) -> Published:
        """Wait until enough other nodes hold a message of any stream. Raises InsufficientAcks."""
        up = self.mesh.up()
        if acks is None:
            acks = self._default_acks if self._default_acks == "all" else min(self._default_acks, len(up))
        identity, held_by = event_id(stream, seq), self.mesh.holders(stream, seq)
        if enough(acks, held_by, set(up)):
            return Published(identity, held_by)
        settled: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        waiting = Waiting(stream, seq, acks, lambda held_by: None if settled.done() else settled.set_result(held_by))
        self._acknowledgements.wait(waiting)
        try:
            async with asyncio.timeout(self._ack_timeout):
                return Published(identity, await settled)
        except TimeoutError:
            raise InsufficientAcks(identity, acks, self.mesh.holders(stream, seq)) from None
        finally:
            self._acknowledgements.give_up(waiting)

    # From other nodes

    def receive_hello(self, hello: Hello) -> HelloAnswer:
        """See Mesh.receive_hello."""
        answer, effects = self.mesh.receive_hello(hello, self._clock())
        self._act(effects)
        return answer

    def receive_push(self, push: Push) -> PushAnswer:
        """See Mesh.receive_push."""
        answer, effects = self.mesh.receive_push(push, self._clock())
        self._act(effects)
        return answer

    def receive_pull(self, pull: Pull) -> Pulled:
        """See Mesh.receive_pull."""
        return self.mesh.receive_pull(pull)

    def receive_goodbye(self, goodbye: Goodbye) -> None:
        """See Mesh.receive_goodbye."""
        self._act(self.mesh.receive_goodbye(goodbye))

    # From the registry

    def set_members(self, members: list[Member]) -> None:
        """Take the registry's view of who is a member."""
        self.mesh.set_members(members, self._clock())
        self._schedule_pump()

    # Time

    async def run(self) -> None:
        """Keep the mesh going until cancelled."""
        while True:
            self._act(self.mesh.tick(self._clock()))
            await asyncio.sleep(TICK)

    async def warm(self, timeout: float) -> bool:
        """Wait until all that the peers had has arrived here; False if that took longer than `timeout` seconds."""
        return await self._until(self.mesh.warm, timeout)

    async def settle(self, timeout: float) -> bool:
        """Wait until every peer that is up holds the whole own stream; False if that took longer than `timeout`."""
        return await self._until(self.mesh.settled, timeout)

    async def farewell(self) -> None:
        """Tell the peers that this run ends; one that does not hear it finds out by its silence."""
        sends = [self._sender.send(request.address, request.body) for request in self.mesh.farewell()]
        await asyncio.gather(*sends, return_exceptions=True)

    async def stop(self) -> None:
        """Abandon the requests in progress."""
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    async def _until(self, condition: Callable[[], bool], timeout: float) -> bool:
        deadline = self._clock() + timeout
        while not condition():
            left = deadline - self._clock()
            if left <= 0:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return condition()
        return True

    def _act(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, PeerChanged):
                level = log.info if effect.state == "up" else log.warning
                level(f"peer_{effect.state}", peer=effect.node, reason=effect.reason)
            elif isinstance(effect, Gap):
                log.error("gap", stream=effect.stream, first=effect.first, last=effect.last)
            self._apply_effect(effect)
        self._acknowledgements.check(self.mesh.holders, self.mesh.up())
        self._changed.set()
        self._schedule_pump()

    def _schedule_pump(self) -> None:
        """Send at the end of this turn of the loop: what is published within one turn leaves in one push."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        for request in self.mesh.due(self._clock()):
            task = asyncio.create_task(self._send(request))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _send(self, request: Request) -> None:
        self.figures.requests += 1
        try:
            answer = await self._sender.send(request.address, request.body)
        except PeerFailed as problem:
            self.figures.failures += 1
            self._act(self.mesh.failed(request, str(problem), self._clock(), greet=problem.greet))
        else:
            assert answer is not None
            self._act(self.mesh.answered(request, answer, self._clock()))
