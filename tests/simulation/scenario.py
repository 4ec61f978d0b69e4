"""What happens in one simulated run: a script drawn from its seed, of which any part can be left out to shrink it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tests.simulation.violation import Violation
from tests.simulation.world import FEW, LONG, ROOM, SHORT, World

STEPS = 300
PACE = 15.0
"""Steps in a second."""
QUIET_SECONDS = 6.5

Happening = Callable[[World, Random], object]


class Step(NamedTuple):
    """Something that happens `wait` seconds after the step before; what it draws, it draws from `seed`."""

    kind: str
    seed: int
    wait: float


def script_of(seed: int, steps: int = STEPS) -> list[Step]:
    """The script of a seed."""
    draw = Random(seed)
    kinds = draw.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=steps)
    return [Step(kind, draw.getrandbits(32), draw.expovariate(PACE)) for kind in kinds]


def world_of(seed: int) -> World:
    """The cluster of a seed."""
    draw = Random(~seed)
    names = list("abcde"[: draw.choices((2, 3, 4, 5), weights=(1, 5, 3, 1))[0]])
    return World(seed, names, clients=draw.choice((2, 3, 4)), brief=draw.random() < 0.15)


def play(seed: int, script: Sequence[Step] | None = None, *, made: Callable[[World], object] = lambda _: None) -> World:
    """Run one seed to its end, or only this part of its script; `made` is given the world first. Raises Violation."""
    world = world_of(seed)
    made(world)
    world.run(1.5)
    for step in script_of(seed) if script is None else script:
        HAPPENINGS[step.kind](world, Random(step.seed))
        world.run(step.wait)
    world.heal()
    world.rest(QUIET_SECONDS)
    world.check_quiet()
    world.check_resume()
    return world


def breaks(seed: int, script: Sequence[Step] | None = None) -> tuple[World, Violation] | None:
    """The world of a seed, or of a part of its script, that breaks a promise, and which; None: it keeps all."""
    worlds: list[World] = []
    try:
        play(seed, script, made=worlds.append)
    except Violation as violation:
        return worlds[0], violation
    return None


# --- what can happen


def publish(world: World, draw: Random) -> None:
    """Someone publishes."""
    channels = draw.choice(([LONG], [LONG], [FEW], [SHORT], [LONG, FEW], [ROOM]))
    acks = draw.choice((None, None, 0, 1, 1, 2, "all"))
    world.publisher.publish(channels, acks, retry=draw.random() < 0.5)  # type: ignore[arg-type]


def burst(world: World, draw: Random) -> None:
    """Many publish at once, at one node."""
    node = world.nodes.get(draw.choice(world.names))
    for _ in range(draw.randint(5, 20)):
        world.publisher.publish([draw.choice((LONG, FEW))], 1, retry=False, node=node)


def cut(world: World, draw: Random) -> None:
    """Two nodes do not hear each other, or one of them does not hear the other."""
    one, other = draw.sample(world.names, 2)
    pairs = {(one, other)} if draw.random() < 0.5 else {(one, other), (other, one)}
    world.network.cut |= pairs
    world.say(f"cut {sorted(pairs)}")


def split(world: World, draw: Random) -> None:
    """Some nodes do not hear the others, and perhaps are not heard either, nor by the registry."""
    some = set(draw.sample(world.names, draw.randint(1, len(world.names) - 1)))
    there = {(one, other) for one in some for other in world.names if other not in some}
    world.network.cut |= there if draw.random() < 0.3 else there | {(other, one) for one, other in there}
    if draw.random() < 0.4:
        world.registry.deaf_to |= some
    world.say(f"split {sorted(some)} off, unheard {sorted(world.registry.deaf_to)}")


def mend(world: World, draw: Random) -> None:
    """All hear each other again."""
    world.network.cut, world.network.slow = set(), set()
    world.registry.heal()
    world.say("mend")


def weather(world: World, draw: Random) -> None:
    """The network gets better or worse."""
    network = world.network
    network.loss, network.duplication = draw.choice(((0, 0), (0.1, 0.1), (0.4, 0.0), (0.0, 0.5)))
    network.slowness = draw.choice((0.002, 0.05, 0.5))
    network.slow = {draw.choice(world.names)} if draw.random() < 0.2 else set()
    world.publisher.loss = draw.choice((0.0, 0.0, 0.2))
    world.say(
        f"weather: loss {network.loss}, twice {network.duplication}, to {network.slowness} s, slow {network.slow}"
    )


def crash(world: World, draw: Random) -> None:
    """A node dies, or one that is dead comes back, perhaps with another version or a wrong clock."""
    name = draw.choice(world.names)
    if name not in world.nodes:
        error = draw.choice((0.0, 0.0, draw.uniform(-3600, 3600), world.stopped_clock()))
        world.start(name, clock_error=error, version=draw.choice((1, 1, 2)))
    elif len(world.nodes) > 1:
        world.kill(name)


def drain(world: World, draw: Random) -> None:
    """A node leaves in order."""
    name = draw.choice(world.names)
    if name in world.nodes and len(world.nodes) > 2 and not world.nodes[name].draining:
        world.drain(name)


def join(world: World, draw: Random) -> None:
    """A node joins that was not there before."""
    if len(world.names) < 6:
        world.names.append("abcdef"[len(world.names)])
        world.start(world.names[-1])


def pause(world: World, draw: Random) -> None:
    """A node freezes."""
    name = draw.choice(world.names)
    if name in world.nodes:
        world.pause(name, draw.choice((0.3, 2.0, 6.0)))


def registry(world: World, draw: Random) -> None:
    """The registry goes away or comes back, is deaf to a node, or has forgotten all nodes."""
    kind = draw.random()
    if kind < 0.5:
        world.registry.up = not world.registry.up
    elif kind < 0.8:
        world.registry.deaf_to ^= {draw.choice(world.names)}
    else:
        world.registry.forget()
    world.say(f"registry up={world.registry.up} deaf to {sorted(world.registry.deaf_to)}")


def clock(world: World, draw: Random) -> None:
    """A node's time of day jumps."""
    name = draw.choice(world.names)
    if name in world.nodes:
        world.nodes[name].clock_error = draw.uniform(-3600, 3600)
        world.say(f"clock of {name} jumps")


def client_cut(world: World, draw: Random) -> None:
    """A client's connection breaks; its node may notice much later."""
    draw.choice(world.clients).cut(draw.choice((0.0, 0.1, 5.0)))


def client_goes(world: World, draw: Random) -> None:
    """A client goes away, or comes back."""
    client = draw.choice(world.clients)
    if client.away:
        client.come()
    else:
        client.leave()


def client_slow(world: World, draw: Random) -> None:
    """A client reads slowly from its next connection on, or no longer."""
    client = draw.choice(world.clients)
    client.rate = draw.choice((0.0, 1_500.0))
    client.cut(0.0)


def innovate(world: World, draw: Random) -> None:
    """A node of the next version says something new."""
    newer = sorted(name for name, node in world.nodes.items() if node.version == 2)
    if newer:
        world.innovate(draw.choice(newer))


WEIGHTS = {
    "publish": 50,
    "burst": 4,
    "cut": 5,
    "split": 2,
    "mend": 5,
    "weather": 4,
    "crash": 4,
    "drain": 1,
    "join": 0.5,
    "pause": 2,
    "registry": 2,
    "clock": 1,
    "client_cut": 6,
    "client_goes": 4,
    "client_slow": 2,
    "innovate": 3,
}
HAPPENINGS: dict[str, Happening] = {kind: globals()[kind] for kind in WEIGHTS}
