"""How a node sends to its peers: HTTP requests with MessagePack bodies, over connections that stay open."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from wsmesh.contract import ErrorAnswer
from wsmesh.decoding import UNREADABLE
from wsnode.domain.webhooks import Share, ShareQuery
from wsnode.domain.wire import PROTOCOL_VERSION, Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer
from wsnode.publishing import ChannelCounts, ChannelQuery, ChannelUsers, UserQuery

VERSION_HEADER = "X-Wsmesh-Protocol"
CONTENT_TYPE = "application/vnd.msgpack"
HELLO_FIRST = "hello_first"

PATHS = {
    Hello: "/mesh/v1/hello",
    Push: "/mesh/v1/messages",
    Goodbye: "/mesh/v1/goodbye",
    ChannelQuery: "/mesh/v1/channels",
    UserQuery: "/mesh/v1/users",
    ShareQuery: "/mesh/v1/webhooks",
}
STREAMS_PATH = "/mesh/v1/streams"

T = TypeVar("T")


class PeerFailed(Exception):
    """A peer did not answer as it should. The text says why; `greet`: it does not know this run."""

    def __init__(self, reason: str, *, greet: bool = False) -> None:
        super().__init__(reason)
        self.greet = greet


class MeshClient:
    """Requests to the mesh ports of other nodes."""

    def __init__(self, *, cluster_key: str, timeout: float, tls: ssl.SSLContext | None) -> None:
        self._headers = {
            "Authorization": f"Bearer {cluster_key}",
            VERSION_HEADER: str(PROTOCOL_VERSION),
            "Content-Type": CONTENT_TYPE,
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._tls: ssl.SSLContext | bool = tls or True
        self._encode = msgspec.msgpack.Encoder().encode
        self._hello = msgspec.msgpack.Decoder(HelloAnswer).decode
        self._push = msgspec.msgpack.Decoder(PushAnswer).decode
        self._pulled = msgspec.msgpack.Decoder(Pulled).decode
        self._counts = msgspec.msgpack.Decoder(dict[str, int]).decode
        self._users = msgspec.msgpack.Decoder(dict[str, list[str]]).decode
        self._share = msgspec.msgpack.Decoder(Share).decode
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send; needs a running loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            headers=self._headers,
            timeout=self._timeout,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, address: str, body: Hello | Push | Pull | Goodbye) -> HelloAnswer | PushAnswer | Pulled | None:
        """Send one request and return its answer (None to a goodbye). Raises PeerFailed."""
        if isinstance(body, Pull):
            url = f"{address}{STREAMS_PATH}/{quote(body.stream, safe='')}"
            return self._decoded(self._pulled, await self._request("GET", url, params={"after": str(body.after)}))
        raw = await self._post(address, body)
        if isinstance(body, Hello):
            return self._decoded(self._hello, raw)
        return self._decoded(self._push, raw) if isinstance(body, Push) else None

    async def channel_counts(self, address: str, query: ChannelQuery) -> ChannelCounts:
        """How many connections are subscribed to each channel there. Raises PeerFailed."""
        return self._decoded(self._counts, await self._post(address, query))

    async def channel_users(self, address: str, query: UserQuery) -> ChannelUsers:
        """Who is present in which presence channels there. Raises PeerFailed."""
        return self._decoded(self._users, await self._post(address, query))

    async def webhook_share(self, address: str, query: ShareQuery) -> Share:
        """What that node knows of what webhooks are told. Raises PeerFailed."""
        return self._decoded(self._share, await self._post(address, query))

    def _decoded(self, decode: Callable[[bytes], T], raw: bytes) -> T:
        try:
            return decode(raw)
        except UNREADABLE as problem:
            raise PeerFailed(f"it gave an answer of another form: {problem}") from None

    async def _post(self, address: str, body: Hello | Push | Goodbye | ChannelQuery | ShareQuery) -> bytes:
        return await self._request("POST", address + PATHS[type(body)], data=self._encode(body))

    async def _request(
        self, method: str, url: str, *, data: bytes | None = None, params: dict[str, str] | None = None
    ) -> bytes:
        assert self._session is not None
        try:
            async with self._session.request(method, url, data=data, params=params, ssl=self._tls) as response:
                raw = await response.read()
        except TimeoutError:
            raise PeerFailed(f"no answer within {self._timeout.total} s") from None
        except (aiohttp.ClientError, OSError) as problem:
            raise PeerFailed(str(problem) or type(problem).__name__) from None
        if response.status == 200:
            return raw
        try:
            error = msgspec.json.decode(raw, type=ErrorAnswer).error
        except UNREADABLE:
            raise PeerFailed(f"status {response.status}") from None
        raise PeerFailed(f"status {response.status}: {error.message}", greet=error.code == HELLO_FIRST)
