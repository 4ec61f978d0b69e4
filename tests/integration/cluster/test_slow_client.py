"""One client that does not read: bounded, closed, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from tests.support.clusters import running_cluster
from tests.support.listening import Listener, listening
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

CHANNEL = "firehose"
LIMIT = 262_144
PADDING = "x" * 8_000
ROUNDS = 200


@dataclass
class Stalled:
    """A subscriber that has stopped reading."""

    sock: socket.socket
    protocol: ClientProtocol

    def rest(self) -> list[dict[str, Any]]:
        """Read on to the end of the connection; the messages that had been sent before it, whole ones only."""
        self.sock.settimeout(60)
        try:
            while data := self.sock.recv(65_536):
                self.protocol.receive_data(data)
        except ConnectionResetError:
            pass  # what had arrived by then counts all the same
        frames = [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return [json.loads(bytes(frame.data)) for frame in frames if frame.opcode is Opcode.TEXT]


@contextmanager
def stalled_client(cluster: Cluster, channel: str = CHANNEL, **subscribe: Any) -> Iterator[Stalled]:
    """A subscriber of node 1 with a small receive buffer that reads its first answers and then nothing more.

    `subscribe` is what its subscribe says beside the channel.
    """
    node = cluster.nodes[1]
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{node.client_port}/app/{cluster.app.key}?protocol=7"))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        sock.connect(("127.0.0.1", node.client_port))
        protocol.send_request(protocol.connect())
        sock.sendall(b"".join(protocol.data_to_send()))
        while protocol.state is not OPEN:
            protocol.receive_data(sock.recv(4096))
        protocol.events_received()
        message = json.dumps({"event": "pusher:subscribe", "data": {"channel": channel} | subscribe})
        protocol.send_text(message.encode())
        sock.sendall(b"".join(protocol.data_to_send()))
        yield Stalled(sock, protocol)


async def metric(cluster: Cluster, name: str) -> float:
    """The value of a metric of node 1."""
    async with aiohttp.ClientSession() as http, http.get(f"{cluster.nodes[1].client_url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def latencies(cluster: Cluster, listeners: Sequence[Listener], rounds: int) -> list[list[float]]:
    """Seconds from each publish at node 2 to its arrival at each listener, one message after the other."""
    url = f"{cluster.nodes[2].client_url}/apps/{cluster.app.id}/events?acks=0"
    headers = {"Authorization": f"Bearer {cluster.app.publish_key}"}
    took: list[list[float]] = [[] for _ in listeners]
    async with aiohttp.ClientSession(headers=headers) as http:
        for number in range(rounds):
            heard = [len(listener.events) for listener in listeners]
            body = {"name": "e", "channel": CHANNEL, "data": json.dumps({"n": number, "padding": PADDING})}
            began = time.monotonic()
            async with http.post(url, json=body) as answer:
                assert answer.status == 200, await answer.text()
            for listener, before, times in zip(listeners, heard, took, strict=True):
                await until(lambda listener=listener, before=before: len(listener.events) > before)  # type: ignore[misc]
                times.append(listener.times[before] - began)
    return took


async def test_others_do_not_wait_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    """Beside a stalled client deliveries take as long as at a node without; it is closed at its limit, counted once."""
    settings = {"MAX_UNSENT_BYTES": str(LIMIT)}
    async with (
        running_cluster(tmp_path / "cluster", node_settings=settings) as cluster,
        listening(cluster.nodes[1].client_url, cluster.app.key, CHANNEL) as reader,
        listening(cluster.nodes[3].client_url, cluster.app.key, CHANNEL) as elsewhere,
    ):
        await latencies(cluster, [reader, elsewhere], ROUNDS)
        with stalled_client(cluster):
            await until_async(lambda: metric(cluster, "wsmesh_subscriptions"), 2)
            # Both at the same moments: what else the machine does makes both slower.
            beside: list[float] = []
            alone: list[float] = []
            most = 0.0
            while await metric(cluster, "wsmesh_slow_clients_closed_total") == 0:
                at_node_1, at_node_3 = await latencies(cluster, [reader, elsewhere], 50)
                beside += at_node_1
                alone += at_node_3
                most = max(most, await metric(cluster, "wsmesh_unsent_bytes"))
                assert len(beside) < 5_000, "a client that does not read was never closed"
            assert await metric(cluster, "wsmesh_subscriptions") == 1
            assert most <= LIMIT + 2 * len(PADDING)
        ratio = statistics.median(beside) / statistics.median(alone)
        assert ratio < 2, f"deliveries took {ratio:.2f} times as long beside a client that does not read"
        assert await metric(cluster, "wsmesh_slow_clients_closed_total") == 1
        assert reader.closed is None
        assert [event["data"]["n"] for event in reader.events[:ROUNDS]] == list(range(ROUNDS))


async def until_async(read: object, wanted: float) -> None:
    """Wait until a metric has a value."""
    async with asyncio.timeout(10):
        while await read() != wanted:  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
