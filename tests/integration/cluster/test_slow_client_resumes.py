"""A client that was closed since it did not read goes on from the last frame that it read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.integration.cluster.test_resume import CHANNEL, hear, resumed
from tests.integration.cluster.test_slow_client import LIMIT, PADDING, metric, stalled_client
from tests.support.clusters import PATIENT, running_cluster, set_rule, settle
from tests.support.waiting import until_async
from wsmesh.client import Publisher
from wsmesh_demo.cluster import Cluster

SETTINGS = PATIENT | {"MAX_UNSENT_BYTES": str(LIMIT), "ACTIVITY_TIMEOUT": "600"}
"""A client that does not read answers no ping either: it must not be closed for that first."""


class Reader:
    """A client that keeps its position as docs/client-protocol.md says, and the events that it read."""

    def __init__(self) -> None:
        self.position: dict[str, int] = {}
        self.events: list[tuple[str, str]] = []

    def read(self, message: dict[str, Any]) -> None:
        """Take the next message."""
        match message["event"]:
            case "pusher_internal:subscription_succeeded" | "pusher_internal:position":
                self.position = json.loads(message["data"])["position"]
            case "e":
                self.events.append((message["id"], message["data"]))
                stream, _, seq = message["id"].rpartition(":")
                self.position[stream] = int(seq)


async def test_a_client_that_did_not_read_gets_the_rest_when_it_comes_back(tmp_path: Path) -> None:
    """What it had not read follows at whichever node it comes to, once and in order, and nothing that it had read."""
    async with running_cluster(tmp_path / "cluster", nodes=2, node_settings=SETTINGS) as cluster:
        await set_rule(cluster, CHANNEL, history_messages=10_000)
        await settle(cluster)
        url, app = cluster.nodes[1].client_url, cluster.app
        sent: list[tuple[str, str]] = []
        async with Publisher(url, app.id, publish_key=app.publish_key, timeout=60) as publisher:

            async def publish(acks: int) -> None:
                data = f"{len(sent)} {PADDING}"
                sent.append(((await publisher.publish([CHANNEL], "e", data, acks=acks))["id"], data))

            reader = Reader()
            with stalled_client(cluster, CHANNEL, position={}) as stalled:
                await reaches(cluster, "wsmesh_subscriptions", 1)
                while await metric(cluster, "wsmesh_slow_clients_closed_total") == 0:
                    for _ in range(20):
                        await publish(0)
                    assert len(sent) < 5_000, "a client that does not read was never closed"
                for message in await asyncio.to_thread(stalled.rest):
                    reader.read(message)
                # The close frame comes behind all that was unsent, so a client may have been cut before it.
                close = stalled.protocol.close_rcvd
                assert close is None or close.code == 4200
                await reaches(cluster, 'wsmesh_connections_closed_total{code="4200"}', 1)
            for _ in range(5):
                await publish(1)
            read = len(reader.events)
            assert 0 < read < len(sent)
            assert reader.events == sent[:read]
            assert len({event.rpartition(":")[0] for event, _ in sent}) == 1

            for number in (1, 2):
                ws, answer = await resumed(cluster, number, reader.position)
                assert answer["recovered"] is True
                missed = len(sent) - read
                await publish(1)
                heard = [await hear(ws) for _ in range(missed + 1)]
                assert [(message["id"], message["data"]) for message in heard] == sent[read:]
                await ws.close()


async def reaches(cluster: Cluster, name: str, value: float) -> None:
    """Wait until a metric of node 1 has a value."""

    async def reached() -> bool:
        return await metric(cluster, name) == value

    await until_async(reached, 60)
