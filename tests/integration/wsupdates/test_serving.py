from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg  # type: ignore[import-untyped]
import pytest
import trustme

from tests.integration.wsupdates.conftest import Calls
from tests.support.ports import free_port
from tests.support.registry import Api, registration
from tests.support.registry_process import ADMIN_KEY, PROGRAM, environment, run, serving
from wsupdates.adapters import migrations


async def until(api: Api, path: str, what: str, wanted: list[str], seconds: float) -> None:
    """Return when the list of ids is as wanted."""
    last = None
    async with asyncio.timeout(seconds):
        while last != wanted:
            last = [one.get("id") or one.get("node") for one in (await api("GET", path)).json[what]]
            await asyncio.sleep(0.05)


@asynccontextmanager
async def beating(api: Api, node: str) -> AsyncIterator[None]:
    """A node sends heartbeats, and each is taken."""

    async def beat() -> None:
        while True:
            answer = await api("POST", f"/api/v1/nodes/{node}/heartbeat", role="node", json={"run": f"{node}~run1"})
            assert answer.status == 200, answer.error
            await asyncio.sleep(0.3)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_one_waits(api: Api) -> None:
    """Return when a caller waits for a change."""
    async with asyncio.timeout(30):
        while b"\nwsupdates_waiting 1.0" not in (await api("GET", "/metrics")).raw:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_cluster_lives_on_it(database: dict[str, str], tmp_path: Path, calls: Calls) -> None:
    """Over real processes and databases: nodes, slots, apps and rules work, and all survives a crash and a restart."""
    with serving(tmp_path, database) as registry:
        api = await calls.with_keys(registry)
        for number in (1, 2):
            answer = await api("POST", "/api/v1/nodes", role="node", json=registration(f"n{number}"))
            assert (answer.status, answer.json["slot"]) == (200, number)
        app = (await api("POST", "/api/v1/apps", json={"id": "shop"})).json
        assert (await api("PUT", "/api/v1/apps/shop/rules/news-*", json={"cache": True})).status == 200
        before = (await api("GET", "/api/v1/config", role="node")).json
        registry.kill()
    with serving(tmp_path, database, port=registry.port):
        after = (await api("GET", "/api/v1/config", role="node")).json
        assert after.pop("generation") > before.pop("generation")
        assert after == before
        assert after["apps"][0]["secret"] == app["secret"]
        beat = await api("POST", "/api/v1/nodes/n1/heartbeat", role="node", json={"run": "n1~run1"})
        assert (beat.status, beat.json["slot"]) == (200, 1)
        restarted = registration("n2", "n2~run2")
        assert (await api("POST", "/api/v1/nodes", role="node", json=restarted)).error[1] == "node_id_in_use"
        answer = await api("POST", "/api/v1/nodes", role="node", json=restarted | {"previous_run": "n2~run1"})
        assert (answer.status, answer.json["slot"]) == (200, 2)


async def test_a_second_live_process_is_refused(database: dict[str, str], tmp_path: Path, calls: Calls) -> None:
    """A second process with the id of a live node gets a clear error, and the first keeps its lease."""
    with serving(tmp_path, database) as registry:
        api = await calls.with_keys(registry)
        await api("POST", "/api/v1/nodes", role="node", json=registration("n1", "n1~one"))
        answer = await api("POST", "/api/v1/nodes", role="node", json=registration("n1", "n1~two"))
        assert answer.error == (409, "node_id_in_use", "id")
        assert answer.message == "node n1 is held by run n1~one; give this node another id, or stop that one"
        answer = await api("POST", "/api/v1/nodes/n1/heartbeat", role="node", json={"run": "n1~two"})
        assert answer.error == (409, "other_run", "run")
        answer = await api("POST", "/api/v1/nodes/n1/heartbeat", role="node", json={"run": "n1~one"})
        assert answer.status == 200


