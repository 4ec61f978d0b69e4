"""What haproxy-sync does not believe, and that HAProxy stays as it was."""

from __future__ import annotations

import json
import ssl

import pytest
import trustme

from tests.integration.haproxysync.cluster import Cluster, Node


async def assert_kept(cluster: Cluster, *arguments: str, reason: str, saying: str, **settings: str) -> None:
    """Run once; the run must refuse, say why in one line, count it, and leave everything as it is."""
    config, runtime = cluster.config.read_text(), await cluster.command("show servers state")
    socket = await cluster.open("slot01")
    result = await cluster.sync(*arguments, **settings)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "kept the last good state (generation 2, 3 nodes)" in line
    assert saying in line
    assert f'wsmesh_haproxy_sync_refusals_total{{reason="{reason}"}} 1' in cluster.metrics.read_text()
    assert cluster.config.read_text() == config
    after = await cluster.command("show servers state")
    fields = [[row.split()[i] for i in (1, 3, 4, 6, 7, 18)] for row in after.splitlines()[2:] if row]
    assert fields == [[row.split()[i] for i in (1, 3, 4, 6, 7, 18)] for row in runtime.splitlines()[2:] if row]
    assert await socket.alive()


async def test_unreachable_registry(cluster: Cluster) -> None:
    """A registry that is down changes nothing, and the line names it."""
    await cluster.registry.stop()
    await assert_kept(cluster, reason="unreachable", saying=f"{cluster.registry.url} does not answer")


async def test_failing_registry(cluster: Cluster) -> None:
    """A registry that answers with an error changes nothing, and the line repeats the error."""
    cluster.registry.status = 503
    await assert_kept(cluster, reason="unreachable", saying="503 (unavailable: later)")


async def test_wrong_key(cluster: Cluster) -> None:
    """A key that the registry does not accept changes nothing; the key is not shown."""
    await assert_kept(
        cluster, reason="unauthorized", saying="does not accept WS_UPDATES_KEY", WS_UPDATES_KEY="wrong-" + "x" * 30
    )


async def test_empty_list(cluster: Cluster) -> None:
    """An empty list is not believed when the last one had nodes."""
    cluster.register()
    await assert_kept(cluster, reason="empty", saying="the list is empty, but the last one had 3 nodes")


async def test_older_generation(cluster: Cluster) -> None:
    """A registry that went back in time is not believed."""
    cluster.registry.generation = 1
    await assert_kept(cluster, reason="older_generation", saying="generation 1, but 2 was applied before")


async def test_mass_removal_needs_a_person(cluster: Cluster) -> None:
    """More than half of the nodes at once is refused; --max-removal and --force are a person's word."""
    cluster.register(cluster.nodes[1])
    await assert_kept(cluster, reason="mass_removal", saying="2 of 3 nodes would go at once (n1, n3)")
    assert (await cluster.sync("--dry-run", "--max-removal", "0.7")).code == 0
    assert (await cluster.sync("--force")).code == 0
    assert await cluster.asked("slot01") == "n2"
    assert (await cluster.sync()).code == 0


@pytest.mark.parametrize(
    ("body", "saying"),
    [
        (b"<html>", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "expected {"),
        (b'{"generation": true, "slots": []}', "generation is True"),
        (b'{"generation": 9, "slots": [{}]}', "slots[0]: slot is None"),
    ],
)
async def test_answer_that_is_no_list_of_slots(cluster: Cluster, body: bytes, saying: str) -> None:
    """An answer that breaks the contract is refused as a whole."""
    cluster.registry.raw = body
    await assert_kept(cluster, reason="invalid", saying=saying)


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"slot": 1}, "slot 1 appears twice"),
        ({"node": "n1"}, "node n1 appears twice"),
        ({"slot": 7}, "node n4 has slot 7, but SLOTS is 6; raise SLOTS and reload HAProxy once"),
        ({"host": "127.0.0.1; set server"}, "host is '127.0.0.1; set server'"),
        ({"host": "0.0.0.0"}, "host is '0.0.0.0'"),
        ({"port": 0}, "port is 0"),
        ({"weight": 257}, "weight is 257"),
        ({"state": "lost"}, "state is 'lost'"),
    ],
)
async def test_answer_with_one_bad_slot(cluster: Cluster, change: dict[str, object], saying: str) -> None:
    """One bad slot makes the whole answer invalid; the others are not applied either."""
    slots = [node.as_slot() for node in cluster.nodes] + [Node("n4", 4).as_slot() | change]
    cluster.registry.raw = json.dumps({"generation": 9, "slots": slots}).encode()
    await assert_kept(cluster, reason="invalid", saying=saying)


