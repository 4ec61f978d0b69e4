"""The playbooks, on a site that is deployed. These change the site, and put it back."""

from __future__ import annotations

import re

from tests.hosts.site.site import BALANCERS, REGISTRY, Failed, Site, all_serving, on, run, shell, up
from tests.support.listening import listening

RECAP = re.compile(r"^(\S+)\s*:\s*ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def recap(output: str) -> dict[str, tuple[int, int, int]]:
    """Host -> changed, unreachable, failed."""
    return {host: (int(changed), int(gone), int(failed)) for host, changed, gone, failed in RECAP.findall(output)}


async def test_check_mode_changes_nothing(site: Site) -> None:
    """`deploy.yml --check --diff` on a deployed site reports no change on any host."""
    output = await site.play("deploy.yml", "--check", "--diff", "-e", "wsmesh_serial=100%")
    assert set(recap(output).values()) == {(0, 0, 0)}, output


async def test_a_new_node_needs_no_reload(site: Site, nodes: set[str]) -> None:
    """cron gives HAProxy a new node, and takes it away, with the same process and no socket cut."""
    host, more = "node-south-2", ["--limit", "node-south-2", "--tags", "wsnode", "-e"]
    added = (await shell(host, "grep ^CLIENT_ADDRESS /etc/wsmesh/wsnode-1.env")).split("=")[1].replace(":7001", ":7002")
    before = {balancer: await processes(balancer) for balancer in BALANCERS.values()}
    async with listening(site.urls["north"], site.app.key, "other", tls=site.trust) as listener:
        await site.play("deploy.yml", *more, "wsnode_instances=2")
        await all_serving(nodes | {added})
        await site.play("deploy.yml", *more, "wsnode_instances=1")
        await all_serving(nodes)
        assert listener.closed is None
    assert {balancer: await processes(balancer) for balancer in BALANCERS.values()} == before
    await site.ask(f"nodes/{host}-2", "DELETE")


async def processes(balancer: str) -> str:
    """The processes of HAProxy."""
    return await on(balancer, "pgrep", "-x", "haproxy")


async def test_a_drain(site: Site, nodes: set[str]) -> None:
    """drain.yml takes a host's nodes out of HAProxy, and brings them back."""
    limit = ("--limit", "node-north-1")
    address = (await shell("node-north-1", "grep ^CLIENT_ADDRESS /etc/wsmesh/wsnode-1.env")).split("=")[1]
    await site.play("drain.yml", *limit)
    try:
        assert (await site.states())["node-north-1-1"] == "draining"
        await all_serving(nodes - {address})
    finally:
        await site.play("drain.yml", *limit, "-e", "undrain=true")
    await all_serving(nodes)


async def test_the_registry_is_lost_and_comes_back(site: Site, nodes: set[str], tmp_path: object) -> None:
    """From a backup on the controller the registry comes back with its apps and keys, and no node leaves HAProxy."""
    backups = ("-e", f"wsmesh_backups={tmp_path}")
    await site.play("backup.yml", *backups)
    await shell(REGISTRY, "systemctl disable --now wsupdates; rm -rf /var/lib/wsmesh /etc/wsmesh /opt/wsmesh")
    await shell(REGISTRY, "rm /etc/systemd/system/wsupdates*; systemctl daemon-reload; userdel wsmesh")
    try:
        await site.play("deploy.yml", "--limit", REGISTRY)
    except Failed as refused:
        assert "playbooks/restore.yml" in str(refused)
    else:
        raise AssertionError("an empty registry was put in place of the lost one")
    await site.play("restore.yml", *backups)
    assert site.app.key in {app["key"] for app in (await site.ask("apps"))["apps"]}
    await all_serving(nodes)
    await site.all_ready()
    for balancer in BALANCERS.values():
        assert await up(balancer) == nodes


async def test_a_release_rolls_back(site: Site, nodes: set[str]) -> None:
    """rollback.yml puts the release before in force, and the next deploy.yml the present one again."""
    host = "node-south-1"
    present = await on(host, "readlink", "/opt/wsmesh/current")
    name, older = present.removeprefix("releases/"), "0.0.9-000000000000"
    await shell(host, f"cd /opt/wsmesh/releases && cp -a {name} {older} && touch -d '2 days ago' {older}/.complete")
    await shell(host, f"grep -rlI {name} /opt/wsmesh/releases/{older}/venv/bin | xargs sed -i s/{name}/{older}/")
    await site.play("rollback.yml", "--limit", host)
    assert older in await shell(host, "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID wsnode@1)/cmdline")
    await all_serving(nodes)
    await site.play("deploy.yml", "--limit", host, "--tags", "wsnode")
    assert await on(host, "readlink", "/opt/wsmesh/current") == present
    assert older not in await shell(host, "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID wsnode@1)/cmdline")
    await run("docker", "exec", host, "rm", "-rf", f"/opt/wsmesh/releases/{older}")
    await all_serving(nodes)
