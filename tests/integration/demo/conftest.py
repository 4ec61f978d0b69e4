from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import Demo, a_demo


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with a_demo(tmp_path / "demo") as demo:
        yield demo
