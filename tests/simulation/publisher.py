"""Publishers: they ask for acknowledgements, lose requests and answers, and retry with the same key at another node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.simulation.clock import Clock
from tests.simulation.model import Model
from tests.simulation.node import Node
from wsnode.domain.acks import Acks
from wsnode.domain.messages import Event

TIMEOUT = 3.0
TRIES = 4


@dataclass(eq=False)
class _Publish:
    event: Event
    acks: Acks | None
    tries: int = 0


class Publisher:
    """Numbers its events; the number is their data."""

    def __init__(self, clock: Clock, random: Random, model: Model, choose: Callable[[], Node | None]) -> None:
        self.loss = 0.0
        """Of its requests, and of the answers to them."""
        self.active_at = 0.0
        """When a node last got an event of it."""
        self._clock, self._random, self._model, self._choose = clock, random, model, choose
        self._number = 0

    def publish(self, channels: list[str], acks: Acks | None, *, retry: bool, node: Node | None = None) -> None:
        """Publish an event, at any node unless told where; with `retry` it has a key and is tried again."""
        self._number += 1
        key = f"key {self._number}" if retry else None
        event = Event(app="a", channels=channels, name="n", data=str(self._number), key=key)
        self._model.publishes(self._number, channels, acks)
        self._try(_Publish(event, acks), node)

    def _try(self, publish: _Publish, node: Node | None = None) -> None:
        publish.tries += 1
        attempt = publish.tries
        node = node or self._choose()

        def failed() -> None:
            if publish.tries == attempt and publish.event.key is not None and attempt < TRIES:
                self._try(publish)

        def settled(event_id: str, held_by: list[str]) -> None:
            if not self._lost():
                self._clock.after(self._delay(), lambda: answered(event_id, held_by))

        def answered(event_id: str, held_by: list[str]) -> None:
            if publish.tries != attempt:
                return
            if not event_id:
                failed()
                return
            publish.tries += TRIES
            self._model.answered(int(publish.event.data), event_id, held_by)

        def arrive() -> None:
            assert node is not None
            if node.draining or not node.ready:
                self._clock.after(self._delay(), failed)
            else:
                self.active_at = self._clock.now
                node.publish(publish.event, publish.acks, settled)

        if node is not None and not self._lost():
            self._clock.after(self._delay(), lambda: node.when_awake(arrive))
        self._clock.after(TIMEOUT, failed)

    def _lost(self) -> bool:
        return self.loss > 0 and self._random.random() < self.loss

    def _delay(self) -> float:
        return self._random.uniform(0.0005, 0.02)
