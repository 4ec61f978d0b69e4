"""`wsmesh status`: is the cluster well?"""

from __future__ import annotations

import asyncio
import re

import aiohttp
import msgspec
import typer

from wsmesh.answers import why_none
from wsmesh.cli import nodes, output
from wsmesh.cli.errors import Code
from wsmesh.cli.options import AsJson
from wsmesh.cli.running import run, target_of
from wsmesh.cli.target import Target
from wsmesh.decoding import UNREADABLE
from wsmesh.registry_client import Json, RegistryError, RegistryRefused

ASK_TIMEOUT = 3.0
SERVER_ERROR = 500
LIVE = ("ready", "draining")
GONE = {
    "lost": "its lease ran out; if it will not come back: wsmesh nodes remove",
    "left": "it said goodbye",
}
LAG = re.compile(r'^wsmesh_peer_lag_messages\{peer="([^"]+)"\} (\S+)$', re.MULTILINE)
"""What a node says of each peer under /metrics: own messages that the peer has not acknowledged."""


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """The registry's health, and each node's state, load and reasons not to be ready.

    Exit code 0: all is well. 1: the registry or a node is not. A node that drains or said goodbye is not counted; one
    whose lease ran out counts until it is back or removed.

    Examples:

        wsmesh status

        wsmesh status --json | jq '.nodes[] | select(.ready | not)'
    """
    found = run(_status(target_of(ctx)))
    if as_json:
        output.as_json(found)
    else:
        _show(found)
    if not found["healthy"]:
        raise typer.Exit(Code.NOT_SO)


async def _status(target: Target) -> Json:
    async with target.registry() as registry:
        try:
            ready, why = await registry.ready()
            generation: int | None = await registry.generation()
            members = await registry.nodes()
        except RegistryError as problem:
            if isinstance(problem, RegistryRefused) and problem.status < SERVER_ERROR:
                raise  # a wrong key says nothing about the cluster
            ready, why, generation, members = False, str(problem), None, _demo_nodes(target)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT)) as http:
        answers = await asyncio.gather(*(_ask(http, target, member) for member in members))
    listed = [{**member, **answer} for member, answer in zip(members, answers, strict=True)]
    wanted = [node for node in listed if node["state"] in ("ready", "lost")]
    return {
        "healthy": ready and bool(wanted) and all(node["ready"] for node in wanted),
        "registry": {"ready": ready, "reason": why, "generation": generation},
        "nodes": listed,
    }


async def _ask(http: aiohttp.ClientSession, target: Target, member: Json) -> Json:
    """What the node itself says; one that is gone is not asked."""
    if member["state"] not in LIVE:
        return {"ready": False, "reasons": [GONE.get(str(member["state"]), str(member["state"]))]}
    reasons: list[str] = []
    tls = target.cluster_tls() or True
    for url in _urls(target, member):
        try:
            async with http.get(f"{url}/readyz", ssl=tls) as answer:
                found = msgspec.json.decode(await answer.read(), type=_Readiness)
            async with http.get(f"{url}/metrics", ssl=tls) as answer:
                lag = {peer: int(float(behind)) for peer, behind in LAG.findall(await answer.text())}
            return {"ready": found.ready, "reasons": found.reasons, "peer_lag_messages": lag}
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            reasons.append(f"{url} gives no answer: {why_none(problem)}")
        except UNREADABLE:
            reasons.append(f"{url}/readyz does not answer as a node")
    return {"ready": False, "reasons": reasons[:1]}


class _Readiness(msgspec.Struct):
    ready: bool
    reasons: list[str] = []


def _lag(node: Json) -> int | None:
    """How many messages of this node the peer that is furthest behind has not acknowledged."""
    return max(node.get("peer_lag_messages", {}).values(), default=None)


def _urls(target: Target, member: Json) -> list[str]:
    """Where to ask a node. The registry does not know whether its client port speaks TLS, so both are tried."""
    known = [node.client_url for node in target.demo.nodes if node.id == member["id"]] if target.demo else []
    address = member.get("client_address")
    return known or [f"http://{address}", f"https://{address}"]


def _demo_nodes(target: Target) -> list[Json]:
    """The nodes of the cluster file, for when the registry is down."""
    return [{"id": node.id, "state": "ready"} for node in target.demo.nodes] if target.demo else []


def _show(found: Json) -> None:
    registry = found["registry"]
    state = "ready" if registry["ready"] else f"not ready: {output.printable(registry['reason'])}"
    print(f"registry: {state}, generation {output.cell(registry['generation'])}\n")
    rows = [
        (*nodes.row(node)[:4], *nodes.row(node)[5:7], _lag(node), node["ready"], node["reasons"])
        for node in found["nodes"]
    ]
    output.table((*nodes.COLUMNS[:4], *nodes.COLUMNS[5:7], "lag", "ready", "reasons"), rows, "no node is known")
