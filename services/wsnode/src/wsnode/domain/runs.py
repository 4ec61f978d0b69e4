"""What each node says of its own clients: in snapshots, and in notices on the stream of its present run."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from wsnode.domain.messages import Join, Notice, StreamId, SubscriptionCount, node_of
from wsnode.domain.wire import Snapshot

KEPT_SECONDS = 60.0
"""For how long a notice is kept for a snapshot that is older than it and comes later; snapshots are not as slow."""


class _Kept(NamedTuple):
    seq: int
    at: float
    notice: Notice


class Runs:
    """Says which notices count: of each node those of the run that its last snapshot is of, and that follow it.

    Snapshots come with hellos and so beside the stream: a notice may be here before the snapshot that it follows, when
    it came by another way, or a snapshot may be here before notices that it holds. Whatever the order, and however
    often either comes, what counts is the newest snapshot and the notices after it, each once.
    """

    def __init__(self, own: StreamId) -> None:
        self._own = own
        self._snapshots: dict[str, tuple[StreamId, int]] = {}
        self._kept: dict[StreamId, deque[_Kept]] = {}
        self._dropped: dict[StreamId, int] = {}

    def counts(self, stream: StreamId, seq: int, notice: Notice, now: float) -> bool:
        """Whether a notice counts; it is kept for a snapshot that comes late. A stream's come in order, each once."""
        if stream == self._own:
            return True
        self._kept.setdefault(stream, deque()).append(_Kept(seq, now, notice))
        of, after = self._snapshots.get(node_of(stream), ("", 0))
        return stream == of and seq > after

    def snapshot(self, node: str, stream: StreamId, seq: int, snapshot: Snapshot) -> Snapshot | None:
        """A node's snapshot after message `seq`, brought up to what is here of its stream; None: it is too old."""
        of, after = self._snapshots.get(node, ("", 0))
        if (stream == of and seq < after) or seq < self._dropped.get(stream, 0):
            return None
        self._snapshots[node] = (stream, seq)
        return _followed(snapshot, [kept.notice for kept in self._kept.get(stream, ()) if kept.seq > seq])

    def forget(self, node: str) -> None:
        """A node is gone: nothing it says counts until its next snapshot."""
        self._snapshots.pop(node, None)

    def tick(self, now: float) -> None:
        """Drop what is too old. Call it about every second."""
        present = {stream for stream, _ in self._snapshots.values()}
        for stream, kept in list(self._kept.items()):
            while kept and now - kept[0].at > KEPT_SECONDS:
                self._dropped[stream] = kept.popleft().seq
            if not kept:
                del self._kept[stream]
        for stream in [stream for stream in self._dropped if stream not in present and stream not in self._kept]:
            del self._dropped[stream]


def _followed(snapshot: Snapshot, notices: list[Notice]) -> Snapshot:
    if not notices:
        return snapshot
    counts = {(count.app, count.channel): count for count in snapshot.counts}
    present = {(join.app, join.channel, join.user): join for join in snapshot.present}
    for notice in notices:
        if isinstance(notice, SubscriptionCount):
            counts[notice.app, notice.channel] = notice
        elif isinstance(notice, Join):
            present.setdefault((notice.app, notice.channel, notice.user), notice)
        else:
            present.pop((notice.app, notice.channel, notice.user), None)
    return Snapshot(snapshot.connections, list(counts.values()), list(present.values()))
