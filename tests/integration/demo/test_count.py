"""What the demo's page says of the messages that it got."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import wsmesh_demo
from wsmesh_demo.processes import program

COUNT = Path(wsmesh_demo.__file__).parent / "static" / "count.js"
SCRIPT = """
const { Count } = await import(process.argv[1]);
const count = new Count();
for (const step of JSON.parse(process.argv[2])) step === "gap" ? count.gap() : count.take(step ?? undefined);
console.log(JSON.stringify(count));
"""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([7, 8, None, 9], {"received": 4}, id="all of them, and one of another publisher"),
        pytest.param([1, 2, 5], {"received": 3, "lost": 2}, id="two are lost"),
        pytest.param([1, 4, 2, 3, 5], {"received": 5}, id="two come late"),
        pytest.param([1, 2, 2], {"received": 3, "repeated": 1}, id="one comes twice"),
        pytest.param([1, 3, 2, 2], {"received": 4, "repeated": 1}, id="one comes late and twice"),
        pytest.param([1, "gap", 4, 2], {"received": 3, "missed": 1}, id="one of two that were missed comes late"),
        pytest.param(["gap", 3, 4], {"received": 2}, id="the first one has none before it"),
        pytest.param(
            [1, 20_000, 2], {"received": 3, "lost": 19_998, "repeated": 1}, id="one comes later than it knows"
        ),
    ],
)
def test_the_page_counts_what_is_missing(steps: list[object], expected: dict[str, int]) -> None:
    """Missing and repeated messages show; those that only change places do not."""
    command = [program("node"), "--input-type=module", "--eval", SCRIPT, COUNT.as_uri(), json.dumps(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"received": 0, "lost": 0, "missed": 0, "repeated": 0} | expected
