"""The certificates of the registry and of the cluster are checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tests.integration.cli.cluster import Command
from wsmesh.tls import server_context


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """An authority that the system does not know; its certificate is in ca.pem."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
async def url(tmp_path: Path, authority: trustme.CA) -> AsyncIterator[str]:
    """A server with a certificate of the authority, that answers every request with the same JSON."""
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"apps": [], "id": "n1~x:1"})

    server = web.Application()
    server.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(server, shutdown_timeout=1)
    await runner.setup()
    tls = server_context(tmp_path / "cert.pem", tmp_path / "key.pem")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


COMMANDS = [["apps", "list"], ["publish", "news", "x", "y", "--app", "1"]]


@pytest.mark.parametrize("arguments", COMMANDS)
async def test_a_known_authority_is_trusted(bare: Command, url: str, arguments: list[str]) -> None:
    """With the authority's certificate, the server is spoken to."""
    ca = str(bare.folder / "ca.pem")
    found = await asyncio.to_thread(bare, *arguments, **environ(url), WSMESH_CA=ca, WS_UPDATES_CA=ca)
    assert (found.code, found.err) == (0, "")


@pytest.mark.parametrize("arguments", COMMANDS)
async def test_an_unknown_authority_is_not_trusted(bare: Command, url: str, arguments: list[str]) -> None:
    """Without it, nothing is sent, and the reason is said."""
    found = await asyncio.to_thread(bare, *arguments, **environ(url))
    assert (found.code, found.out) == (4, "")
    assert "the certificate is not trusted" in found.err
    assert found.err.count("\n") == 1


def environ(url: str) -> dict[str, str]:
    """Where both the registry and the cluster are."""
    return {"WSMESH_URL": url, "WSMESH_PUBLISH_KEY": "p", "WS_UPDATES_URL": url, "WS_UPDATES_KEY": "k"}
