"""A node's membership: its lease at the registry, and the configuration it gets from there.

The registry is never on the path of a message. When it is away the node goes on with the last configuration, which is
also on its disk, and keeps asking.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Literal

from wsmesh import logs
from wsmesh.contract import ClusterConfig, Figures, Heartbeat, Registration
from wsnode.adapters.registry_client import RegistryClient, RegistryRefused, RegistryUnreachable
from wsnode.adapters.state_dir import StateDir

WAIT = 25.0
"""Seconds that one question for a newer configuration stays open."""
RETRY_FIRST, RETRY_MOST = 0.5, 5.0
HEARTBEATS_PER_LEASE = 4

log = logs.get("membership")


class Membership:
    """Keeps the lease alive and the configuration current."""

    def __init__(
        self,
        *,
        registry: RegistryClient,
        state_dir: StateDir,
        registration: Registration,
        use_config: Callable[[ClusterConfig], None],
        state: Callable[[], Literal["ready", "draining"]],
        figures: Callable[[], Figures],
        random: Random,
    ) -> None:
        self.generation: int | None = None
        self.configured = asyncio.Event()
        """Set once there is a configuration, from the registry or from the disk."""
        self.entered = asyncio.Event()
        """Set once the configuration is newer than the own registration, so that of any two nodes that start together
        one at least knows the other; or once it came from the disk, since the registry is away."""
        self.reachable = False
        self.problem = "the registry has not been asked yet"
        self.refused: str | None = None
        """Why the registry does not take this node, if it does not."""
        self._registry = registry
        self._state_dir = state_dir
        self._registration = registration
        self._use_config = use_config
        self._state = state
        self._figures = figures
        self._random = random
        self._from_disk = False
        self._registered = False
        self._admitted = asyncio.Event()
        self._told: set[str] = set()
        self._entry: int | None = None
        self._wake = asyncio.Event()

    def start_from_disk(self) -> None:
        """Use the configuration of the last run until the registry gives a newer one."""
        if not self.configured.is_set() and (config := self._state_dir.last_config()) is not None:
            log.warning("config_from_disk", generation=config.generation)
            self._use(config)
            self._from_disk = True

    async def run(self) -> None:
        """Follow the configuration and keep the lease until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._keep_lease())

    async def leave(self) -> None:
        """Give the lease back; a registry that does not answer finds out when it runs out."""
        try:
            await self._registry.deregister(self._registration.id, self._registration.run)
        except (RegistryUnreachable, RegistryRefused) as problem:
            log.warning("deregister_failed", problem=str(problem))

    def tell_state(self) -> None:
        """Send a heartbeat at once: the node's state has changed."""
        self._wake.set()

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                # A configuration from the disk may be of a registry that was since replaced: ask for it whole.
                known = None if self._from_disk else self.generation
                config = await self._registry.config(known, WAIT if known is not None else 0.0)
            except (RegistryUnreachable, RegistryRefused) as problem:
                self.start_from_disk()
                self._missed(str(problem))
                failures += 1
                await asyncio.sleep(self._backoff(failures))
                continue
            failures = 0
            self._answered()
            if config is not None:
                self._from_disk = False
                if not self.configured.is_set():
                    # Of two runs with one node id, the one that is refused must not greet the peers: they would take
                    # it for the other one, restarted.
                    await self._admitted.wait()
                self._use(config)
                with self._disk_may_fail():
                    await asyncio.to_thread(self._state_dir.keep_config, config)

    def _use(self, config: ClusterConfig) -> None:
        self.generation = config.generation
        self._use_config(config)
        self.configured.set()
        self._check_entered()
        log.info("config", generation=config.generation, nodes=len(config.nodes), apps=len(config.apps))

    def _check_entered(self) -> None:
        if self._entry is not None and self.generation is not None and self.generation >= self._entry:
            self.entered.set()

    async def _keep_lease(self) -> None:
        failures = 0
        while True:
            try:
                lease_seconds = await self._beat()
            except RegistryUnreachable as problem:
                self._missed(str(problem))
                failures += 1
                await asyncio.sleep(self._backoff(failures))
                continue
            except RegistryRefused as problem:
                self._registered = False
                if problem.code not in ("unknown_node", "other_run"):
                    self._refusal(str(problem))
                    failures += 1
                    await asyncio.sleep(self._backoff(failures))
                continue
            failures = 0
            self._answered()
            await self._pause(lease_seconds / HEARTBEATS_PER_LEASE)

    async def _beat(self) -> float:
        me = self._registration
        if not self._registered:
            lease = await self._registry.register(me)
            with self._disk_may_fail():
                self._state_dir.keep_run(me.run)
            self._registered = True
            self.refused = None
            self._admitted.set()
            self._entry = lease.generation
            self._check_entered()
            log.info("registered", slot=lease.slot, generation=lease.generation)
        beat = Heartbeat(run=me.run, state=self._state(), figures=self._figures())
        return (await self._registry.heartbeat(me.id, beat)).lease_seconds

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    @contextlib.contextmanager
    def _disk_may_fail(self) -> Iterator[None]:
        """A full or broken disk is told, and costs the next start something, not this run."""
        try:
            yield
        except OSError as problem:
            log.error("state_not_kept", problem=str(problem))

    def _backoff(self, failures: int) -> float:
        return min(RETRY_MOST, RETRY_FIRST * 2.0 ** min(failures - 1, 10)) * self._random.uniform(0.5, 1.0)

    def _answered(self) -> None:
        if not self.reachable:
            log.info("registry_reachable")
        self.reachable, self.problem = True, ""
        self._told.clear()

    def _missed(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            log.warning("registry_unreachable", problem=problem)
        self.reachable, self.problem = False, problem
        if self.configured.is_set():
            self.entered.set()

    def _refusal(self, problem: str) -> None:
        if self.refused != problem:
            log.error("registry_refused", problem=problem)
        self.refused = problem
