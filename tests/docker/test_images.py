"""The images: run as docker/compose.yml says, read-only and without rights, and pass a message."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pusher  # type: ignore[import-untyped]
import pytest

from tests.support.listening import listening
from tests.support.waiting import until
from wsmesh_demo.ports import FreePorts

ROOT = Path(__file__).parents[2]
SERVICES = ("registry", "node1", "node2")


def run(*command: str, **environment: str) -> str:
    """Run a command to its end; what it printed. Fails with all it said."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@dataclass
class Containers:
    """What docker/start started."""

    project: str
    ports: dict[str, int]
    admin_key: str

    def of(self, service: str) -> str:
        """The container's id."""
        labels = [f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}"]
        return run("docker", "ps", "--quiet", *(part for label in labels for part in ("--filter", label)))

    def url(self, service: str) -> str:
        """Where it is reached from here."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def new_app(self) -> dict[str, Any]:
        """Make an app at the registry."""
        request = urllib.request.Request(
            f"{self.url('registry')}/api/v1/apps",
            data=b'{"name": "shop"}',
            headers={"Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            app: dict[str, Any] = json.load(answer)
        return app


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Both images, built from the test hosts' Debian, and running."""
    base = run("tests/hosts/image", "bookworm")
    run("docker/build", "test", BASE_IMAGE=base, PYTHON=sys.executable)
    env_file = tmp_path_factory.mktemp("compose") / "env"
    project = f"wsmesh-test-{os.getpid()}"
    free = FreePorts(3)
    start = free.ports.port
    ports = {service: start + number for number, service in enumerate(SERVICES)}
    environment = {f"WSMESH_{service.upper()}_PORT": str(port) for service, port in ports.items()}
    environment |= {"ENV_FILE": str(env_file), "WSMESH_PROJECT": project, "WSMESH_TAG": "test"}
    try:
        run("docker/start", **environment)
        keys = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        yield Containers(project, ports, keys["WSMESH_ADMIN_KEY"])
    finally:
        run("docker/start", "down", **environment)
        free.close()
    assert run("docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}") == ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights(containers: Containers, service: str) -> None:
    """A container runs as a user of its own, without capabilities, on a file system that it cannot write."""
    container = containers.of(service)
    found = json.loads(run("docker", "inspect", container))[0]
    assert found["State"]["Health"]["Status"] == "healthy"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    status = run("docker", "exec", container, "cat", "/proc/1/status")
    rows = dict(line.split(":", 1) for line in status.splitlines())
    assert rows["Uid"].split() == ["964"] * 4
    assert rows["CapEff"].strip() == "0" * 16
    assert rows["NoNewPrivs"].strip() == "1"
    refused = subprocess.run(
        ["docker", "exec", container, "touch", "/opt/wsmesh/x"], capture_output=True, text=True, check=False
    )
    assert "Read-only file system" in refused.stderr


async def test_a_message_passes_between_containers(containers: Containers) -> None:
    """What the official library publishes at one node arrives at a client of the other."""
    app = containers.new_app()
    publisher = pusher.Pusher(
        app["id"], app["key"], app["secret"], ssl=False, host="127.0.0.1", port=containers.ports["node2"]
    )
    async with asyncio.timeout(20):
        while True:
            try:
                async with listening(containers.url("node1"), app["key"], "news") as listener:
                    await asyncio.to_thread(publisher.trigger, "news", "hello", {"n": 1})
                    await until(lambda: listener.events)
                    break
            except (AssertionError, pusher.errors.PusherError):
                await asyncio.sleep(0.1)  # the app is not known to both nodes yet
    # A publish that was refused may be delivered all the same, beside its repetition.
    assert all((event["event"], event["data"]) == ("hello", {"n": 1}) for event in listener.events)
