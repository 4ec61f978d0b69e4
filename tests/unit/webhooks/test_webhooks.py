from __future__ import annotations

import json
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.webhooks.world import APP, Node, World
from wsmesh.contract import Webhook
from wsnode.domain.messages import HookEvent, WebhookDecided, WebhookTold
from wsnode.domain.webhook import HookLimits
from wsnode.domain.webhook_look import Present
from wsnode.domain.webhooks import HAND_OVER

CHANNELS = [f"presence-{number}" for number in range(6)]
USERS = ["ann", "bob", "cem"]
THERE = Present(occupied=True, number=1)
seeds = settings(max_examples=60, deadline=None)


def names(world: World) -> list[str]:
    return [event.name for event in world.received]


def started(world: World, *nodes: str) -> World:
    """The nodes have met, and what they wait for at first is over."""
    world.add(*nodes)
    world.run(HAND_OVER + 0.5)
    return world


def stir(world: World, steps: int) -> None:
    """Channels change at random, in quick succession and with pauses."""
    random = world.random
    for _ in range(steps):
        users = tuple(sorted(random.sample(USERS, random.randrange(len(USERS) + 1))))
        world.change(random.choice(CHANNELS), Present(occupied=bool(users), members=users, number=len(users)))
        world.run(random.choice([0.1, 0.3, 1.0, 2.5]))


def agrees(world: World) -> None:
    """The receiver knows each channel as it is."""
    seen = {channel: (view.occupied, set(view.members), view.number) for channel, view in world.folded().items()}
    assert seen == world.expected()


@seeds
@given(st.integers())
def test_undisturbed_each_change_is_told_once(seed: int) -> None:
    """With all nodes alive the receiver follows every channel, and is told nothing that it knows."""
    world = started(World(Random(seed)), "n1", "n2", "n3")
    stir(world, 25)
    world.run(10)
    agrees(world)
    assert world.repeated() == []
    assert not any(node.webhooks.busy for node in world.nodes.values())


@seeds
@given(st.integers())
def test_a_receiver_that_fails_is_told_later(seed: int) -> None:
    """Refused requests are repeated until they are taken, and tell nothing twice."""
    world = started(World(Random(seed)), "n1", "n2", "n3")
    for _ in range(4):
        world.healthy = not world.healthy
        stir(world, 6)
    world.healthy = True
    world.run(80)
    agrees(world)
    assert world.repeated() == []


@seeds
@given(st.integers())
def test_a_node_that_joins_or_leaves_in_order_repeats_nothing(seed: int) -> None:
    """A new node knows what was told, and its share changes hands without an event told twice."""
    world = started(World(Random(seed)), "n1", "n2")
    stir(world, 8)
    world.add("n3")
    stir(world, 8)
    world.run(1)
    remaining = [name for name in world.nodes if name != "n1"]
    for node in world.nodes.values():
        node.webhooks.set_tellers(remaining, world.now)
    stir(world, 4)
    world.run(HAND_OVER)
    del world.nodes["n1"]
    stir(world, 4)
    world.run(10)
    agrees(world)
    assert world.repeated() == []


@seeds
@given(st.integers())
def test_a_killed_node_is_taken_over_from(seed: int) -> None:
    """After a node died in the midst of things, the receiver still comes to know each channel as it is."""
    world = started(World(Random(seed)), "n1", "n2", "n3")
    stir(world, 8)
    world.kill("n2")
    stir(world, 8)
    world.add("n2")
    stir(world, 4)
    world.kill("n3")
    world.run(15)
    agrees(world)


def test_one_node_tells() -> None:
    """All events of a channel come from one node, and different channels have different ones."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    for number in range(30):
        world.change(f"c{number}", THERE)
    world.run(2)
    tellers = {event["channel"]: node for _, node, body in world.requests for event in json.loads(body)["events"]}
    assert len(tellers) == 30
    assert set(tellers.values()) == {"n1", "n2", "n3"}
    assert names(world).count("channel_occupied") == 30


def test_what_the_dead_teller_had_told_is_not_told_again() -> None:
    """Once the others know that it is told, a dead node's news is not told by the next one."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    world.change("c", THERE)
    world.run(2)
    [(_, teller, _)] = world.requests
    world.kill(teller)
    world.run(HAND_OVER + 2)
    assert len(world.requests) == 1
    world.change("c", Present())
    world.run(5)
    assert names(world) == ["channel_occupied", "subscription_count", "subscription_count", "channel_vacated"]


def test_what_the_dead_teller_had_not_told_is_told() -> None:
    """What a node could not tell before it died, the next one does."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    world.healthy = False
    world.change("c", THERE)
    world.run(2)
    world.healthy = True
    teller = world.requests[0][1]
    world.kill(teller)
    world.run(HAND_OVER + 2)
    assert names(world) == ["channel_occupied", "subscription_count"]


def test_a_restarted_node_learns_what_it_had_told() -> None:
    """A node that died and is back before anybody took over knows from the others what it told before."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    world.change("c", THERE)
    world.run(2)
    teller = world.requests[0][1]
    del world.nodes[teller]
    world.change("c", Present())
    world.run(0.5)
    world.add(teller)
    world.run(10)
    assert {node for _, node, _ in world.requests} == {teller}
    assert names(world) == ["channel_occupied", "subscription_count", "subscription_count", "channel_vacated"]


