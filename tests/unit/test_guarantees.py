"""What docs/guarantees.md says of its tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
ROWS = [
    row
    for row in re.findall(r"^\| (.+) \|$", PAGE, re.MULTILINE)
    if not row.startswith(("---", "promise |", "no promise |"))
]


def test_the_page_has_promises() -> None:
    """The rows of its tables are found, and what is not promised is said too."""
    assert len(ROWS) > 15
    assert "## Not promised" in PAGE


@pytest.mark.parametrize("row", ROWS)
def test_every_sentence_names_tests_that_exist(row: str) -> None:
    """Each row ends with tests (`file::test`), and each of them is defined in the file that is named."""
    _, tests = row.rsplit(" | ", 1)
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", tests)
    assert named, "no test is named"
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file} has no {test}"
