"""The official pusher-js under Node, driven from a test (tests/integration/pusher_js/client.js)."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Self

import pusher  # type: ignore[import-untyped]
from aiohttp import web

from wsmesh_demo.processes import program

SCRIPT = Path(__file__).parents[1] / "integration" / "pusher_js" / "client.js"
SECONDS = 60.0
"""The most that anything may take; pusher-js alone may need 15 seconds to notice that an attempt came to nothing."""

Happening = dict[str, Any]


class PusherJs:
    """One pusher-js client in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._seen: list[Happening] = []

    @classmethod
    async def start(
        cls,
        *,
        key: str,
        host: str,
        port: int,
        auth: str = "",
        ca: Path | None = None,
        resume: dict[str, Any] | None = None,
        user: str = "",
    ) -> Self:
        """Start a client; with `ca` it connects by TLS, with `resume` it is wrapped so. It connects at once.

        `user` is who the application says it is in presence channels; without one it must sign in before.
        """
        environ = {"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"}
        if ca is not None:
            environ["NODE_EXTRA_CA_CERTS"] = str(ca)
        command = [program("setpriv"), "--pdeathsig", "KILL", "--", program("node"), str(SCRIPT)]
        pipe = asyncio.subprocess.PIPE
        js = cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environ))
        tls = ca is not None
        await js._write(
            {"key": key, "host": host, "port": port, "auth": auth, "tls": tls, "resume": resume, "user": user}
        )
        return js

    async def do(self, what: str, **more: str) -> None:
        """Send a command."""
        await self._write({"do": what, **more})

    async def subscribe(self, channel: str) -> None:
        """Subscribe and wait until the server has agreed."""
        await self.do("subscribe", channel=channel)
        await self.next("subscribed", channel=channel)

    async def members(self, channel: str) -> dict[str, Any]:
        """The users of a presence channel as it sees them, with their infos."""
        await self.do("members", channel=channel)
        told = await self.next("members", channel=channel)
        assert told["count"] == len(told["members"])
        members: dict[str, Any] = told["members"]
        return members

    async def next(self, what: str, *, seconds: float = SECONDS, **fields: Any) -> Happening:
        """The next happening of this kind with these fields; those before it that do not match stay for later."""
        async with asyncio.timeout(seconds):
            checked = 0
            while True:
                for place in range(checked, len(self._seen)):
                    found = self._seen[place]
                    if {"what": what, **fields}.items() <= found.items():
                        del self._seen[place]
                        return found
                checked = len(self._seen)
                await self._read()

    def seen(self, what: str, **fields: Any) -> list[Happening]:
        """Everything of this kind that has been read and not been taken by `next`."""
        return [found for found in self._seen if {"what": what, **fields}.items() <= found.items()]

    async def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.communicate()

    async def _write(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"pusher-js has ended; before: {self._seen}")
        self._seen.append(json.loads(line))


class AuthServer:
    """What an application serves for pusher-js: signatures made by the official Python library."""

    def __init__(self, official: pusher.Pusher, users: dict[str, Any]) -> None:
        """`users` is the user data that everybody gets who signs in."""
        self._official = official
        self._users = users
        app = web.Application()
        app.router.add_post("/channel", self._channel)
        app.router.add_post("/user", self._user)
        self._runner = web.AppRunner(app, access_log=None)
        self.url = ""
        self.refused: set[str] = set()

    async def start(self) -> None:
        """Serve on a free port of loopback."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _channel(self, request: web.Request) -> web.Response:
        form = await request.post()
        channel, socket_id = str(form["channel_name"]), str(form["socket_id"])
        user = form.get("user")
        member = {"user_id": user, "user_info": {"name": str(user).title()}} if user else None
        answer = self._official.authenticate(channel, socket_id, member if channel.startswith("presence-") else None)
        if channel in self.refused:
            answer["auth"] = answer["auth"][:-8] + "00000000"
        # The shared secret of an encrypted channel comes as bytes.
        return web.json_response(answer, dumps=lambda value: json.dumps(value, default=bytes.decode))

    async def _user(self, request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response(self._official.authenticate_user(str(form["socket_id"]), self._users))
