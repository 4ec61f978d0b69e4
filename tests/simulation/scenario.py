"""What happens in one simulated run, drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.world import World

STEPS = 120
HEAL_SECONDS = 12.0


def play(seed: int, *, steps: int = STEPS, made: Callable[[World], object] = lambda _: None) -> World:
    """Run one seed to its end, or only so many steps of it; `made` is given the world first. Raises Violation."""
    world = World(seed)
    made(world)
    world.run_until(world.now + 2)
    for _ in range(steps):
        step(world)
        world.run_until(world.now + world.random.expovariate(4))
    heal(world)
    world.run_until(world.now + HEAL_SECONDS)
    world.check_end()
    return world


def step(world: World) -> None:
    """One thing that happens: mostly publishes, sometimes a fault, sometimes its end."""
    draw = world.random
    name = draw.choice(world.names)
    other = draw.choice([one for one in world.names if one != name])
    kind = draw.choices(
        ("publish", "burst", "cut", "mend", "weather", "kill", "pause", "registry", "clock"),
        weights=(50, 10, 10, 8, 6, 3, 4, 4, 2),
    )[0]
    if kind == "publish" and name in world.runs:
        world.publish(name)
    elif kind == "burst" and name in world.runs:
        for _ in range(draw.randint(5, 25)):
            world.publish(name)
    elif kind == "cut":
        pairs = {(name, other)} if draw.random() < 0.5 else {(name, other), (other, name)}
        world.cut |= pairs
        world.say(f"cut {sorted(pairs)}")
    elif kind == "mend":
        world.cut = set()
        world.off_registry = set()
        world.say("mend")
    elif kind == "weather":
        world.loss, world.duplication = draw.choice(((0, 0), (0.1, 0.1), (0.4, 0.0), (0.0, 0.5)))
        world.slowness = draw.choice((0.002, 0.05, 0.5))
        world.say(f"weather loss={world.loss} duplication={world.duplication} slowness={world.slowness}")
    elif kind == "kill":
        kill_or_restart(world, name)
    elif kind == "pause" and name in world.runs:
        world.pause(name, draw.choice((0.5, 2.0, 8.0)))
    elif kind == "registry":
        if draw.random() < 0.5:
            world.registry_up = not world.registry_up
        else:
            world.off_registry ^= {name}
        world.say(f"registry up={world.registry_up} unheard={sorted(world.off_registry)}")
    elif kind == "clock" and name in world.runs:
        world.runs[name].clock_error = draw.uniform(-3600, 3600)


def kill_or_restart(world: World, name: str) -> None:
    """Kill a node that runs, or start one that does not."""
    if name not in world.runs:
        world.start(name)
    elif len(world.runs) > 2:
        world.kill(name)


def heal(world: World) -> None:
    """End all faults, and start what does not run."""
    world.cut, world.loss, world.duplication, world.slowness = set(), 0.0, 0.0, 0.01
    world.registry_up, world.off_registry = True, set()
    for name in world.names:
        if name not in world.runs:
            world.start(name)
    for run in world.runs.values():
        run.paused_until = min(run.paused_until, world.now + 1)
    world.say("heal")
