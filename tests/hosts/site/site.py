"""The site that Molecule has deployed, as seen from outside and, where that is not enough, from inside its hosts."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pusher.http  # type: ignore[import-untyped]
from pusher import Pusher

from wsmesh import tls
from wsmesh_demo.registry import App

ROOT = Path(__file__).parents[3]
BALANCERS = {"north": "lb-north", "south": "lb-south"}
NODES = ("node-north-1", "node-north-2", "node-south-1", "node-south-2")
REGISTRY = "registry1"
HOSTS = (REGISTRY, *BALANCERS.values(), *NODES)
BETWEEN = "wsmesh-between"

SHOW_STAT = """
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/haproxy/admin.sock")
s.send(b"show stat json\\n")
s.shutdown(socket.SHUT_WR)
answer = b"".join(iter(lambda: s.recv(65536), b""))
print(answer.decode())
"""


class Failed(Exception):
    """A command ended with an error; the text is what it said."""


async def run(*command: str, stdin: str = "", env: dict[str, str] | None = None, seconds: float = 300) -> str:
    """Run a command here, for its output. Raises Failed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=env
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"{command} ended with {process.returncode}:\n{output.decode()}")
    return output.decode()


async def on(host: str, *command: str, stdin: str = "") -> str:
    """Run a command on a host, for its output. Raises Failed."""
    return (await run("docker", "exec", "-i", host, *command, stdin=stdin)).strip()


async def shell(host: str, script: str) -> str:
    """Run a line of shell on a host, for its output. Raises Failed."""
    return await on(host, "bash", "-o", "pipefail", "-c", script)


async def address(host: str, network: str) -> str:
    """The address of a host in a network."""
    return (
        await run("docker", "inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', host)
    ).strip()


@dataclass
class Slot:
    """A server line of a HAProxy."""

    backend: str
    name: str
    status: str
    address: str
    failed_checks: int
    downs: int


async def slots(balancer: str) -> list[Slot]:
    """The slots of a HAProxy that hold a node."""
    tables = json.loads(await on(balancer, "python3", "-", stdin=SHOW_STAT))
    found = []
    for table in tables:
        row = {entry["field"]["name"]: entry["value"]["value"] for entry in table}
        if str(row["svname"]).startswith("slot") and not str(row["status"]).startswith("MAINT"):
            found.append(Slot(row["pxname"], row["svname"], row["status"], row["addr"], row["chkfail"], row["chkdown"]))
    return found


async def up(balancer: str) -> set[str]:
    """`address:port` of the nodes to which a HAProxy sends clients."""
    return {slot.address for slot in await slots(balancer) if slot.status.startswith("UP")}


class Site:
    """The deployed site."""

    def __init__(self, secrets: Path, app: App, addresses: dict[str, str], registry: str) -> None:
        """`addresses`: of each balancer among its clients; `registry`: URL of its API."""
        self.secrets = secrets
        self.app = app
        self.urls = {location: f"https://{addresses[host]}" for location, host in BALANCERS.items()}
        self.registry = registry

    @property
    def ca(self) -> Path:
        """The internal authority's certificate."""
        return self.secrets / "ca.crt"

    @property
    def trust(self) -> ssl.SSLContext:
        """What believes the site's certificates and no others."""
        return tls.client_context(self.ca)

    async def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the registry as an administrator."""
        key = (self.secrets / "admin.key").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            url = f"{self.registry}/api/v1/{path}"
            async with session.request(method, url, json=body, ssl=self.trust) as answer:
                text = await answer.text()
                assert answer.ok, f"{method} {url}: {answer.status} {text}"
                return json.loads(text) if text else None

    async def states(self) -> dict[str, str]:
        """The state of each node that the registry knows."""
        return {node["id"]: node["state"] for node in (await self.ask("nodes"))["nodes"]}

    async def all_ready(self) -> None:
        """Wait until every node has told the registry that it is ready."""

        async def states() -> set[str]:
            return set((await self.states()).values())

        await eventually(states, {"ready"}, 60)

    async def app_is_known(self, nodes: Iterable[str]) -> None:
        """Wait until each node knows the app."""
        official = Pusher(app_id=self.app.id, key=self.app.key, secret=self.app.secret)
        async with aiohttp.ClientSession() as session:
            for node in nodes:

                async def status(node: str = node) -> int:
                    request = pusher.http.Request(official._pusher_client, "GET", f"/apps/{self.app.id}/channels", {})
                    async with session.get(
                        f"https://{node}{request.path}", params=request.query_params, ssl=self.trust
                    ) as answer:
                        return answer.status

                await eventually(status, 200, 60)

    async def play(self, playbook: str, *options: str) -> str:
        """Run a playbook as an operator does, for its output. Raises Failed."""
        inventories = os.environ["WSMESH_INVENTORIES"].split(":")
        command = ["ansible-playbook", *(f"--inventory={path}" for path in inventories), *options]
        environ = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return await run(*command, str(ROOT / "playbooks" / playbook), env=environ, seconds=1200)


async def eventually(question: Any, wanted: Any, seconds: float) -> None:
    """Ask again and again until the answer is the wanted one. Raises AssertionError with the last one."""
    found: Any = None
    try:
        async with asyncio.timeout(seconds):
            while (found := await question()) != wanted:  # noqa: ASYNC110 (hosts announce nothing)
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise AssertionError(f"after {seconds} s: found {found}, expected {wanted}") from None


async def all_serving(addresses: Iterable[str], seconds: float = 180) -> None:
    """Wait until every HAProxy sends clients to just these nodes; who lost its lease is back with cron's next run."""
    wanted = set(addresses)
    for balancer in BALANCERS.values():
        await eventually(lambda balancer=balancer: up(balancer), wanted, seconds)
