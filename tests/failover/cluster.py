"""The cluster in containers: a registry, five nodes and two HAProxys in two locations, joined by the tests' links."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig, IPAMConfig, IPAMPool
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from tests.failover.links import Links
from wsmesh.registry_client import RegistryClient, RegistryUnreachable
from wsmesh_demo.haproxy import render
from wsnode.adapters.mesh_client import MeshClient, PeerFailed
from wsnode.domain.wire import Pull, Pulled

ROOT = Path(__file__).parents[2]
OWNER = "wsmesh-failover-owner"
"""Label of everything here: the id of the process whose it is."""
LOCATIONS = {"n1": "east", "n2": "east", "n3": "east", "n4": "west", "n5": "west"}
NODES = list(LOCATIONS)
PATIENCE = 60.0
"""Seconds for what normally takes less than five."""
HISTORY = {"history_messages": 5000, "history_seconds": 300}

HAPROXY_START = """\
[ -e /balancer/haproxy.cfg ] || haproxy-sync --once
haproxy-sync --watch &
exec haproxy -db -f /balancer/haproxy.cfg
"""


def sweep(mine: bool = True) -> None:
    """Remove what is left of this process, or of those that have ended."""
    client = DockerClient().client

    def ours(labels: dict[str, str]) -> bool:
        owner = labels.get(OWNER, "")
        return owner == str(os.getpid()) if mine else not Path(f"/proc/{owner}").exists()

    for container in client.containers.list(all=True, filters={"label": OWNER}, ignore_removed=True):
        if ours(container.labels):
            with contextlib.suppress(NotFound, APIError):
                container.remove(force=True, v=True)
    for network in client.networks.list(filters={"label": OWNER}):
        if ours(network.attrs["Labels"]):
            with contextlib.suppress(NotFound, APIError):
                network.remove()
    client.close()


@dataclass
class Cluster:
    """Everything in containers. `links` is between them."""

    tag: str
    folder: Path
    drain: float
    links: Links = field(default_factory=lambda: Links(Random(4)))
    containers: dict[str, Container] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    app: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    """Node -> its slot's name."""
    backup: str = ""

    def __post_init__(self) -> None:
        self._docker = DockerClient().client
        self._networks: dict[str, Network] = {}
        self._seats: dict[str, str] = {}
        """Location -> the address in it of the other location's HAProxy, since Docker routes between no networks."""
        self._http: aiohttp.ClientSession
        self._keys = {"admin": secrets.token_urlsafe(32), "cluster": secrets.token_urlsafe(32)}
        self._ports: dict[str, int] = {}

    # --- starting

    async def __aenter__(self) -> Cluster:
        """Start all of it. The registry's backup is made before the last node comes."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0))
        self.folder.mkdir(parents=True, exist_ok=True)
        for location in ("east", "west"):
            self._networks[location] = await asyncio.to_thread(self._network, location)
        await self._serve_links()
        registry = {"API_KEY": self._keys["admin"], "ALLOW_PLAINTEXT": "registry", "LOG_FORMAT": "json"}
        backup = str(ROOT / "roles/wsupdates/files/wsupdates-backup.py")
        await self._start("registry", "east", f"wsmesh-registry:{self.tag}", registry, {backup: "/opt/backup.py"})
        await self.until("the registry serves", self._registry_ready)
        for role in ("node", "balancer"):
            self._keys[role] = await self.execute(
                "registry", "wsupdates", "keys", "create", "--role", role, "--name", role
            )
        async with self.registry() as registry_client:
            self.app = await registry_client.create_app({"name": "failover"})
            key = await registry_client.new_publish_key(self.app["id"])
            self.app["publish_key"] = key["publish_key"]
            await registry_client.set_rule(self.app["id"], "*", HISTORY)
        await asyncio.gather(*(self._start_node(node) for node in NODES[:-1]))
        await self.until("all nodes but the last are registered", lambda: self._registered(len(NODES) - 1))
        script = ("python", "/opt/backup.py", "save", "--into", "/var/lib/wsmesh")
        self.backup = await self.execute("registry", *script)
        await self._start_node(NODES[-1])
        await asyncio.gather(*(self._start_haproxy(location) for location in ("east", "west")))
        await self.until("all nodes are registered", lambda: self._registered(len(NODES)))
        await self.well()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keep the logs, remove everything."""
        try:
            await self._http.close()
            await asyncio.to_thread(self._keep_logs)
            await self.links.close()
        finally:
            await asyncio.to_thread(sweep)
            self._docker.close()

    def _network(self, location: str) -> Network:
        # Addresses must be given to keep them over a restart, and Docker gives them in a named range only.
        order = list(range(1, 250))
        Random().shuffle(order)
        for third in order:
            pool = IPAMPool(subnet=f"198.19.{third}.0/24", gateway=f"198.19.{third}.1")
            try:
                network = self._docker.networks.create(
                    f"wsmesh-failover-{os.getpid()}-{location}",
                    ipam=IPAMConfig(pool_configs=[pool]),
                    labels={OWNER: str(os.getpid())},
                )
            except APIError as problem:
                if "overlap" in str(problem):
                    continue
                raise
            prefix = f"198.19.{third}"
            self.addresses[f"gateway-{location}"] = f"{prefix}.1"
            self.addresses[f"haproxy-{location}"] = f"{prefix}.20"
            self._seats[location] = f"{prefix}.30"
            if location == "east":
                self.addresses["registry"] = f"{prefix}.10"
            for node, where in LOCATIONS.items():
                if where == location:
                    self.addresses[node] = f"{prefix}.10{node[1:]}"
            return network
        raise AssertionError("no free network in 198.19.0.0/16")

    async def _serve_links(self) -> None:
        self.links.names = {address: name for name, address in self.addresses.items()}
        self.links.names |= {self._seats["west"]: "haproxy-east", self._seats["east"]: "haproxy-west"}
        host = self.addresses["gateway-east"]
        for target, port in {"registry": 8000, **dict.fromkeys(NODES, 7100)}.items():
            self._ports[target] = await self.links.serve(host, target, (self.addresses[target], port))

    def _via_links(self, target: str) -> str:
        return f"http://{self.addresses['gateway-east']}:{self._ports[target]}"

    async def _start(
        self, name: str, location: str, image: str, env: dict[str, str], volumes: dict[str, str], **more: Any
    ) -> None:
        def start() -> Container:
            network, version = self._networks[location].name, self._docker.version()["ApiVersion"]
            container = DockerContainer(image).with_name(f"wsmesh-failover-{os.getpid()}-{name}")
            for key, value in env.items():
                container.with_env(key, value)
            for source, target in volumes.items():
                container.with_volume_mapping(source, target, "rw" if target == "/balancer" else "ro")
            endpoint = EndpointConfig(version, ipv4_address=self.addresses[name])
            labels, quiet = {OWNER: str(os.getpid())}, {"test": ["NONE"]}
            place = {"network": network, "networking_config": {network: endpoint}}
            container.with_kwargs(labels=labels, healthcheck=quiet, **place, **more)
            return container.start().get_wrapped_container()

        self.containers[name] = await asyncio.to_thread(start)

    async def _start_node(self, node: str) -> None:
        environment = {
            "NODE_ID": node,
            "LOCATION": LOCATIONS[node],
            "WS_UPDATES_URL": self._via_links("registry"),
            "WS_UPDATES_KEY": self._keys["node"],
            "CLUSTER_KEY": self._keys["cluster"],
            "CLIENT_ADDRESS": f"{self.addresses[node]}:7000",
            "MESH_ADDRESS": self._via_links(node),
            "ALLOW_PLAINTEXT": "client,mesh",
            "DRAIN_SECONDS": str(self.drain),
            "LOG_FORMAT": "json",
        }
        await self._start(node, LOCATIONS[node], f"wsmesh-node:{self.tag}", environment, {})

    async def _start_haproxy(self, location: str) -> None:
        folder = self.folder / f"haproxy-{location}"
        folder.mkdir(parents=True, exist_ok=True)
        # All else is as the role has it by default.
        variables = {
            "haproxy_bind": "*:8080",
            "haproxy_socket": "/tmp/admin.sock",
            "haproxy_draining_file": "/balancer/draining.lst",
            "haproxy_metrics_bind": "*:8405",
            "haproxy_maxconn": 4000,
        }
        (folder / "base.cfg").write_text(render(variables))
        (folder / "start").write_text(HAPROXY_START)
        environment = {
            "WS_UPDATES_URL": self._via_links("registry"),
            "WS_UPDATES_KEY": self._keys["balancer"],
            "LOCATION": location,
            "HAPROXY_BASE": "/balancer/base.cfg",
            "HAPROXY_CONFIG": "/balancer/haproxy.cfg",
            "HAPROXY_SOCKET": "/tmp/admin.sock",
            "DRAINING_FILE": "/balancer/draining.lst",
            "STATE_FILE": "/balancer/state.json",
            "LOCK_FILE": "/tmp/sync.lock",
            "PATH": "/opt/wsmesh/bin:/usr/sbin:/usr/bin:/bin",
        }
        image, volumes = f"wsmesh-node:{self.tag}", {str(folder): "/balancer"}
        await self._start(
            f"haproxy-{location}",
            location,
            image,
            environment,
            volumes,
            user="root",
            entrypoint=["sh", "/balancer/start"],
        )
        other = "west" if location == "east" else "east"
        container, seat = self.containers[f"haproxy-{location}"], self._seats[other]
        await asyncio.to_thread(self._networks[other].connect, container, ipv4_address=seat)

    # --- asking

    def balancer(self, location: str) -> tuple[str, int]:
        """Where clients and publishers of a location go."""
        return self.addresses[f"haproxy-{location}"], 8080

    def registry(self) -> RegistryClient:
        """The registry's API, for an administrator who is not affected by the links."""
        return RegistryClient(f"http://{self.addresses['registry']}:8000", self._keys["admin"])

    async def until(self, what: str, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait until a condition (a coroutine function) holds; fails with what it was."""
        try:
            async with asyncio.timeout(seconds):
                while not await condition():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"in {seconds:g} s not come true: {what}") from None

    async def metrics(self, address: str, query: str = "") -> dict[str, float]:
        """Prometheus's figures of a node or an HAProxy; none when it does not answer."""
        try:
            async with self._http.get(f"http://{address}/metrics{query}") as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return {}
        rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    async def of_node(self, node: str) -> dict[str, float]:
        """A node's figures."""
        return await self.metrics(f"{self.addresses[node]}:7000")

    async def up_at(self, location: str) -> set[str]:
        """The nodes that an HAProxy gives clients."""
        figures = await self.metrics(f"{self.addresses[f'haproxy-{location}']}:8405", "?scope=server&no-maint")
        backends = {node: "nodes_own" if where == location else "nodes_other" for node, where in LOCATIONS.items()}
        return {
            node
            for node, backend in backends.items()
            if figures.get(f'haproxy_server_status{{proxy="{backend}",server="{self.slots[node]}",state="UP"}}')
        }

    async def peers_up(self, node: str) -> set[str]:
        """The nodes that a node reaches."""
        figures = await self.of_node(node)
        return {peer for peer in NODES if figures.get(f'wsmesh_peer_up{{peer="{peer}"}}')}

    async def last_of(self, node: str, stream: str) -> int:
        """Up to which number a node holds a stream, as it would tell another node."""
        mesh = MeshClient(cluster_key=self._keys["cluster"], timeout=2.0, tls=None)
        await mesh.open()
        try:
            answer = await mesh.send(f"http://{self.addresses[node]}:7100", Pull(stream, after=2**31))
        except PeerFailed:
            return -1
        finally:
            await mesh.close()
        assert isinstance(answer, Pulled)
        return answer.last

    async def well(self) -> None:
        """Wait until every node takes clients and reaches every other one, as both HAProxys see it."""

        async def holds() -> bool:
            up = [await self.up_at(location) for location in ("east", "west")]
            if up != [set(NODES)] * 2:
                return False
            figures = [await self.of_node(node) for node in NODES]
            ready = all(one.get("wsmesh_ready") for one in figures)
            return ready and all([await self.peers_up(node) == set(NODES) - {node} for node in NODES])

        await self.until("the registry serves", self._registry_ready)
        async with self.registry() as registry:
            self.slots = {node["id"]: f"slot{node['slot']:02d}" for node in await registry.nodes()}
        await self.until("all nodes are up", holds)

    async def _registered(self, number: int) -> bool:
        async with self.registry() as registry:
            return [node["state"] for node in await registry.nodes()] == ["ready"] * number

    async def _registry_ready(self) -> bool:
        with contextlib.suppress(RegistryUnreachable):
            async with self.registry() as registry:
                return (await registry.ready())[0]
        return False

    # --- acting

    async def execute(self, name: str, *command: str) -> str:
        """Run a command in a container; what it printed."""
        code, (out, err) = await asyncio.to_thread(self.containers[name].exec_run, list(command), demux=True)
        assert code == 0, (err or b"").decode()
        return str(out.decode().strip())

    async def kill(self, name: str) -> None:
        """kill -9."""
        await asyncio.to_thread(self.containers[name].kill)

    async def start(self, name: str) -> None:
        """Start a container that was killed or stopped."""
        await asyncio.to_thread(self.containers[name].start)

    async def stop(self, name: str) -> None:
        """SIGTERM, and wait for its end."""
        await asyncio.to_thread(self.containers[name].stop, timeout=90)

    async def pause(self, name: str) -> None:
        """Freeze all its processes; its sockets stay."""
        await asyncio.to_thread(self.containers[name].pause)

    async def unpause(self, name: str) -> None:
        """Let it go on."""
        await asyncio.to_thread(self.containers[name].unpause)

    async def restore_registry(self) -> None:
        """Put the old backup in the place of the stopped registry's database, as the role does."""

        def restore() -> None:
            self._docker.containers.run(
                f"wsmesh-registry:{self.tag}",
                ["python", "/opt/backup.py", "restore", self.backup],
                volumes_from=[self.containers["registry"].id],
                labels={OWNER: str(os.getpid())},
                remove=True,
            )

        await asyncio.to_thread(restore)

    async def repair(self) -> None:
        """Undo every fault, whatever a failed scenario left behind."""
        self.links.heal()
        for name, container in self.containers.items():
            await asyncio.to_thread(container.reload)
            if container.status == "paused":
                await self.unpause(name)
            elif container.status != "running":
                await self.start(name)
        await self.well()

    def _keep_logs(self) -> None:
        for name, container in self.containers.items():
            with contextlib.suppress(NotFound, APIError):
                (self.folder / f"{name}.log").write_bytes(container.logs())


@contextlib.asynccontextmanager
async def running(tag: str, folder: Path, drain: float) -> AsyncIterator[Cluster]:
    """A cluster that is gone afterwards, also when it did not start."""
    await asyncio.to_thread(sweep, mine=False)
    cluster = Cluster(tag, folder, drain)
    try:
        await cluster.__aenter__()
        yield cluster
    finally:
        await asyncio.shield(cluster.__aexit__())
