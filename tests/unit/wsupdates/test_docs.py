from __future__ import annotations

import re
from pathlib import Path

from wsupdates.web.metrics import Metrics
from wsupdates.web.openapi import errors_of
from wsupdates.web.routes import ENDPOINTS

PAGE = (Path(__file__).parents[3] / "docs" / "registry-api.md").read_text()


def test_every_error_is_explained() -> None:
    """The page lists each error code under its status, and none that there is not."""
    listed = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.*) \|$", PAGE, re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    real = {(status, code) for endpoint in ENDPOINTS for code, (status, _) in errors_of(endpoint).items()}
    everywhere = {(400, "bad_request"), (404, "not_found"), (405, "method_not_allowed")}
    assert listed == real | everywhere


def test_every_figure_is_explained() -> None:
    """The page lists each metric, and none that there is not."""
    page = Metrics().render(0, []).decode()
    real = {name for name in re.findall(r"^# TYPE (\w+)", page, re.MULTILINE) if not name.endswith("_created")}
    listed = set(re.findall(r"wsupdates_\w+", PAGE))
    assert listed == real


def test_every_route_is_explained() -> None:
    """The page names each route of the API."""
    for endpoint in ENDPOINTS:
        path = re.sub(r"<(\w+):str>", r"{\1}", endpoint.path).removeprefix("/api/v1")
        assert path in PAGE, endpoint.name
