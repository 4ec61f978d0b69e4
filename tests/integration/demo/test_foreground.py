"""`make demo` in a terminal, and the ways it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.demo import Demo, a_demo


def test_ctrl_c(demo: Demo) -> None:
    """Ctrl-C, which the terminal sends to `make` and to the demo, ends every process."""
    process = demo.start(NODES=2)
    assert len(demo.leftovers()) >= 6  # registry, two nodes, HAProxy, haproxy-sync, and the demo itself
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert "everything has ended" in said
    assert demo.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "terminal closed"])
def test_ended(demo: Demo, number: signal.Signals) -> None:
    """A SIGTERM, or the end of the terminal, ends every process."""
    process = demo.start(NODES=2)
    os.kill(demo.cluster["supervisor"]["pid"], number)
    process.communicate(timeout=30)
    assert demo.leftovers() == []
    assert not (demo.folder / "cluster.json").exists()


def test_killed(demo: Demo) -> None:
    """When the demo itself is killed, the kernel ends its processes, and a new one starts as if nothing had been."""
    process = demo.start(NODES=2)
    os.kill(demo.cluster["supervisor"]["pid"], signal.SIGKILL)
    process.communicate(timeout=30)
    demo.wait_until_nothing_runs()
    done = demo.make("demo", NODES=2, DETACH=1)
    assert done.returncode == 0, done.stdout + done.stderr


def test_killed_in_an_odd_folder(tmp_path: Path) -> None:
    """What a killed demo had outside its folder, too deep for sockets, is removed by `make demo-stop`."""
    with a_demo(tmp_path / ("deep" * 20) / "the state") as demo:
        process = demo.start(NODES=1)
        elsewhere = Path(demo.cluster["control_socket"]).parent
        assert elsewhere.exists()
        os.kill(demo.cluster["supervisor"]["pid"], signal.SIGKILL)
        process.communicate(timeout=30)
        assert demo.make("demo-stop").returncode == 0
        assert not elsewhere.exists()


def test_interrupted_start(demo: Demo) -> None:
    """A Ctrl-C while it starts ends what has been started."""
    process = demo.start(until="starting 3 nodes", NODES=3)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert demo.leftovers() == []
