"""The npm package wsmesh-resume, as it would be published."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from wsmesh_demo.processes import program

PACKAGE = Path(__file__).parents[3] / "clients" / "js"


def test_what_it_holds(tmp_path: Path) -> None:
    """The package holds the module, its types, licence and README, and nothing else."""
    pack = [program("npm"), "pack", "--pack-destination", str(tmp_path), "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(pack, cwd=PACKAGE, capture_output=True, text=True, check=True, timeout=120)
    with tarfile.open(tmp_path / done.stdout.split()[-1]) as archive:
        names = archive.getnames()
    sources = [f"src/{path.name}" for path in (PACKAGE / "src").iterdir()]
    assert sorted(names) == sorted(f"package/{name}" for name in ["LICENSE", "README.md", "package.json", *sources])
