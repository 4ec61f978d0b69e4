"""A bare machine: a container of the hosts' image with systemd, that is reached by SSH."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
RUN = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns", "host"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--env", "container=docker", "--stop-signal", "SIGRTMIN+3", "--label", "wsmesh=tests"),
)
USER = "admin"


@dataclass
class Machine:
    """Where it is, and the private key that lets its user `admin` in, who may sudo."""

    address: str
    key: Path


def output(*command: str | Path, stdin: str = "") -> str:
    """What a command prints. Fails with all that it said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Start one, and end it."""
    image = output(FOLDER / "image")
    key, name = folder / "id_ed25519", f"wsmesh-machine-{uuid.uuid4().hex[:8]}"
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    try:
        output("docker", "run", "--detach", "--name", name, "--hostname", name, *RUN, image, "/lib/systemd/systemd")
        output("docker", "exec", name, "bash", "-c", "systemctl is-system-running --wait || true")
        script = f"""
            useradd --create-home --shell /bin/bash {USER}
            printf '{USER} ALL=(ALL) NOPASSWD: ALL\\n' > /etc/sudoers.d/{USER}
            install -d -o {USER} -m 0700 /home/{USER}/.ssh
            cat > /home/{USER}/.ssh/authorized_keys
        """
        output("docker", "exec", "-i", name, "bash", "-euc", script, stdin=key.with_suffix(".pub").read_text())
        found = output("docker", "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", name)
        yield Machine(found, key)
    finally:
        output("docker", "rm", "--force", "--volumes", name)
