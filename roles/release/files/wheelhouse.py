#!/usr/bin/env python3
"""Build a wheel house: everything that a host with a given Python needs to install a release without a network.

Runs on the controller. Prints one line of JSON: {"version": …, "archive": …, "changed": …}. The version is that of the
packages and a hash of all that goes in, so the same sources give the same release, and any change gives another.
The archive (tar) holds the wheels and `requirements.txt`, which pins every one of them, our own too, by its hash.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGES = ("wsmesh", "wsnode", "wsupdates", "haproxysync")
REQUIREMENTS = ("wsnode.txt", "wsupdates.txt")
GLIBC = (17, 24, 28, 34)
"""Minor versions of glibc that wheels may ask for; the oldest host, Ubuntu 22.04, has 2.35."""


def sources(root: Path) -> list[Path]:
    """All files that a release is made of, in a fixed order."""
    found = [root / "requirements" / name for name in REQUIREMENTS]
    for package in PACKAGES:
        folder = root / "services" / package
        found.append(folder / "pyproject.toml")
        found += [
            path
            for path in (folder / "src").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and not path.parent.name.endswith(".egg-info")
        ]
    return sorted(found)


def version(root: Path) -> str:
    """The name of the release."""
    digest = hashlib.sha256()
    for path in sources(root):
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    declared = re.search(r'^version = "([^"]+)"', (root / "services/wsmesh/pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    return f"{declared[1]}-{digest.hexdigest()[:12]}"


def build(root: Path, python: str, machine: str, archive: Path) -> None:
    """Make the archive. What pip says goes to standard error."""
    with tempfile.TemporaryDirectory(prefix="wsmesh-wheels-") as folder:
        wheels = Path(folder) / "wheels"
        wheels.mkdir()
        requirements = merged([root / "requirements" / name for name in REQUIREMENTS])
        (wheels / "requirements.txt").write_text(requirements)
        download(wheels, python, machine)
        own = [str(copied(root / "services" / package, Path(folder) / package)) for package in PACKAGES]
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), *own)
        pinned = [pin(next(wheels.glob(f"{package}-*.whl"))) for package in PACKAGES]
        (wheels / "requirements.txt").write_text(requirements + "".join(pinned))
        part = archive.with_suffix(".part")
        with tarfile.open(part, "w") as tar:
            for path in sorted(wheels.iterdir()):
                tar.add(path, path.name, filter=anonymous)
        part.rename(archive)


def merged(files: list[Path]) -> str:
    """The requirements of all files, each once: they are compiled together, so a name has the same pin in each."""
    entries = {}
    for path in files:
        for entry in re.split(r"(?m)^(?=\S)", path.read_text()):
            if entry.strip() and not entry.startswith("#"):
                entries[entry.split("==")[0]] = entry
    return "".join(entries[name] for name in sorted(entries))


def download(wheels: Path, python: str, machine: str) -> None:
    """Fetch the wheels for the target, each checked against its hash."""
    major, minor = python.split(".")
    platforms = [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in GLIBC]
    platforms += [f"--platform=manylinux2014_{machine}", f"--platform=linux_{machine}"]
    pip(
        *("download", "--dest", str(wheels), "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *("--implementation=cp", f"--python-version={python}", f"--abi=cp{major}{minor}", "--abi=abi3", "--abi=none"),
        *(*platforms, "-r", str(wheels / "requirements.txt")),
    )


def copied(package: Path, to: Path) -> Path:
    """A copy, since a build leaves files in the folder of its sources."""
    shutil.copytree(package, to, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    return to


def pin(wheel: Path) -> str:
    """The requirement of one wheel, with its hash."""
    name, number = wheel.name.split("-")[:2]
    return f"{name}=={number} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file of nobody's, of no time."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def pip(*arguments: str) -> None:
    """Run pip of the Python that runs this script."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 (the arguments are ours)


def main() -> None:
    """Build unless it is there."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", type=Path, required=True, help="the project")
    options.add_argument("--python", required=True, help="the target's Python, like 3.11")
    options.add_argument("--machine", required=True, help="the target's architecture, like x86_64")
    options.add_argument("--into", type=Path, required=True, help="folder of the archives")
    options.add_argument("--dry-run", action="store_true", help="only say what would be done")
    given = options.parse_args()
    name = version(given.root)
    archive = given.into / f"wsmesh-{name}-cp{given.python.replace('.', '')}-{given.machine}.tar"
    changed = False
    if not given.dry_run:
        given.into.mkdir(parents=True, exist_ok=True)
        with (given.into / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if changed := not archive.exists():
                build(given.root, given.python, given.machine, archive)
    print(json.dumps({"version": name, "archive": str(archive), "changed": changed}))


if __name__ == "__main__":
    main()
