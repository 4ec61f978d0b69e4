"""What the mesh port answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import msgspec
from sanic import HTTPResponse, Request, Sanic

from wsmesh.contract import error_answer
from wsmesh.decoding import UNREADABLE
from wsmesh.signature import same
from wsnode.adapters.mesh_client import CONTENT_TYPE, HELLO_FIRST, PATHS, STREAMS_PATH, VERSION_HEADER
from wsnode.domain.inbox import Malformed
from wsnode.domain.mesh import SameNode, UnknownStream
from wsnode.domain.webhooks import Share, ShareQuery
from wsnode.domain.wire import SUPPORTED_VERSIONS, Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer
from wsnode.publishing import ChannelCounts, ChannelQuery, ChannelUsers, UserQuery
from wsnode.web.errors import install_error_answers

T = TypeVar("T")
Handler = Callable[[Request[Any, Any]], Coroutine[Any, Any, HTTPResponse]]


class MeshEnd(Protocol):
    """The receiving side of the mesh."""

    def receive_hello(self, hello: Hello) -> HelloAnswer:
        """Raises SameNode."""
        ...

    def receive_push(self, push: Push) -> PushAnswer:
        """Raises UnknownStream and Malformed."""
        ...

    def receive_pull(self, pull: Pull) -> Pulled:
        """Raises UnknownStream and Malformed."""
        ...

    def receive_goodbye(self, goodbye: Goodbye) -> None:
        """A run has ended."""
        ...


def failure(status: int, code: str, message: str) -> HTTPResponse:
    """An error answer."""
    return HTTPResponse(error_answer(code, message), status, content_type="application/json")


def mesh_app(
    end: MeshEnd,
    *,
    cluster_key: str,
    channel_counts: Callable[[ChannelQuery], ChannelCounts],
    channel_users: Callable[[UserQuery], ChannelUsers],
    webhook_share: Callable[[ShareQuery], Share],
    max_body: int,
    name: str = "wsnode-mesh",
) -> Sanic[Any, Any]:
    """The app of the mesh port; the counts, the users and the share are what this node alone knows."""
    app: Sanic[Any, Any] = Sanic(name, configure_logging=False)
    # Sanic rewrites its protocol's methods for the first app of a process, and cannot do so twice.
    app.config.TOUCHUP = False
    app.config.AUTO_EXTEND = False
    app.config.REQUEST_MAX_SIZE = max_body
    app.config.KEEP_ALIVE_TIMEOUT = 90
    install_error_answers(app)
    encode = msgspec.msgpack.Encoder().encode
    expected = f"Bearer {cluster_key}"

    @app.on_request
    async def admit(request: Request[Any, Any]) -> HTTPResponse | None:
        if not same(request.headers.get("authorization", ""), expected):
            return failure(
                401, "cluster_key", "the cluster key is missing or not that of this cluster; see CLUSTER_KEY"
            )
        version = request.headers.get(VERSION_HEADER.lower(), "")
        known = [str(number) for number in sorted(SUPPORTED_VERSIONS)]
        if version not in known:
            text = f"{VERSION_HEADER} is {version or 'missing'}, this node speaks {', '.join(known)}"
            return failure(400, "protocol_version", text)
        return None

    def answers(shape: type[T]) -> Callable[[Callable[[T], object]], Handler]:
        decode = msgspec.msgpack.Decoder(shape).decode

        def wrap(handle: Callable[[T], object]) -> Handler:
            async def handler(request: Request[Any, Any]) -> HTTPResponse:
                try:
                    answer = handle(decode(request.body))
                except RecursionError:
                    return failure(400, "malformed", "it is nested too deeply")
                except (*UNREADABLE, Malformed) as problem:
                    return failure(400, "malformed", str(problem))
                except UnknownStream as problem:
                    return failure(409, HELLO_FIRST, f"this run does not know the stream {problem}; say hello first")
                except SameNode as problem:
                    return failure(409, "same_node", f"this is that node, and {problem} is not its stream; see NODE_ID")
                return HTTPResponse(encode(answer), content_type=CONTENT_TYPE)

            handler.__name__ = shape.__name__
            return handler

        return wrap

    app.add_route(answers(Hello)(end.receive_hello), PATHS[Hello], methods=["POST"])
    app.add_route(answers(Push)(end.receive_push), PATHS[Push], methods=["POST"])
    app.add_route(answers(Goodbye)(end.receive_goodbye), PATHS[Goodbye], methods=["POST"])

    async def stream(request: Request[Any, Any], stream: str) -> HTTPResponse:
        after = request.args.get("after", "")
        if not (after.isascii() and after.isdecimal() and len(after) < 19):
            return failure(400, "malformed", "after must be a sequence number, 0 or more")
        try:
            return HTTPResponse(encode(end.receive_pull(Pull(stream, int(after)))), content_type=CONTENT_TYPE)
        except UnknownStream:
            return failure(404, "unknown_stream", f"nothing is held here of the stream {stream}")

    app.add_route(stream, f"{STREAMS_PATH}/<stream:str>", methods=["GET"], unquote=True)
    app.add_route(answers(ChannelQuery)(channel_counts), PATHS[ChannelQuery], methods=["POST"])
    app.add_route(answers(UserQuery)(channel_users), PATHS[UserQuery], methods=["POST"])
    app.add_route(answers(ShareQuery)(webhook_share), PATHS[ShareQuery], methods=["POST"])
    return app
