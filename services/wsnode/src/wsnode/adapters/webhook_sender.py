"""How a node tells webhooks: signed POST requests that wait for nobody longer than WEBHOOK_TIMEOUT."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import ssl
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from wsmesh import __version__
from wsmesh.contract import App
from wsnode.domain.webhook_addresses import Network, literal, problem_with
from wsnode.webhook_service import WebhookFailed

LOOKUPS = 16
"""Names that are looked up at a time: a slow name server must not hold up the others' for long."""


class _Refused(OSError):
    """An address that webhooks may not go to."""


class WebhookSender:
    """Requests to receivers. None is followed elsewhere, and no answer is read beyond its status."""

    def __init__(self, *, timeout: float, tls: ssl.SSLContext, allowed: Collection[Network]) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._tls = tls
        self._allowed = allowed
        self._resolver: _Resolver | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send; needs a running loop."""
        self._resolver = _Resolver(self._allowed)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=self._resolver, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            headers={"Content-Type": "application/json", "User-Agent": f"wsmesh/{__version__}"},
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def send(self, url: str, app: App, body: bytes) -> None:
        """Send one request. Raises WebhookFailed unless the answer's status is 200 to 299."""
        assert self._session is not None
        signature = hmac.new(app.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Pusher-Key": app.key, "X-Pusher-Signature": signature}
        try:
            target = URL(url)
            self._check(target.raw_host or "")
            async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except TimeoutError:
            raise WebhookFailed(f"no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise WebhookFailed(_text(problem)) from None
        if 300 <= status < 400:
            raise WebhookFailed(f"status {status}; redirects are not followed")
        if not 200 <= status < 300:
            raise WebhookFailed(f"status {status}")

    def _check(self, host: str) -> None:
        """What stands in the URL as an address never comes to the resolver."""
        address = literal(host)
        problem = problem_with(address, host, self._allowed) if address is not None else None
        if problem:
            raise _Refused(problem)


class _Resolver(AbstractResolver):
    """Looks names up in threads of its own, and gives only addresses that webhooks may go to."""

    def __init__(self, allowed: Collection[Network]) -> None:
        self._allowed = allowed
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        problems = []
        results: list[ResolveResult] = []
        for its_family, address in found:
            known = literal(address)
            assert known is not None
            problem = problem_with(known, host, self._allowed)
            if problem:
                problems.append(problem)
                continue
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            results.append(
                ResolveResult(hostname=host, host=address, port=port, family=its_family, proto=0, flags=flags)
            )
        if not results:
            raise _Refused("; ".join(problems) or f"{host} has no address")
        return results

    async def close(self) -> None:
        """Start no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(int(its_family), str(address[0])) for its_family, _, _, _, address in found]


def _text(problem: Exception) -> str:
    inner = problem.__cause__ or problem
    shown = str(inner if isinstance(inner, _Refused) else problem)
    if isinstance(problem, aiohttp.ServerDisconnectedError):
        shown = "it hung up before it had answered"
    elif isinstance(problem, aiohttp.ClientResponseError):
        # As a whole it names a status that the receiver never sent, and the URL, which may hold a secret.
        shown = f"what it answered is no HTTP: {problem.message}"
    return " ".join(shown.split())[:300] or type(problem).__name__
