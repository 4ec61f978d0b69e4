"""The services as systemd and the journal see them."""

from __future__ import annotations

import asyncio
import re

import pytest
import pytest_asyncio

from tests.hosts.site.site import (
    BALANCERS,
    HOSTS,
    NODES,
    REGISTRY,
    ROOT,
    Failed,
    Site,
    all_serving,
    eventually,
    on,
    shell,
    slots,
)

SHORTER = "/run/systemd/system/wsnode@1.service.d"
UNITS = [
    (REGISTRY, "wsupdates.service"),
    (REGISTRY, "wsupdates-backup.service"),
    *((host, "wsnode@1.service") for host in NODES[:1]),
    *((host, "haproxy-sync.service") for host in list(BALANCERS.values())[:1]),
]


@pytest.mark.parametrize(("host", "unit"), UNITS)
async def test_units_may_do_little(site: Site, host: str, unit: str) -> None:
    """The exposure that `systemd-analyze security` computes is at most 1.5, while the unit serves under it."""
    answer = await on(host, "systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", answer)
    assert found is not None
    assert float(found[1]) <= 1.5, answer


async def test_nothing_has_failed(site: Site) -> None:
    """No unit of a host has failed."""
    for host in HOSTS:
        assert await on(host, "systemctl", "list-units", "--failed", "--plain", "--no-legend") == "", host


async def test_a_killed_node(site: Site, nodes: set[str]) -> None:
    """HAProxy notices within its check time that a node was killed, systemd starts it again, and it serves again."""
    node, balancer = "node-north-1", BALANCERS["north"]

    async def figures() -> tuple[int, int]:
        (slot,) = [s for s in await slots(balancer) if s.backend == "nodes_own" and s.address.endswith(address)]
        return slot.failed_checks, slot.downs

    address = f"{(await shell(node, 'grep ^CLIENT_ADDRESS /etc/wsmesh/wsnode-1.env')).split('=')[1]}"
    before = await figures()
    restarts = int(await on(node, "systemctl", "show", "wsnode@1", "--property=NRestarts", "--value"))
    await on(node, "systemctl", "kill", "--signal=KILL", "wsnode@1")

    async def noticed() -> bool:
        return await figures() > before

    await eventually(noticed, True, 2 * 3 + 2)

    async def restarted() -> int:
        return int(await on(node, "systemctl", "show", "wsnode@1", "--property=NRestarts", "--value"))

    await eventually(restarted, restarts + 1, 30)
    await all_serving(nodes)


async def test_a_frozen_node(site: Site, nodes: set[str]) -> None:
    """A node that hangs is taken out by HAProxy, and ended and started again by systemd's watchdog."""
    node = "node-south-1"
    address = (await shell(node, "grep ^CLIENT_ADDRESS /etc/wsmesh/wsnode-1.env")).split("=")[1]
    await on(node, "systemctl", "kill", "--signal=STOP", "wsnode@1")
    await all_serving(nodes - {address}, 15)
    await all_serving(nodes)
    assert "Watchdog timeout" in await shell(node, "journalctl -b -u wsnode@1 --no-pager --grep 'Watchdog timeout'")


async def test_a_start_without_registry_and_configuration(site: Site) -> None:
    """A node with no configuration and no registry waits, is not started again and again, and joins at last."""
    node = "node-north-2"
    await on(REGISTRY, "systemctl", "stop", "wsupdates")
    try:
        await on(node, "systemctl", "stop", "wsnode@1")
        await shell(node, "rm -rf /var/lib/wsmesh/wsnode-1/*")
        await shell(node, f"mkdir -p {SHORTER} && printf '[Service]\nTimeoutStartSec=5\n' > {SHORTER}/test.conf")
        await on(node, "systemctl", "daemon-reload")
        await on(node, "systemctl", "start", "--no-block", "wsnode@1")

        async def status() -> str:
            return await on(node, "systemctl", "show", "wsnode@1", "--property=StatusText", "--value")

        await eventually(status, "listening, waiting for the registry", 60)
        pid = await on(node, "systemctl", "show", "wsnode@1", "--property=MainPID", "--value")
        await asyncio.sleep(10)  # twice TimeoutStartSec
        assert await on(node, "systemctl", "show", "wsnode@1", "--property=MainPID,ActiveState") == (
            f"MainPID={pid}\nActiveState=activating"
        )
    finally:
        await shell(node, f"rm -rf {SHORTER} && systemctl daemon-reload")
        await on(REGISTRY, "systemctl", "start", "wsupdates")

    async def active() -> str:
        return await on(node, "systemctl", "show", "wsnode@1", "--property=ActiveState", "--value")

    await eventually(active, "active", 60)


@pytest.mark.parametrize("host", ["node-south-2", "lb-south", REGISTRY])
async def test_a_host_that_boots_again(site: Site, nodes: set[str], host: str) -> None:
    """After a reboot everything of a host comes back by itself."""
    process = await asyncio.create_subprocess_exec("docker", "restart", host, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0

    async def running() -> bool:
        try:
            return await on(host, "systemctl", "is-system-running") == "running"
        except Failed:
            return False

    await eventually(running, True, 180)
    await all_serving(nodes)
    await site.all_ready()


def queries() -> list[str]:
    """The commands with journalctl that docs/operations.md tells an operator."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    return re.findall(r"^journalctl .*$", text, re.MULTILINE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backup() -> None:
    """The registry has made a backup; once for all, since systemd refuses a unit that is started again and again."""
    await on(REGISTRY, "systemctl", "start", "wsupdates-backup")


@pytest.mark.parametrize("query", queries())
@pytest.mark.usefixtures("backup")
async def test_queries_of_the_journal(site: Site, query: str) -> None:
    """Each query of docs/operations.md finds entries on some host."""
    found = {}
    for host in HOSTS:
        found[host] = await shell(host, f"{query.replace('--follow', '')} --no-pager --quiet || true")
    assert any(found.values()), query
