"""The images: made from this source, once, and named by a hash of what goes into them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.failover.forms import BUILD

ROOT = Path(__file__).parents[2]
SOURCES = ("docker", "requirements", "roles/release/files", "services", "tests/hosts/image", "tests/hosts/packages.txt")


def run(*command: str, **environment: str) -> str:
    """Run a command to its end; what it printed. Fails with all it said."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def built() -> str:
    """The tag of `wsmesh-node` and `wsmesh-registry`, which are there afterwards."""
    tag = f"failover-{_hash()}"
    BUILD.mkdir(parents=True, exist_ok=True)
    run("tests/hosts/engine")
    with (BUILD / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        if not {f"wsmesh-node:{tag}", f"wsmesh-registry:{tag}"} <= set(names):
            base = run("tests/hosts/image", "bookworm")
            run("docker/build", tag, BASE_IMAGE=base, PYTHON=sys.executable)
            for name in names:  # those of former sources
                if name.startswith(("wsmesh-node:failover-", "wsmesh-registry:failover-")):
                    subprocess.run(["docker", "image", "rm", name], capture_output=True, check=False)
    return tag


def _hash() -> str:
    hashed = hashlib.sha256()
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard", *SOURCES).splitlines():
        path = ROOT / name
        if path.is_file():
            hashed.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()[:12]
