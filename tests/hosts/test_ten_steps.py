"""docs/deployment.md: its ten steps, followed as they stand, on a bare machine with systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.hosts.machine import Machine, machine

ROOT = Path(__file__).parents[2]
EXAMPLE = "192.0.2.10"
STEP = re.compile(r"^(\d+)\. (.*?)(?=^\d+\. |^A second run)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^ *```(sh|yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`(inventory/production/[\w/.]+\.yml)`")


def steps() -> list[str]:
    """Each step as a line of shell or more: a block of YAML is what the file that the step names gets."""
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    found = []
    for number, text in STEP.findall(page):
        commands = [f"echo '--- step {number}'"]
        for kind, body in BLOCK.findall(text):
            lines = textwrap.dedent(body)
            if kind == "yaml":
                (name,) = FILE.findall(text)
                lines = f"cat > {name} <<'END'\n{lines}END\n"
            commands.append(lines)
        found.append("\n".join(commands))
    return found


def copy_of_the_project(to: Path) -> Path:
    """What a clone of the work tree would hold."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


@pytest.fixture
def bare(tmp_path: Path) -> object:
    """A bare machine."""
    with machine(tmp_path) as found:
        yield found


def test_there_are_ten_steps() -> None:
    """The page has ten steps, and all but the words around them are commands and files."""
    assert len(steps()) == 10
    assert all(step.count("\n") for step in steps())


def test_ten_steps_lead_to_the_first_message(bare: Machine, tmp_path: Path) -> None:
    """Who follows the page from bare host to the end sees a message arrive."""
    script = "set -euo pipefail\n" + "\n".join(steps()).replace(EXAMPLE, bare.address)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WSMESH", "WS_", "VENV"))}
    environment |= {
        "HOME": str(tmp_path),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_PRIVATE_KEY_FILE": str(bare.key),
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o UserKnownHostsFile=/dev/null",
    }
    folder = tmp_path / "wsmesh"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=copy_of_the_project(folder),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1_800,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    last = done.stdout.split("--- step 10")[1]
    assert re.search(r'news\s+greeting\s+\{"hello": "world", "n": \d\}', last), last
