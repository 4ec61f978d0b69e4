"""The report: a table, and for every scenario its figures and a plot."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.failover.forms import Form
from tests.failover.plot import plot
from tests.failover.results import Result

SHARE = 0.1
"""Greatest share of the clients that may come back in one second of a rolling restart."""


@dataclass(frozen=True)
class Machine:
    """Where and when it ran, and how busy the machine was before and after."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    began: str
    load_before: float
    load_after: float = 0.0
    clients_seconds: float = 0.0
    """Processor seconds of the tests' own processes."""

    @classmethod
    def begin(cls) -> Machine:
        """Before the run."""
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        kernel = platform.release().split("-")[0]
        system = f"{platform.system()} {kernel}, Python {platform.python_version()}"
        return cls(names[0] if names else "unknown", os.cpu_count() or 1, memory, system, began, os.getloadavg()[0])

    def end(self) -> Machine:
        """After it."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        used = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        return Machine(**asdict(self) | {"load_after": os.getloadavg()[0], "clients_seconds": used})


def write(form: Form, machine: Machine, results: list[Result]) -> None:
    """Write report.json, report.md and the plots into the form's folder."""
    form.folder.mkdir(parents=True, exist_ok=True)
    whole = {"form": asdict(form), "machine": asdict(machine), "results": [one.as_json() for one in results]}
    (form.folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
    (form.folder / "report.md").write_text("# Failover\n\n" + render(form, machine, results, ""))
    draw(form.folder, results)


def read(folder: Path) -> tuple[Form, Machine, list[Result]]:
    """The last report of a form."""
    whole = json.loads((folder / "report.json").read_text())
    return Form(**whole["form"]), Machine(**whole["machine"]), [Result.from_json(one) for one in whole["results"]]


def draw(folder: Path, results: list[Result]) -> None:
    """Write the plots."""
    for result in results:
        (folder / f"{result.name}.svg").write_text(plot(result))


def render(form: Form, machine: Machine, results: list[Result], pictures: str) -> str:
    """The report as text; `pictures` is put before the plots' names."""
    command = "make failover" if form.name == "full" else f"FAILOVER={form.name} make failover"
    lines = [
        f"`{command}`, begun {machine.began}, on {machine.cores} cores ({machine.processor}), "
        f"{machine.memory_gib:.0f} GiB, "
        f"{machine.system}. Nodes, HAProxy, publishers and clients shared them. Load before the run: "
        f"{machine.load_before:.1f}, after: {machine.load_after:.1f} (one minute's average).",
        "",
        f"{len(results)} scenarios, {sum(one.published for one in results):,} messages acknowledged, "
        f"{sum(one.delivered for one in results):,} deliveries: {sum(one.lost for one in results)} lost, "
        f"{sum(one.duplicated for one in results)} duplicated, {sum(one.disordered for one in results)} out of order.",
        "",
        "| scenario | clients | acknowledged | delivered | lost | duplicated | out of order | reconnects "
        "| recovery p50 | p99 | goal |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |",
        *(_row(result, form) for result in results),
        "",
    ]
    for result in results:
        lines += [f"## {result.title}", "", result.about, "", f"![{result.title}]({pictures}{result.name}.svg)", ""]
        lines += [*_details(result), ""]
    return "\n".join(lines)


def _row(result: Result, form: Form) -> str:
    recovery = result.from_loss if result.goal is None else result.from_fault
    times = [f"{recovery[name]:.2f} s" for name in ("p50", "p99")] if recovery else ["", ""]
    cells = [
        result.title,
        f"{result.clients:,}",
        f"{result.published:,}",
        f"{result.delivered:,}",
        str(result.lost),
        str(result.duplicated),
        str(result.disordered),
        f"{result.reconnects:,}",
        *times,
        _goal(result, form),
    ]
    return f"| {' | '.join(cells)} |"


def _goal(result: Result, form: Form) -> str:
    if result.name == "rolling-restart":
        if form.name != "full":
            return f"of the full form only: here nodes drain in {form.drain:g} s"
        met = result.most_in_a_second <= SHARE
        return f"at most {SHARE:.0%} in a second: {result.most_in_a_second:.1%}, {'met' if met else '**missed**'}"
    if result.goal is None:
        return ""
    met = result.from_fault is not None and result.from_fault["p99"] <= result.goal
    return f"p99 ≤ {result.goal:g} s: {'met' if met else '**missed**'}"


def _details(result: Result) -> list[str]:
    lines = [f"- Proof of the fault: {'; '.join(result.proofs)}."]
    if result.from_fault and result.from_loss:
        lines.append(
            f"- From the fault to the first message over a new connection: {_times(result.from_fault)}; "
            f"from the loss of a connection: {_times(result.from_loss)}."
        )
    if result.reconnects:
        codes = ", ".join(f"{number} with code {code}" for code, number in sorted(result.codes.items()))
        lines.append(
            f"- {result.reconnects} reconnects ({codes}), at most {result.most_in_a_second:.1%} of the clients "
            f"in a second; {result.repeats} events dropped for their idempotency key."
        )
    retries = ", ".join(f"{number} × {what}" for what, number in sorted(result.retries.items())) or "none"
    lines.append(
        f"- Publish: p50 {result.publish_ms['p50']:.0f} ms, p99 {result.publish_ms['p99']:.0f} ms; retries: {retries}."
    )
    lines.append(
        f"- Delivery after the first try to publish: p50 {result.deliver_ms['p50']:.0f} ms, p99 "
        f"{result.deliver_ms['p99']:.0f} ms. A client's longest silence: p50 {result.silence['p50']:.1f} s, "
        f"most {result.silence['max']:.1f} s."
    )
    if result.wrong:
        lines += ["- **Wrong:**", *(f"  - {text}" for text in result.wrong)]
    return lines


def _times(found: dict[str, float]) -> str:
    return (
        f"p50 {found['p50']:.2f} s, p99 {found['p99']:.2f} s, most {found['max']:.2f} s ({found['number']:.0f} clients)"
    )
