"""Nodes come, drain, move and go while HAProxy runs."""

from __future__ import annotations

from tests.integration.haproxysync.cluster import Cluster, Node


async def test_first_run_writes_a_configuration_to_start_with(empty: Cluster) -> None:
    """Before HAProxy runs, a run writes its configuration, says that it is not running, and ends well."""
    await empty.add(Node("n1", 1), Node("n2", 2, location="there"))
    result = await empty.sync()
    assert result.code == 0
    assert "HAProxy is not running" in result.err
    await empty.start_haproxy()
    assert await empty.asked() == "n1"
    assert (await empty.sync()).err == ""


async def test_prefers_the_own_location(cluster: Cluster) -> None:
    """Nodes elsewhere serve only when none here can."""
    assert {await cluster.asked() for _ in range(6)} == {"n1", "n2"}
    for node in cluster.nodes[:2]:
        node.ready = False
    await cluster.await_server("nodes_own/slot01", "DOWN")
    await cluster.await_server("nodes_own/slot02", "DOWN")
    assert await cluster.asked() == "n3"


async def test_join_needs_no_reload_and_waits_for_the_checks(cluster: Cluster) -> None:
    """A new node gets traffic once its checks pass; HAProxy is the same process and no WebSocket is dropped."""
    before = await cluster.info()
    sockets = [await cluster.open("slot01"), await cluster.open("slot02")]
    await cluster.add(Node("n4", 4, state="ready"))
    cluster.nodes[-1].ready = False
    assert (await cluster.sync()).code == 0
    await cluster.await_server("nodes_own/slot04", "DOWN")
    assert await cluster.asked("slot04") != "n4"
    cluster.nodes[-1].ready = True
    await cluster.await_server("nodes_own/slot04", "UP")
    assert await cluster.asked("slot04") == "n4"
    assert all([await socket.alive() for socket in sockets])
    after = await cluster.info()
    assert after["Pid"] == before["Pid"]
    assert int(after["Uptime_sec"]) >= int(before["Uptime_sec"])


async def test_node_is_down_until_checked(empty: Cluster) -> None:
    """No request reaches a slot that was just filled, not even in the time until the first check fails."""
    empty.write_base(haproxy_check_inter="2s")
    await empty.add(Node("n1", 1))
    assert (await empty.sync()).code == 0
    await empty.start_haproxy()
    joined = Node("n2", 2, ready=False)
    await empty.add(joined)
    assert (await empty.sync()).code == 0
    assert (await empty.servers())["nodes_own/slot02"].startswith("DOWN")
    assert await empty.asked("slot02") == "n1"


async def test_drain_sends_cookies_elsewhere_and_keeps_sockets(cluster: Cluster) -> None:
    """A draining node gets no new client, not even one with its cookie, and keeps its open WebSockets."""
    socket = await cluster.open("slot01")
    assert socket.node == "n1"
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    assert (await cluster.sync()).code == 0
    assert {await cluster.asked("slot01") for _ in range(4)} == {"n2"}
    assert await socket.alive()
    cluster.nodes[0].state = "ready"
    cluster.registry.change()
    assert (await cluster.sync()).code == 0
    await cluster.await_server("nodes_own/slot01", "UP")
    assert await cluster.asked("slot01") == "n1"
    assert await socket.alive()


async def test_checks_leave_sockets_to_a_node_that_has_clients(cluster: Cluster) -> None:
    """Answering 404, a node gets no new client and keeps its WebSockets; answering 503, it loses them."""
    node = cluster.nodes[0]
    left, kept = await cluster.open("slot01"), await cluster.open("slot02")
    node.ready, node.unready = False, 404
    await cluster.await_server("nodes_own/slot01", "NOLB")
    assert {await cluster.asked() for _ in range(4)} == {"n2"}
    assert await left.alive()
    node.unready = 503
    await cluster.await_server("nodes_own/slot01", "DOWN")
    assert not await left.alive()
    assert await kept.alive()


async def test_removed_node_loses_its_sockets_and_nobody_else(cluster: Cluster) -> None:
    """The slot of a node that is gone is emptied and its WebSockets are cut; those of the others stay."""
    lost, kept = await cluster.open("slot01"), await cluster.open("slot02")
    cluster.register(*cluster.nodes[1:])
    assert (await cluster.sync()).code == 0
    assert not await lost.alive()
    assert await kept.alive()
    assert (await cluster.servers())["nodes_own/slot01"] == "MAINT"
    assert await cluster.asked("slot01") == "n2"


async def test_changed_address_touches_one_slot(cluster: Cluster) -> None:
    """A node that moved to another port is found there; the other slots are not touched."""
    kept = await cluster.open("slot02")
    moved = Node("n1", 1)
    await moved.start()
    cluster.nodes.append(moved)
    cluster.register(moved, *cluster.nodes[1:3])
    await cluster.nodes[0].stop()
    result = await cluster.sync()
    assert result.code == 0
    assert "slot02" not in result.err
    await cluster.await_server("nodes_own/slot01", "UP")
    assert await cluster.asked("slot01") == "n1"
    assert await kept.alive()


async def test_changed_location_moves_the_slot_to_the_other_backend(cluster: Cluster) -> None:
    """A node is in one backend at a time."""
    cluster.nodes[0].location = "there"
    cluster.registry.change()
    assert (await cluster.sync()).code == 0
    await cluster.await_server("nodes_other/slot01", "UP")
    assert (await cluster.servers())["nodes_own/slot01"] == "MAINT"
    assert await cluster.asked("slot01") == "n2"


async def test_restarted_haproxy_starts_with_the_state_that_was_applied(cluster: Cluster) -> None:
    """After a restart HAProxy holds what was applied at run time; the next run has only `drain` to say again."""
    cluster.nodes[0].state = "draining"
    await cluster.add(Node("n4", 4))
    assert (await cluster.sync()).code == 0
    await cluster.stop_haproxy()
    await cluster.start_haproxy()
    assert {await cluster.asked("slot01") for _ in range(4)} <= {"n2", "n4"}
    assert await cluster.asked("slot04") == "n4"
    result = await cluster.sync()
    assert result.code == 0
    assert result.err.splitlines() == ["haproxy-sync: set server nodes_own/slot01 state drain"]
    assert (await cluster.sync()).err == ""


async def test_change_by_hand_is_put_right(cluster: Cluster) -> None:
    """What somebody changed on HAProxy's socket is brought back to the registry's word."""
    await cluster.command("set server nodes_own/slot02 state maint; set server nodes_own/slot01 weight 7")
    assert (await cluster.sync()).code == 0
    await cluster.await_server("nodes_own/slot02", "UP")
    assert (await cluster.sync("--status")).code == 0