async def test_a_silent_node_leaves_and_a_lively_one_stays(
    database: dict[str, str], tmp_path: Path, calls: Calls
) -> None:
    """Without heartbeats a node is gone when its lease ends, though not while the registry was away; others stay."""
    with serving(tmp_path, database | {"LEASE_SECONDS": "4"}) as registry:
        api = await calls.with_keys(registry)
        for node in ("lively", "silent"):
            await api("POST", "/api/v1/nodes", role="node", json=registration(node))
        tag = (await api("GET", "/api/v1/slots")).headers["etag"]
        async with beating(api, "lively"):
            answer = await api("GET", "/api/v1/slots", headers={"if-none-match": tag}, params={"wait": "20"})
            assert [slot["node"] for slot in answer.json["slots"]] == ["lively"]
            states = {node["id"]: node["state"] for node in (await api("GET", "/api/v1/nodes")).json["nodes"]}
            assert states == {"lively": "ready", "silent": "lost"}
    with serving(tmp_path, database | {"LEASE_SECONDS": "60"}, port=registry.port):
        assert [node["id"] for node in (await api("GET", "/api/v1/config")).json["nodes"]] == ["lively"]


async def test_two_registries_share_a_postgresql(postgres_url: str, tmp_path: Path, calls: Calls) -> None:
    """A change through one registry reaches who waits at the other at once, and both see one truth."""
    with (
        serving(tmp_path, {"DB_URL": postgres_url, "LEASE_SECONDS": "4"}) as one,
        serving(tmp_path, {"DB_URL": postgres_url, "LEASE_SECONDS": "4"}) as two,
    ):
        first = await calls.with_keys(one)
        second = calls.to(two)
        second.keys |= first.keys
        tag = (await second("GET", "/api/v1/config")).headers["etag"]
        poll = asyncio.create_task(
            second("GET", "/api/v1/config", headers={"if-none-match": tag}, params={"wait": "20"})
        )
        await until_one_waits(second)
        began = time.monotonic()
        await first("POST", "/api/v1/nodes", role="node", json=registration("n1"))
        assert [node["id"] for node in (await poll).json["nodes"]] == ["n1"]
        assert time.monotonic() - began < 10, "it came with the end of the poll"
        async with beating(first, "n1"):
            leases = await asyncio.gather(
                *(
                    (first, second)[number % 2]("POST", "/api/v1/nodes", role="node", json=registration(f"m{number}"))
                    for number in range(12)
                )
            )
            assert sorted(lease.json["slot"] for lease in leases) == list(range(2, 14))
            refused = await second("POST", "/api/v1/nodes", role="node", json=registration("n1", "n1~other"))
            assert refused.error[1] == "node_id_in_use"
            await until(second, "/api/v1/slots", "slots", ["n1"], 20)


async def test_postgresql_goes_away_and_comes_back(postgres_url: str, tmp_path: Path, calls: Calls) -> None:
    """While the database does not answer, readiness and calls are 503 in the error shape; then all goes on."""
    name = postgres_url.rsplit("/", 1)[1]
    with serving(tmp_path, {"DB_URL": postgres_url}) as registry:
        api = await calls.with_keys(registry)
        await api("POST", "/api/v1/nodes", role="node", json=registration())
        await execute(postgres_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await execute(postgres_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert (await api("GET", "/readyz", role=None)).error == (503, "database", None)
        assert (await api("GET", "/api/v1/config")).error == (503, "database", None)
        assert (await api("GET", "/healthz", role=None)).status == 200
        await execute(postgres_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await asyncio.to_thread(registry.wait_ready)
        assert [node["id"] for node in (await api("GET", "/api/v1/config")).json["nodes"]] == ["n1"]


async def execute(url: str, statement: str) -> None:
    """Run a statement in the server's own database."""
    connection = await asyncpg.connect(url.rsplit("/", 1)[0] + "/postgres")
    await connection.execute(statement)
    await connection.close()


def test_no_admin_key(database: dict[str, str]) -> None:
    """A registry that nobody could administer does not start, and says how to make a key."""
    done = run("serve", **database)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-3:] == [
        "API_KEY: not set, and there is no valid admin key yet. Make one and keep it:",
        "    wsupdates keys create --role admin --name NAME",
        "or set API_KEY to at least 24 random characters, for example from `openssl rand -base64 32`.",
    ]
    made = run("keys", "create", "--role", "node", "--name", "nodes", **database)
    assert made.returncode == 0
    assert run("serve", **database).returncode == 2


@pytest.mark.parametrize("weak", ["secret", "a" * 40])
def test_weak_api_key(weak: str) -> None:
    """A weak API_KEY stops the start with one line that does not show it."""
    done = run("serve", API_KEY=weak)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "API_KEY: found a value that is not shown, expected at least 24 characters, 10 of them different, "
        "for example from `openssl rand -base64 32`\n"
    )


def test_port_in_use(tmp_path: Path) -> None:
    """A port in use stops the start with one line that names it."""
    with serving(tmp_path, {"DB_PATH": str(tmp_path / "one.sqlite3")}) as registry:
        done = run("serve", API_KEY=ADMIN_KEY, PORT=str(registry.port), DB_PATH=str(tmp_path / "two.sqlite3"))
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"PORT: cannot listen on 127.0.0.1 port {registry.port}: Address already in use")
    assert line.endswith("; free it or choose another")