def test_a_reconnect_tells_nothing() -> None:
    """A channel that is empty for less than the delay was never vacated."""
    world = started(World(Random(1), HookLimits(delay=3.0)), "n1", "n2")
    world.change("c", THERE)
    world.run(1)
    for _ in range(5):
        world.change("c", Present())
        world.run(2)
        world.change("c", THERE)
        world.run(1)
    assert names(world) == ["channel_occupied", "subscription_count"]


def test_a_miss_is_told_once_wherever_it_was() -> None:
    """A cache miss at any node is told by the channel's teller; another one a moment later is the same."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    world.nodes["n1"].webhooks.missed("shop", "cache-a", world.now)
    world.nodes["n1"].webhooks.missed("shop", "cache-a", world.now + 0.5)
    world.run(3)
    assert world.received == [HookEvent("cache_miss", "cache-a")]
    world.nodes["n2"].webhooks.missed("shop", "cache-a", world.now)
    world.run(3)
    assert len(world.received) == 2
    assert not any(node.webhooks.busy for node in world.nodes.values())


def test_a_new_webhook_is_told_what_is_there() -> None:
    """A webhook that is added is told of the channels that are occupied, and the old one nothing again."""
    world = started(World(Random(1)), "n1", "n2")
    world.change("c", Present(occupied=True))
    world.run(2)
    more = msgspec.structs.replace(APP, webhooks=[*APP.webhooks, Webhook(name="new", url="https://b.example/")])
    for node in world.nodes.values():
        node.webhooks.apply([more], world.now)
    world.run(2)
    assert names(world) == ["channel_occupied", "channel_occupied"]
    assert len({body for _, _, body in world.requests}) == 2


def test_channels_and_events_that_a_webhook_does_not_want() -> None:
    """Only wanted events of matching channels are told, and a user's own channel never."""
    hook = Webhook(name="all", url="https://a.example/", events=("channel_vacated",), channels="order-*")
    world = World(Random(1), app=msgspec.structs.replace(APP, webhooks=[hook]))
    started(world, "n1", "n2")
    for channel in ("order-1", "news", "#server-to-user-1"):
        world.change(channel, THERE)
    world.run(2)
    assert world.requests == []
    for channel in ("order-1", "news", "#server-to-user-1"):
        world.change(channel, Present())
    world.run(3)
    assert world.received == [HookEvent("channel_vacated", "order-1")]


def test_a_deleted_webhook_is_told_nothing_more() -> None:
    """What waits for a webhook goes with it, also when its request is on its way."""
    world = started(World(Random(1)), "n1")
    world.healthy = False
    world.change("c", THERE)
    world.run(0.5)
    world.nodes["n1"].webhooks.apply([msgspec.structs.replace(APP, webhooks=[])], world.now)
    world.healthy = True
    world.run(80)
    assert world.received == []
    assert not world.nodes["n1"].webhooks.busy


def test_what_is_given_up_is_counted_and_goes_for_told() -> None:
    """After five minutes without success events are dropped for good, and nobody tells them later."""
    world = started(World(Random(1), HookLimits(delay=1.0, retry_seconds=20.0)), "n1", "n2")
    world.healthy = False
    world.change("c", THERE)
    world.run(70)
    assert sum(hook.events_dropped for node in world.nodes.values() for hook in node.webhooks.hooks.values()) == 2
    assert not any(node.webhooks.busy for node in world.nodes.values())
    world.healthy = True
    world.change("c", Present())
    world.run(90)
    assert names(world) == ["subscription_count", "channel_vacated"]


def test_memory_is_bounded_by_the_queue() -> None:
    """While a receiver fails, no more than the bound is put in its queue; the rest is told when there is room."""
    world = started(World(Random(1), HookLimits(delay=1.0, queue=10)), "n1")
    world.healthy = False
    for number in range(100):
        world.change(f"c{number}", Present(occupied=True))
    world.run(2)
    [hook] = world.nodes["n1"].webhooks.hooks.values()
    assert len(hook.queue) == 10
    world.healthy = True
    world.run(80)
    assert names(world) == ["channel_occupied"] * 100
    assert world.repeated() == []


def test_messages_about_a_webhook_that_is_not_known_yet() -> None:
    """A node whose configuration comes late knows what was decided and told of a new webhook before."""
    node = Node("n1", Random(1), HookLimits())
    node.webhooks.begin([], 0, 0.0)
    events = [HookEvent("channel_occupied", "c"), HookEvent("channel_occupied", "d")]
    node.webhooks.take("n2~1", 1, 0, WebhookDecided("shop", "all", events), 0.0)
    node.webhooks.take("n2~1", 2, 0, WebhookTold("shop", "all", ["n2~1:1/0"]), 0.0)
    node.webhooks.apply([APP], 0.0)
    hook = node.webhooks.hooks["shop", "all"]
    assert hook.views["c"].occupied
    assert hook.pending == {"n2~1:1/1": events[1]}


def test_nothing_is_told_that_no_other_node_knows_of() -> None:
    """What a node has decided, but nobody else heard of, was not told by it; the next one decides anew."""
    world = started(World(Random(1)), "n1", "n2", "n3")
    world.lag = 1e9
    for node in world.nodes.values():
        node.seen["c"] = THERE
        node.webhooks.observed("shop", "c")
    world.run(5)
    assert world.requests == []
    [teller] = [node.name for node in world.nodes.values() if node.posts]
    world.lag = 0.1
    world.kill(teller)
    world.run(HAND_OVER + 2)
    assert names(world) == ["channel_occupied", "subscription_count"]
