"""Which run of each other node is believed when it says what its clients amount to, and up to where."""

from __future__ import annotations

from wsnode.domain.messages import StreamId, node_of


class Runs:
    """For each node the stream of its last snapshot, and the number up to which that stream has been heard.

    A node's stream says how its clients change, and a snapshot what they amount to after a message of it. So of each
    node only what follows its last snapshot counts, and of its former runs nothing.
    """

    def __init__(self, own: StreamId) -> None:
        self._own = own
        self._heard: dict[str, tuple[StreamId, int]] = {}

    def message(self, stream: StreamId, seq: int) -> bool:
        """A stream brings a change; whether it counts."""
        if stream == self._own:
            return True
        of, known = self._heard.get(node_of(stream), ("", 0))
        if stream != of or seq <= known:
            return False
        self._heard[node_of(stream)] = (stream, seq)
        return True

    def snapshot(self, node: str, stream: StreamId, seq: int) -> bool:
        """A node's snapshot after message `seq`; whether it counts, or is older than what was heard since."""
        of, known = self._heard.get(node, ("", 0))
        if stream == of and seq < known:
            return False
        self._heard[node] = (stream, seq)
        return True

    def forget(self, node: str) -> None:
        """A node is gone: nothing it said counts until its next snapshot."""
        self._heard.pop(node, None)
