"""Messages that will never come are told to the operator."""

from __future__ import annotations

from msgspec import Raw
from structlog.testing import capture_logs

from tests.support.mesh_ends import mesh_end
from tests.support.mesh_network import event
from wsnode.domain.effects import Gap
from wsnode.domain.log import encoded
from wsnode.domain.messages import Message
from wsnode.domain.wire import Hello, Push, Snapshot


async def test_a_gap_is_logged() -> None:
    """A node that learns that nobody holds some messages any more logs an error with their stream, first and last."""
    async with mesh_end("b") as b:

        def push(oldest: int, seq: int) -> None:
            b.service.receive_push(Push("a~1", oldest, seq - 1, [Raw(encoded(Message(seq, event("x"))))], {}, {}))

        b.service.receive_hello(Hello("a", "a~1", "here", "http://127.0.0.1:1", 0, {}, Snapshot()))
        with capture_logs() as entries:
            push(1, 1)
            push(4, 4)
        told = [entry for entry in entries if entry["event"] == "gap"]
        assert told == [
            {"component": "mesh", "event": "gap", "stream": "a~1", "first": 2, "last": 3, "log_level": "error"}
        ]
        assert Gap("a~1", 2, 3) in b.effects
        assert b.delivered == [("a~1", 1), ("a~1", 4)]
