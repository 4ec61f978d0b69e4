from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
from wsmesh import logs
logs.configure("wsupdates", level="info", log_format="{form}", environ={{}})
def fail(secret): raise ValueError("the reason")
try: fail("do-not-" + "show")
except ValueError as problem: logs.get("x").error("internal_error", exc_info=problem)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_logged_failure_shows_no_values(form: str) -> None:
    """The log of a failure has the reason and the place, never the values that were at hand, such as secrets."""
    done = subprocess.run([sys.executable, "-c", CODE.format(form=form)], capture_output=True, text=True, check=True)
    assert "the reason" in done.stderr
    assert "in fail" in done.stderr
    assert "do-not-show" not in done.stderr