def test_a_sqlite_file_has_one_registry(tmp_path: Path) -> None:
    """A second registry on the same file is refused, also to migrate; after a crash of the first it may start."""
    path = str(tmp_path / "registry.sqlite3")
    with serving(tmp_path, {"DB_PATH": path}) as registry:
        done = run("serve", API_KEY=ADMIN_KEY, PORT=str(free_port()), DB_PATH=path)
        assert (done.returncode, done.stderr) == (
            2,
            f"DB_PATH: another wsupdates serves {path}; stop it, or use PostgreSQL for several\n",
        )
        assert run("migrate", DB_PATH=path).stdout == "nothing to apply\n"
        registry.kill()
    with serving(tmp_path, {"DB_PATH": path}):
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_plaintext_to_other_machines(tmp_path: Path) -> None:
    """Listening beyond loopback without TLS must be asked for by name."""
    settings = {"API_KEY": ADMIN_KEY, "HOST": "0.0.0.0", "DB_PATH": str(tmp_path / "x.sqlite3")}
    done = run("serve", **settings)
    assert done.returncode == 2
    assert done.stderr == (
        "ALLOW_PLAINTEXT: the registry listener would serve 0.0.0.0 in clear text; give it a certificate, a loopback "
        "address, or name it: ALLOW_PLAINTEXT=registry\n"
    )


def test_unreachable_database() -> None:
    """A PostgreSQL that cannot be reached is one line, without the password."""
    done = run("serve", API_KEY=ADMIN_KEY, DB_URL=f"postgresql://me:geheim@127.0.0.1:{free_port()}/x")
    assert done.returncode == 2
    assert done.stderr.startswith("DB_URL: the database cannot be used: ")
    assert len(done.stderr.splitlines()) == 1
    assert "geheim" not in done.stderr


def test_migrating_first(database: dict[str, str]) -> None:
    """`migrate` applies what is pending, once; until then `serve --no-migrate` refuses to start."""
    refused = run("serve", "--no-migrate", API_KEY=ADMIN_KEY, **database)
    assert refused.returncode == 2
    names = [path.stem for path in sorted((Path(migrations.__file__).parent).glob("0*.py"))]
    assert names[0] == "0001_initial"
    assert refused.stderr == f"--no-migrate: {', '.join(names)} not applied yet; run `wsupdates migrate` first\n"
    assert run("migrate", **database).stdout == "".join(f"applied {name}\n" for name in names)
    assert run("migrate", **database).stdout == "nothing to apply\n"


async def test_keys_of_the_command_line(database: dict[str, str], tmp_path: Path, calls: Calls) -> None:
    """Keys are made, listed and revoked beside a running registry, and count at once; they are shown once."""
    with serving(tmp_path, database) as registry:
        api = calls.to(registry)
        made = run("keys", "create", "--role", "balancer", "--name", "lb", "--expires-days", "30", **database)
        api.keys["lb"] = made.stdout.strip()
        assert api.keys["lb"].startswith("wsm_balancer_")
        assert (await api("GET", "/api/v1/slots", role="lb")).status == 200
        listed = run("keys", "list", **database)
        row = next(line for line in listed.stdout.splitlines() if "lb" in line.split())
        assert api.keys["lb"] not in listed.stdout
        assert run("keys", "revoke", row.split()[0], **database).returncode == 0
        assert (await api("GET", "/api/v1/slots", role="lb")).error == (401, "key_invalid", None)
        gone = run("keys", "revoke", row.split()[0], **database)
        assert (gone.returncode, gone.stderr) == (1, f"there is no key {row.split()[0]}\n")
        actions = [(entry["key"], entry["action"]) for entry in (await api("GET", "/api/v1/audit")).json["entries"]]
        assert actions[:2] == [("command line", "key.revoke"), ("command line", "key.create")]


