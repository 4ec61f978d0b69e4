"""`make demo DETACH=1` and the commands to a demo that runs."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import urllib.request
from pathlib import Path

from tests.support.demo import Demo, a_demo


def alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_everything_is_ready(demo: Demo) -> None:
    """It returns when all is ready; cluster.json says where everything is, and only its owner can read it."""
    done = demo.make("demo", NODES=5, DETACH=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"https://127.0.0.1:{demo.port}/" in done.stdout

    file = demo.folder / "cluster.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    cluster = demo.cluster
    assert cluster["url"] == f"https://127.0.0.1:{demo.port}"
    assert set(cluster["app"]) == {"id", "key", "secret", "publish_key"}
    assert [node["id"] for node in cluster["nodes"]] == ["n1", "n2", "n3", "n4", "n5"]
    assert {node["location"] for node in cluster["nodes"]} == {"east", "west"}
    for node in cluster["nodes"]:
        assert set(node) == {"id", "location", "client_url", "mesh_url", "pid"}
        assert alive(node["pid"])
        with urllib.request.urlopen(f"{node['client_url']}/readyz") as answer:
            assert answer.status == 200
    assert alive(cluster["haproxy"]["pid"])
    assert Path(cluster["haproxy"]["stats_socket"]).is_socket()
    request = urllib.request.Request(
        f"{cluster['registry_url']}/api/v1/apps", headers={"Authorization": f"Bearer {cluster['admin_key']}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    trust = ssl.create_default_context(cafile=cluster["ca"])
    with urllib.request.urlopen(f"{cluster['url']}/", context=trust) as answer:
        assert b"pusher.min.js" in answer.read()


def test_secrets_stay_private(demo: Demo) -> None:
    """No secret is on a command line, and nothing in the folder can be read by others."""
    assert demo.make("demo", NODES=1, DETACH=1).returncode == 0
    cluster = demo.cluster
    secrets = [cluster["admin_key"], cluster["app"]["secret"], cluster["app"]["publish_key"]]
    command_lines = "\n".join(demo.leftovers())
    assert "wsnode" in command_lines
    assert not [secret for secret in secrets if secret in command_lines]
    assert stat.S_IMODE(demo.folder.stat().st_mode) == 0o700


def test_second_demo(demo: Demo) -> None:
    """A second `make demo` says that one runs, and leaves it alone."""
    assert demo.make("demo", NODES=1, DETACH=1).returncode == 0
    before = demo.cluster
    again = demo.make("demo", NODES=1, DETACH=1)
    assert again.returncode != 0
    assert "a demo runs already" in again.stderr + again.stdout
    assert demo.cluster == before
    assert alive(before["nodes"][0]["pid"])


def test_kill_start_and_add(demo: Demo) -> None:
    """A killed node stays dead until it is started again; one more can be added; mistakes are told."""
    assert demo.make("demo", DETACH=1).returncode == 0
    pid = demo.pid(2)
    done = demo.make("demo-kill", NODE=2)
    assert (done.returncode, done.stdout) == (0, "killed node 2 (east)\n")
    assert not alive(pid)
    assert demo.pid(2) is None

    again = demo.make("demo-kill", NODE=2)
    assert again.returncode != 0
    assert "node 2 does not run" in again.stderr
    assert "there is no node 7" in demo.make("demo-kill", NODE=7).stderr
    assert "expected the number of a node" in demo.make("demo-kill", NODE="x;y").stderr

    assert demo.make("demo-start", NODE=2).returncode == 0
    assert alive(demo.pid(2))
    assert demo.make("demo-add").stdout == "added node 4 (west); it takes clients\n"
    assert alive(demo.pid(4))


def test_stop(demo: Demo) -> None:
    """`make demo-stop` ends every process, keeps the logs and no secret; without a demo it says so, and succeeds."""
    assert demo.make("demo", NODES=2, DETACH=1).returncode == 0
    done = demo.make("demo-stop")
    assert (done.returncode, done.stdout) == (0, "the demo has ended\n")
    demo.wait_until_nothing_runs()
    assert sorted(entry.name for entry in demo.folder.iterdir()) == ["logs", "supervisor.pid"]
    again = demo.make("demo-stop")
    assert (again.returncode, again.stdout) == (0, "no demo runs\n")


def test_ports_in_use(demo: Demo) -> None:
    """Each port in use is named with what moves it, before anything starts."""
    with socket.create_server(("127.0.0.1", demo.port)), socket.create_server(("127.0.0.1", demo.port + 12)):
        done = demo.make("demo", DETACH=1)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"port {demo.port} for HAProxy cannot be used: address already in use; move it with PORT=…" in said
    assert f"port {demo.port + 12} for node 2 cannot be used: address already in use; move it with NODE_PORT=…" in said
    assert "starting" not in said
    assert demo.leftovers() == []


def test_moved_ports(demo: Demo) -> None:
    """Every port can be moved on its own."""
    base = demo.port
    moved = {"REGISTRY_PORT": 91, "PAGE_PORT": 92, "STATS_PORT": 93, "NODE_PORT": 94, "MESH_PORT": 95}
    done = demo.make("demo", NODES=1, DETACH=1, **{name: base + offset for name, offset in moved.items()})
    assert done.returncode == 0, done.stdout + done.stderr
    cluster = demo.cluster
    assert cluster["registry_url"] == f"http://127.0.0.1:{base + 91}"
    assert cluster["nodes"][0]["client_url"] == f"http://127.0.0.1:{base + 94}"
    assert cluster["nodes"][0]["mesh_url"] == f"http://127.0.0.1:{base + 95}"
    with urllib.request.urlopen(f"http://127.0.0.1:{base + 92}/demo/state") as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{base + 93}/metrics") as answer:
        assert b"haproxy_" in answer.read()


def test_failing_start(demo: Demo, tmp_path: Path) -> None:
    """When a part does not start, the exit code says so, the end of its log is shown, and nothing is left."""
    broken = tmp_path / "bin" / "haproxy"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho '[ALERT] this HAProxy is broken'; exit 1\n")
    broken.chmod(0o755)
    done = demo.make("demo", NODES=1, DETACH=1, PATH=f"{broken.parent}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert "this HAProxy is broken" in done.stdout + done.stderr
    assert demo.leftovers() == []


def test_odd_folder(tmp_path: Path) -> None:
    """A folder with spaces, and deeper than the path of a socket may be, works too."""
    with a_demo(tmp_path / ("deep" * 20) / "the state") as demo:
        done = demo.make("demo", NODES=1, DETACH=1)
        assert done.returncode == 0, done.stdout + done.stderr
        assert Path(demo.cluster["haproxy"]["stats_socket"]).is_socket()
        assert demo.make("demo-kill", NODE=1).returncode == 0


def test_foreign_folder(demo: Demo) -> None:
    """A folder that no demo made is not emptied."""
    demo.folder.mkdir()
    (demo.folder / "precious").write_text("x")
    done = demo.make("demo", NODES=1, DETACH=1)
    assert done.returncode != 0
    assert "no demo made it" in done.stdout + done.stderr
    assert (demo.folder / "precious").exists()
