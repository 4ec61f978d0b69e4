"""The ways to run: watch, dry run, two at once; and what HAProxy itself refuses."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import time
from pathlib import Path

from tests.integration.haproxysync.cluster import Cluster, Node, until


def snapshot(folder: Path) -> dict[str, bytes]:
    """The contents of all files."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def waits(cluster: Cluster) -> None:
    """Wait until haproxy-sync waits at the registry."""

    async def waiting() -> bool:
        return cluster.registry.waiting > 0

    await until(waiting)


async def test_watch_applies_a_change_within_a_second(cluster: Cluster) -> None:
    """--watch learns of a drain by the long poll and has applied it within a second."""
    process = await cluster.spawn("--watch")
    await waits(cluster)
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    started = time.monotonic()
    await cluster.await_server("nodes_own/slot01", "DRAIN")
    assert time.monotonic() - started < 10  # a question without a change would take twenty
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_watch_survives_the_registry(cluster: Cluster) -> None:
    """--watch says that the registry is away, keeps the state, and goes on when it is back."""
    process = await cluster.spawn("--watch")
    await waits(cluster)
    await cluster.registry.stop()
    assert process.stderr is not None
    assert b"does not answer" in await asyncio.wait_for(process.stderr.readline(), 5)
    assert await cluster.asked("slot01") == "n1"
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    await cluster.registry.start()
    await cluster.await_server("nodes_own/slot01", "DRAIN")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_watch_puts_right_what_changes_in_haproxy(cluster: Cluster) -> None:
    """--watch restores what somebody changed in HAProxy, though the registry has nothing new."""
    await cluster.spawn("--watch", POLL_SECONDS="1")
    await waits(cluster)
    await cluster.command("set server nodes_own/slot01 state maint")
    await cluster.await_server("nodes_own/slot01", "UP")


async def test_dry_run_shows_and_changes_nothing(cluster: Cluster) -> None:
    """--dry-run prints both differences and leaves files and HAProxy as they are."""
    cluster.nodes[0].state = "draining"
    cluster.register(cluster.nodes[0], cluster.nodes[2], Node("n4", 4))
    before = snapshot(cluster.folder)
    result = await cluster.sync("--dry-run")
    assert result.code == 0
    lines = result.out.splitlines()
    assert f"-    server slot01 127.0.0.1:{cluster.nodes[0].port} cookie slot01 weight 100" in lines
    assert f"+    server slot01 127.0.0.1:{cluster.nodes[0].port} cookie slot01 weight 0" in lines
    assert "+slot01" in lines
    assert "would send: set server nodes_own/slot02 state maint" in lines
    assert snapshot(cluster.folder) == before
    assert await cluster.asked("slot01") == "n1"
    assert await cluster.asked("slot02") == "n2"


async def test_dry_run_before_the_first_run(empty: Cluster) -> None:
    """--dry-run works without state and HAProxy, and writes nothing."""
    await empty.add(Node("n1", 1))
    before = snapshot(empty.folder)
    result = await empty.sync("--dry-run")
    assert result.code == 0
    assert "HAProxy is not running" in result.out
    assert snapshot(empty.folder) == before


async def test_status_shows_slots_and_differences(cluster: Cluster) -> None:
    """--status shows each node beside HAProxy's checks, and ends with 3 when HAProxy holds something else."""
    await cluster.await_server("nodes_own/slot01", "UP")
    result = await cluster.sync("--status")
    assert result.code == 0
    assert "running, holds what is wanted" in result.out
    row = next(line for line in result.out.splitlines() if line.startswith("slot01"))
    assert row.split() == ["slot01", "n1", "here", f"127.0.0.1:{cluster.nodes[0].port}", "ready", "up"]
    await cluster.command("set server nodes_own/slot02 weight 1")
    result = await cluster.sync("--status")
    assert result.code == 3
    assert "differs: set server nodes_own/slot02 weight 100" in result.out


async def test_run_that_finds_the_lock_held_changes_nothing(cluster: Cluster) -> None:
    """A run waits for another one's lock, then gives up with a code of its own."""
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    with cluster.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = await cluster.sync()
    assert result.code == 4
    assert "another run holds" in result.err
    assert await cluster.asked("slot01") == "n1"


async def test_two_runs_at_once_both_end_well(cluster: Cluster) -> None:
    """Runs at the same time wait for each other; the second finds nothing to do."""
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    results = await asyncio.gather(cluster.sync(), cluster.sync())
    assert [result.code for result in results] == [0, 0]
    assert sum("slot01 state drain" in result.err or "slot01 weight 0" in result.err for result in results) == 1


async def test_configuration_that_haproxy_refuses_is_not_put_in_place(cluster: Cluster) -> None:
    """A base that HAProxy does not accept leaves the configuration and the running process alone."""
    before = cluster.config.read_text()
    cluster.base.write_text(cluster.base.read_text().replace("balance leastconn", "balance nonsense"))
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    result = await cluster.sync()
    assert result.code == 3
    assert "HAProxy refuses the configuration" in result.err
    assert "balance only supports" in result.err
    assert cluster.config.read_text() == before
    assert await cluster.asked("slot01") == "n1"
    assert 'errors_total{kind="config"} 1' in cluster.metrics.read_text()
    assert sorted(path.name for path in cluster.folder.iterdir() if path.name.startswith(".")) == []


async def test_more_slots_need_one_reload(cluster: Cluster) -> None:
    """A node in a slot that the running HAProxy does not have is written for its next start, and reported."""
    await cluster.add(Node("n8", 8))
    result = await cluster.sync(SLOTS="8")
    assert result.code == 3
    assert "reload it once: nodes_own/slot08" in result.err
    await cluster.stop_haproxy()
    await cluster.start_haproxy()
    assert (await cluster.sync(SLOTS="8")).code == 0
    assert await cluster.asked("slot08") == "n8"


async def test_metrics_file(cluster: Cluster) -> None:
    """The metrics say the generation, the slots by state, and when a run last ended well."""
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    started = time.time()
    assert (await cluster.sync()).code == 0
    rows = dict(line.rsplit(" ", 1) for line in cluster.metrics.read_text().splitlines() if not line.startswith("#"))
    assert rows["wsmesh_haproxy_sync_generation"] == "3"
    assert rows['wsmesh_haproxy_sync_slots{state="ready"}'] == "2"
    assert rows['wsmesh_haproxy_sync_slots{state="draining"}'] == "1"
    assert rows['wsmesh_haproxy_sync_slots{state="empty"}'] == "3"
    assert rows["wsmesh_haproxy_sync_haproxy_up"] == "1"
    assert float(rows["wsmesh_haproxy_sync_last_success_timestamp_seconds"]) >= started


async def test_wrong_settings_are_one_line(empty: Cluster) -> None:
    """A wrong setting ends the run with code 2 and one line that names it."""
    for name, value in [("SLOTS", "many"), ("WS_UPDATES_KEY", ""), ("HAPROXY_BASE", "/nowhere/base")]:
        result = await empty.sync(**{name: value})
        assert result.code == 2
        (line,) = result.err.splitlines()
        assert line.startswith(f"haproxy-sync: {name}: ")
    assert (await empty.sync("--watch", "--force")).code == 2
