from __future__ import annotations

import copy
import random
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.integration.wsupdates.conftest import Calls
from tests.support.registry import registration
from tests.support.registry_process import serving
from wsupdates.web.endpoint import Endpoint
from wsupdates.web.openapi import errors_of
from wsupdates.web.routes import ENDPOINTS

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    10**40,
    1e308,
    "",
    "x" * 300,
    "\x00",
    "☂\u202e",
    "a/b",
    "*",
    [],
    {},
    [[]],
    {"": None},
]
PARTS = ["n1", "app", "none", "*", "☂", "\x00", "a b", "%", "x" * 300, "deadbeef", "0"]
TYPED = [endpoint for endpoint in ENDPOINTS if endpoint.roles]


def mangled(body: Any, chance: random.Random) -> Any:
    """The body with a field replaced, removed or added, somewhere."""
    body = copy.deepcopy(body)
    place = body
    while isinstance(place, dict) and place and chance.random() < 0.4:
        inner = place[chance.choice(list(place))]
        if not isinstance(inner, dict):
            break
        place = inner
    name = chance.choice([*place, "odd"]) if place else "odd"
    if chance.random() < 0.2:
        place.pop(name, None)
    else:
        place[name] = chance.choice(ODD)
    return chance.choice(ODD) if chance.random() < 0.1 else body


def request(endpoint: Endpoint, chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A path and options for a call that is nearly right, or far off."""
    path = re.sub(r"<\w+:str>", lambda _: quote(chance.choice(PARTS), safe=""), endpoint.path)
    options: dict[str, Any] = {}
    if endpoint.body is not None:
        body = mangled(endpoint.example, chance) if chance.random() < 0.9 else endpoint.example
        options["data"] = msgspec.json.encode(body) if chance.random() < 0.95 else b"\x00{"
    if endpoint.parameters and chance.random() < 0.5:
        one = chance.choice(endpoint.parameters)
        value = chance.choice(["0", "-1", "x", "9" * 30, "☂", "\x00", ""])
        path += f"?{quote(one.name)}={quote(value)}"
    return path, options


@pytest.mark.parametrize("seed", range(2))
async def test_any_input_gets_a_documented_answer(
    database: dict[str, str], tmp_path: Path, calls: Calls, seed: int
) -> None:
    """Whatever is sent, the answer is one of the document's: a success, or an error with a code it lists."""
    chance = random.Random(seed)
    with serving(tmp_path, database) as registry:
        api = await calls.with_keys(registry)
        await api("POST", "/api/v1/nodes", role="node", json=registration())
        await api("POST", "/api/v1/apps", json={"id": "app"})
        for _ in range(300):
            endpoint = chance.choice(TYPED)
            path, options = request(endpoint, chance)
            answer = await api(endpoint.method, path, role=endpoint.roles[0], **options)
            if answer.status in (endpoint.status, 304):
                continue
            told = f"seed {seed}: {endpoint.method} {path} {options} -> {answer.status} {answer.raw!r}"
            status, code, _ = answer.error
            assert code in errors_of(endpoint), told
            assert errors_of(endpoint)[code][0] == status, told
            assert code not in ("internal", "database"), told
