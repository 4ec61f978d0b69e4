"""How often a connection writes, seen by a transport that only notes it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.wsnode_clients.pure import make_hub
from tests.unit.wsnode_clients.serving import APP, settings
from wsnode.domain.messages import Event, Message
from wsnode.web.clients import FLUSH_BYTES, Clients
from wsnode.web.connection import Connection, server_protocol


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        """Note it."""
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is none."""


def connected(clients: Clients, *channels: str) -> Transport:
    """A client with subscriptions; what it heard of them is forgotten."""
    transport, connection = Transport(), Connection(clients, server_protocol(65_536))
    connection.connection_made(transport)
    clients.arrived(connection, APP.key, "7", None)
    [session] = (each for each in clients.hub.sessions_of(APP.id) if each.edge is connection)
    for channel in channels:
        clients.hub.subscribe(session, APP, channel, 0)
    transport.writes.clear()
    return transport


def make_clients() -> Clients:
    clients = Clients(make_hub(APP), settings(), announce=lambda _: None, now=lambda: 0.0)
    clients.ready = True
    return clients


def deliver(clients: Clients, seq: int, *channels: str, data: str = "{}") -> None:
    clients.deliver("n1~a", Message(seq, Event(app=APP.id, channels=list(channels), name="news", data=data)))


async def test_what_is_delivered_in_one_turn_is_written_once_in_order() -> None:
    """Events of several channels within one turn of the loop are one write for each client, in the stream's order."""
    clients = make_clients()
    both, one = connected(clients, "a", "b"), connected(clients, "a")
    for seq, channels in enumerate((["a"], ["b"], ["a", "b"])):
        deliver(clients, seq, *channels)
    assert both.writes == one.writes == []
    await asyncio.sleep(0)
    assert [len(transport.writes) for transport in (both, one)] == [1, 1]
    order = [
        both.writes[0].index(f'"channel":"{channel}","data":"{{}}","id":"n1~a:{seq}"'.encode())
        for channel, seq in (("a", 0), ("b", 1), ("a", 2), ("b", 2))
    ]
    assert order == sorted(order)
    assert clients.messages_out == 6


async def test_an_event_alone_is_the_same_bytes_for_all() -> None:
    """An event is encoded once, and every client is given that encoding."""
    clients = make_clients()
    transports = [connected(clients, "a") for _ in range(3)]
    deliver(clients, 1, "a")
    await asyncio.sleep(0)
    assert len({transport.writes[0] for transport in transports}) == 1


async def test_large_turns_are_written_in_parts() -> None:
    """Beyond a bound, what was gathered is written without waiting for the end of the turn."""
    clients = make_clients()
    transport = connected(clients, "a")
    deliver(clients, 1, "a", data="x" * FLUSH_BYTES)
    assert len(transport.writes) == 1