async def test_name_without_address(cluster: Cluster) -> None:
    """A host name that does not resolve is refused and named."""
    slots = [node.as_slot() for node in cluster.nodes] + [Node("n4", 4).as_slot() | {"host": "nowhere.invalid"}]
    cluster.registry.raw = json.dumps({"generation": 9, "slots": slots}).encode()
    await assert_kept(cluster, reason="unresolved", saying="the host name nowhere.invalid of node n4 has no address")


async def test_redirect_is_not_followed(cluster: Cluster) -> None:
    """A registry that redirects does not get the key carried elsewhere."""
    cluster.registry.status = 307
    await assert_kept(cluster, reason="unreachable", saying="answered 307")
    assert cluster.registry.redirected == 0


async def test_registry_over_tls(empty: Cluster) -> None:
    """The registry's certificate must come from WS_UPDATES_CA; any other is as good as no registry."""
    ours, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    for name, authority in [("ours.pem", ours), ("other.pem", other)]:
        authority.cert_pem.write_to_path(str(empty.folder / name))
    await empty.registry.stop()
    empty.registry.tls = context
    await empty.registry.start()
    await empty.add(Node("n1", 1))
    refused = await empty.sync(WS_UPDATES_URL=empty.registry.url, WS_UPDATES_CA=str(empty.folder / "other.pem"))
    assert refused.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in refused.err
    accepted = await empty.sync(WS_UPDATES_URL=empty.registry.url, WS_UPDATES_CA=str(empty.folder / "ours.pem"))
    assert accepted.code == 0
    assert "cookie slot01 weight 100" in empty.config.read_text()


async def test_next_registry_is_asked(cluster: Cluster) -> None:
    """With several registries, one that is down is passed over."""
    cluster.nodes[0].state = "draining"
    cluster.registry.change()
    result = await cluster.sync(WS_UPDATES_URL=f"http://127.0.0.1:{cluster.port},{cluster.registry.url}")
    assert result.code == 0
    assert await cluster.asked("slot01") == "n2"


async def test_last_good_state_is_restored_without_registry(cluster: Cluster) -> None:
    """While the registry is down, what was changed by hand is still put right."""
    await cluster.registry.stop()
    await cluster.command("set server nodes_own/slot01 state maint")
    assert (await cluster.sync()).code == 1
    await cluster.await_server("nodes_own/slot01", "UP")


async def test_first_run_without_registry(empty: Cluster) -> None:
    """Without registry and state HAProxy still gets a configuration to start with, which says that no node serves."""
    await empty.registry.stop()
    result = await empty.sync()
    assert result.code == 1
    assert "there is no good state yet" in result.err
    await empty.start_haproxy()
    async with empty.http.get(f"{empty.url}/apps/1/channels") as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "no_node"


async def test_damaged_state_file(cluster: Cluster) -> None:
    """A state file that cannot be read stops the run: without it a mass removal would pass unseen."""
    cluster.state.write_text('{"slots": 3}')
    result = await cluster.sync()
    assert result.code == 2
    assert "STATE_FILE" in result.err
    assert "is damaged" in result.err
