"""Rules and dashboard: held to the metrics that a real cluster exports, and to promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml  # type: ignore[import-untyped]

from haproxysync.domain.record import Record, metrics
from tests.support.clusters import running_cluster

FILES = Path(__file__).parents[3] / "roles/monitoring/files"
RULES = FILES / "wsmesh.rules.yml"
DASHBOARD = json.loads((FILES / "wsmesh.dashboard.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\b(?:wsmesh|wsupdates|haproxy|process)_[a-z0-9_]+")
PAGE = Path(__file__).parents[3] / "docs/monitoring.md"
OPERATIONS = PAGE.with_name("operations.md")


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def strings(part: Any) -> Iterator[str]:
    """All queries of the dashboard."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name in ("expr", "query") and isinstance(value, str))
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from strings(inner)


def used() -> set[str]:
    """Every metric that a rule or a panel reads."""
    texts = [rule["expr"] for rule in rules()] + list(strings(DASHBOARD))
    return {name for text in texts for name in METRIC.findall(text)}


def watched() -> set[str]:
    """Every metric of a node that operators are told to watch."""
    section = OPERATIONS.read_text(encoding="utf-8").split("## Metrics of a node")[1].split("\n## ")[0]
    return set(METRIC.findall(section))


def exported(page: str) -> set[str]:
    """The names of a page for Prometheus: samples, and families that have none yet."""
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line and not line.startswith("#")}
    for _, _, family, kind in (line.split(" ", 3) for line in page.splitlines() if line.startswith("# TYPE ")):
        names |= {family, f"{family}_bucket"} if kind == "histogram" else {family}
    return names


async def test_rules_dashboard_and_page_name_what_is_exported(tmp_path: Path) -> None:
    """What a rule, a panel or docs/operations.md names comes from a node, the registry, HAProxy or haproxy-sync."""
    async with running_cluster(tmp_path, nodes=2) as cluster, aiohttp.ClientSession() as http:
        stats = f"http://127.0.0.1:{cluster.plan.ports.stats_port}"
        found = exported(metrics(Record(), slot_count=1, haproxy_up=True, differences=0))
        for url in (cluster.nodes[1].client_url, cluster.registry.url, stats):
            async with http.get(f"{url}/metrics") as answer:
                assert answer.status == 200
                found |= exported(await answer.text())
    assert (used() | watched()) - found == set()
    assert "wsmesh_idempotency_keys_dropped_total" in watched()
    assert len(used()) > 20


def test_the_dashboard_can_be_imported() -> None:
    """The dashboard has what Grafana needs: panels with places that do not overlap, ids of their own and queries."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_alert_is_explained() -> None:
    """Every alert says what happened and what to do, and stands in docs/monitoring.md with its severity."""
    page = PAGE.read_text(encoding="utf-8")
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in page
    assert page.count("| `Wsmesh") == len(rules())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (package prometheus)")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """promtool accepts the rules, and finds the alerts of rules_test.yml and no others."""
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("rules_test.yml"), tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "rules_test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
