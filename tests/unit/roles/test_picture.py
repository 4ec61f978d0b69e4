"""The picture of the deployment."""

from __future__ import annotations

import re

from tests.unit.roles.test_variables import ROLES, ROOT

PICTURE = "docs/pictures/deployment.svg"


def test_each_role_stands_beside_what_it_makes() -> None:
    """The README shows the picture of the deployment, which names every role, and no other."""
    assert f"]({PICTURE})" in (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r">role (\w+)<", (ROOT / PICTURE).read_text(encoding="utf-8")))
    assert named == set(ROLES)
