from __future__ import annotations

from random import Random

import pytest

from tests.unit.webhooks.world import Node as NoHub
from wsmesh.contract import App, ChannelRule, Node, NodeState, Webhook
from wsnode.adapters.mesh_client import PeerFailed
from wsnode.domain.directory import Directory
from wsnode.domain.mesh import Member, Mesh, MeshLimits
from wsnode.domain.messages import HookEvent, WebhookDecided
from wsnode.domain.publish_bodies import Acks
from wsnode.domain.webhook import HookLimits
from wsnode.domain.webhook_tellers import eligible
from wsnode.domain.webhooks import Share, ShareQuery, Webhooks
from wsnode.domain.wire import Snapshot
from wsnode.publishing import InsufficientAcks, Published
from wsnode.webhook_cluster import WebhookCluster

APP = App(id="shop", key="k", secret="s", webhooks=[Webhook(name="all", url="https://a.example/")])


class Peers:
    """What peers say: a share, nothing, or that they do not know yet."""

    def __init__(self, silent: str = "", new: str = "") -> None:
        self.silent = silent
        self.new = new
        self.acknowledged_by: list[str] | None = ["n2"]
        self.asked: list[int] = []

    async def webhook_share(self, address: str, query: ShareQuery) -> Share:
        """See Asker."""
        node = address.removeprefix("http://")
        if node == self.silent:
            raise PeerFailed("no answer within 3 s")
        event = HookEvent("channel_occupied", f"{node} of {' '.join(query.among)}")
        return Share(node != self.new, [WebhookDecided("shop", "all", [event])], [])

    async def publish(self, payload: object, acks: Acks | None) -> Published:
        """See Stream."""
        raise NotImplementedError

    async def acknowledged(self, stream: str, seq: int, acks: Acks | None) -> Published:
        """See Stream."""
        assert isinstance(acks, int)
        self.asked.append(acks)
        if self.acknowledged_by is None:
            raise InsufficientAcks("n1~1:1", acks, [])
        return Published("n1~1:1", self.acknowledged_by)


def cluster(peers: Peers, nodes: int = 3) -> tuple[WebhookCluster, Mesh, Webhooks]:
    """Node n1 of several that are up."""
    mesh = Mesh(
        node="n1",
        stream="n1~1",
        location="here",
        address="http://n1",
        limits=MeshLimits(),
        uniform=Random(1).uniform,
        snapshot=Snapshot,
    )
    members = [f"n{number}" for number in range(1, nodes + 1)]
    mesh.set_members([Member(name, f"http://{name}") for name in members], 0.0)
    for peer in mesh.peers.values():
        peer.state = "up"
    webhooks = Webhooks("n1~1", HookLimits(), NoHub("n1", Random(1), HookLimits()), Random(1).uniform)
    webhooks.apply([APP], 0.0)
    made = WebhookCluster(mesh=mesh, stream=peers, webhooks=webhooks, asker=peers, clock=lambda: 0.0)
    made.use([node(name) for name in members])
    return made, mesh, webhooks


def node(name: str, state: NodeState = "ready") -> Node:
    return Node(
        id=name,
        run=f"{name}~1",
        slot=1,
        location="here",
        client_address="127.0.0.1:7000",
        mesh_address=f"http://{name}",
        state=state,
    )


def tellers(webhooks: Webhooks) -> set[str]:
    return set(webhooks._tellers.nodes)


def test_ready_nodes_tell_and_draining_ones_where_there_are_no_others() -> None:
    """A node that drains or is down tells nothing, unless only draining ones are left."""
    assert eligible({"n1": "ready", "n2": "draining", "n3": "ready"}, {"n3"}) == {"n1"}
    assert eligible({"n1": "draining", "n2": "draining", "n3": "ready"}, {"n3", "n2"}) == {"n1"}
    assert eligible({}, set()) == set()


def test_a_node_that_leaves_leaves_its_channels() -> None:
    """From when it stops, a node counts itself among those that drain."""
    made, _, webhooks = cluster(Peers())
    made.agree(leaving=False)
    assert tellers(webhooks) == {"n1", "n2", "n3"}
    made.agree(leaving=True)
    assert tellers(webhooks) == {"n2", "n3"}


@pytest.mark.parametrize(
    ("nodes", "up", "registry", "tells"),
    [(3, 0, True, True), (3, 0, False, False), (3, 1, False, True), (4, 1, False, False), (1, 0, False, True)],
)
def test_a_node_that_is_cut_off_tells_nothing(nodes: int, up: int, registry: bool, tells: bool) -> None:
    """Without the registry, a node tells only while it reaches more than half of the nodes, itself included."""
    made, mesh, webhooks = cluster(Peers(), nodes)
    mesh.registry_reachable = registry
    for peer in list(mesh.peers.values())[up:]:
        peer.state = "down"
    made.agree(leaving=False)
    assert ("n1" in tellers(webhooks)) is tells


async def test_a_node_that_begins_learns_from_all() -> None:
    """Each peer says its share of what it knows."""
    made, _, webhooks = cluster(Peers())
    await made.learn(since=0)
    assert set(webhooks.hooks["shop", "all"].views) == {"n2 of n2 n3", "n3 of n2 n3"}


async def test_a_node_that_begins_asks_again_when_one_knows_nothing() -> None:
    """For a peer that does not answer, and one that has only begun itself, the others answer."""
    made, _, webhooks = cluster(Peers(silent="n3", new="n4"), nodes=5)
    await made.learn(since=0)
    assert set(webhooks.hooks["shop", "all"].views) == {"n2 of n2 n5", "n5 of n2 n5"}


async def test_a_node_that_begins_alone() -> None:
    """Without anybody who knows anything a node begins with nothing."""
    made, _, webhooks = cluster(Peers(new="n2"), nodes=2)
    await made.learn(since=0)
    assert webhooks.hooks["shop", "all"].views == {}
    assert webhooks.share(ShareQuery(["n1"])).begun


async def test_telling_waits_for_another_node_but_not_for_ever() -> None:
    """One other node that is up must have the own stream; a lonely node waits for nobody."""
    peers = Peers()
    made, mesh, _ = cluster(peers)
    await made.held()
    peers.acknowledged_by = None
    await made.held()
    for peer in mesh.peers.values():
        peer.state = "down"
    await made.held()
    assert peers.asked == [1, 1, 0]


@pytest.mark.parametrize(
    ("webhooks", "channel", "watched"),
    [
        ([], "news", False),
        ([{"events": ["channel_occupied"]}], "news", True),
        ([{"events": ["channel_vacated"], "channels": "n*"}], "news", True),
        ([{"events": ["channel_vacated"], "channels": "n*"}], "other", False),
        ([{"events": ["member_added", "cache_miss", "subscription_count"]}], "news", False),
        ([{"events": ["channel_occupied"]}], "#server-to-user-1", False),
    ],
)
def test_which_channels_are_watched(webhooks: list[dict[str, object]], channel: str, watched: bool) -> None:
    """Nodes tell each other of a channel's first and last subscriber only where a webhook wants to know."""
    made = [Webhook(name=f"h{n}", url="https://a.example/", **more) for n, more in enumerate(webhooks)]  # type: ignore[arg-type]
    app = App(id="shop", key="k", secret="s", webhooks=made, rules=[ChannelRule(pattern="*")])
    assert Directory([app]).is_watched(app, channel) is watched