async def test_the_key_of_the_setting_follows_it(database: dict[str, str], tmp_path: Path, calls: Calls) -> None:
    """Another API_KEY ends the one before, and without one there is none; no key is stored in clear."""
    with serving(tmp_path, database) as registry:
        old = calls.to(registry)
        await old("POST", "/api/v1/keys", json={"name": "ops", "role": "admin"})
    with serving(tmp_path, database | {"API_KEY": ADMIN_KEY[::-1]}, port=registry.port):
        assert (await old("GET", "/api/v1/nodes")).error == (401, "key_invalid", None)
        old.keys["new"] = ADMIN_KEY[::-1]
        assert (await old("GET", "/api/v1/nodes", role="new")).status == 200
    with serving(tmp_path, database | {"API_KEY": ""}, port=registry.port):
        assert (await old("GET", "/api/v1/nodes", role="new")).error == (401, "key_invalid", None)
    if "DB_PATH" in database:
        assert ADMIN_KEY.encode() not in Path(database["DB_PATH"]).read_bytes()


async def test_stopping_is_quick_and_clean(tmp_path: Path, calls: Calls) -> None:
    """SIGTERM answers who waits, writes the last heartbeats, and ends with status 0."""
    path = {"DB_PATH": str(tmp_path / "registry.sqlite3")}
    with serving(tmp_path, path) as registry:
        api = await calls.with_keys(registry)
        await api("POST", "/api/v1/nodes", role="node", json=registration())
        tag = (await api("GET", "/api/v1/config")).headers["etag"]
        poll = asyncio.create_task(api("GET", "/api/v1/config", headers={"if-none-match": tag}, params={"wait": "60"}))
        figures = {"run": "n1~run1", "figures": {"connections": 77}}
        await api("POST", "/api/v1/nodes/n1/heartbeat", role="node", json=figures)
        await until_one_waits(api)
        registry.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert (await poll).status == 304
        assert await asyncio.to_thread(registry.process.wait, 5) == 0
        events = dict.fromkeys(json.loads(line)["event"] for line in registry.log.splitlines())
        assert list(events) == ["migrated", "started", "node_registered", "stopping"]
    with serving(tmp_path, path, port=registry.port):
        assert (await api("GET", "/api/v1/nodes/n1")).json["figures"]["connections"] == 77


def test_check_config_and_help(tmp_path: Path) -> None:
    """`--check-config` prints what is in force, secrets masked; `--help` names every setting; `--version` says it."""
    env_file = tmp_path / "env"
    env_file.write_text(f"API_KEY={ADMIN_KEY}\nSLOTS=7\n")
    shown = run("--env-file", str(env_file), "--check-config", LEASE_SECONDS="20").stdout.splitlines()
    assert {"SLOTS=7", "LEASE_SECONDS=20.0", "API_KEY=********", "PORT=8000"} <= set(shown)
    env_file.write_text("SLOT=7\n")
    wrong = run("--env-file", str(env_file), "--check-config")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        f"SLOT: found in {env_file}, but there is no such setting; did you mean SLOTS?\n",
    )
    page = run("--help").stdout
    for name in ("API_KEY", "DB_URL", "LEASE_SECONDS", "keys", "migrate", "serve"):
        assert name in page
    assert run("--version").stdout == "wsupdates 0.1.0\n"


async def test_tls(tmp_path: Path, calls: Calls) -> None:
    """With a certificate the registry serves HTTPS alone."""
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(part.bytes() for part in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    port = free_port()
    settings = {"DB_PATH": str(tmp_path / "x"), "TLS_CERT": str(cert), "TLS_KEY": str(key), "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(PROGRAM, "serve", env=environment(settings | {"API_KEY": ADMIN_KEY}))
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"https://localhost:{port}/readyz", ssl=trusting) as answer:
                        assert answer.status == 200
                        return
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
