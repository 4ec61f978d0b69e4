"""Snapshots and notices of a node come beside each other, in any order: what counts is the newest of both."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from wsnode.domain.messages import Join, Leave, Notice, SubscriptionCount
from wsnode.domain.presence import Presence
from wsnode.domain.runs import KEPT_SECONDS, Runs
from wsnode.domain.wire import Snapshot

OWN, ONE, TWO = "n1~a", "n2~b", "n2~c"


def join(user: str) -> Join:
    return Join("shop", "presence-room", user)


def leave(user: str) -> Leave:
    return Leave("shop", "presence-room", user)


def users(snapshot: Snapshot | None) -> set[str] | None:
    return None if snapshot is None else {one.user for one in snapshot.present}


def test_the_own_stream_always_counts() -> None:
    """What this node says of itself needs no snapshot."""
    assert Runs(OWN).counts(OWN, 1, join("ada"), 0)


def test_a_notice_counts_after_a_snapshot_of_its_run() -> None:
    """Not before any, not when the snapshot holds it already, and not of another run."""
    runs = Runs(OWN)
    assert not runs.counts(ONE, 5, join("ada"), 0)
    runs.snapshot("n2", ONE, 7, Snapshot())
    assert not runs.counts(ONE, 7, join("ada"), 0)
    assert runs.counts(ONE, 8, join("ada"), 0)
    assert not runs.counts(TWO, 9, join("ada"), 0)
    runs.forget("n2")
    assert not runs.counts(ONE, 9, join("ada"), 0)


def test_a_snapshot_that_comes_after_later_notices_holds_them_too() -> None:
    """Whether or not they counted when they came."""
    runs = Runs(OWN)
    runs.counts(ONE, 4, join("old"), 0)
    runs.counts(ONE, 6, join("ada"), 0)
    runs.counts(ONE, 7, leave("bob"), 0)
    runs.counts(ONE, 8, SubscriptionCount("shop", "a", 3), 0)
    snapshot = Snapshot({"shop": 2}, [SubscriptionCount("shop", "a", 2)], [join("bob"), join("eve")])
    assert runs.snapshot("n2", ONE, 5, snapshot) == Snapshot(
        {"shop": 2}, [SubscriptionCount("shop", "a", 3)], [join("eve"), join("ada")]
    )


def test_an_older_snapshot_of_the_same_run_does_not_count() -> None:
    """Answers may overtake each other; the newest stays."""
    runs = Runs(OWN)
    runs.snapshot("n2", ONE, 7, Snapshot())
    assert runs.snapshot("n2", ONE, 6, Snapshot()) is None
    assert runs.snapshot("n2", TWO, 1, Snapshot()) is not None


def test_a_snapshot_that_is_older_than_what_was_kept_does_not_count() -> None:
    """Notices are kept for a while; a snapshot from before one that is not there any more cannot be brought up."""
    runs = Runs(OWN)
    runs.counts(ONE, 5, join("ada"), 0)
    runs.counts(ONE, 6, join("bob"), KEPT_SECONDS)
    runs.tick(KEPT_SECONDS + 1)
    assert runs.snapshot("n2", ONE, 4, Snapshot()) is None
    assert users(runs.snapshot("n2", ONE, 5, Snapshot())) == {"bob"}


def test_nothing_stays_of_a_run_that_is_over() -> None:
    """What was kept of a stream goes with time."""
    runs = Runs(OWN)
    runs.snapshot("n2", ONE, 1, Snapshot())
    runs.counts(ONE, 5, join("ada"), 0)
    runs.forget("n2")
    runs.tick(KEPT_SECONDS + 1)
    assert (runs._kept, runs._dropped, runs._snapshots) == ({}, {}, {})


@dataclass
class Origin:
    """What a node did in one run: the notices by number, and who was present after each."""

    stream: str
    notices: list[Notice] = field(default_factory=list)
    truth: list[set[str]] = field(default_factory=lambda: [set()])

    def act(self, user: str) -> None:
        """The user comes, or goes if it is there."""
        there = self.truth[-1]
        self.notices.append(leave(user) if user in there else join(user))
        self.truth.append(there ^ {user})

    def snapshot(self, seq: int) -> Snapshot:
        """What the node says after its message `seq`."""
        return Snapshot(present=[join(user) for user in sorted(self.truth[seq])])


STEPS = st.one_of(
    st.tuples(st.sampled_from(["act"]), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["snapshot", "hear", "miss", "forget", "restart", "tick"]), st.integers(0, 30)),
    st.tuples(st.sampled_from(["mail"]), st.integers(0, 30)),
)


@given(st.lists(STEPS, max_size=80))
def test_what_counts_is_what_the_newest_snapshot_or_notice_says(steps: list[tuple[str, str | int]]) -> None:
    """Snapshots come late, twice, in any order or never; streams come in order, with holes: the plain model agrees.

    The model: of the present run, who was present after the last notice that is here or the newest snapshot that
    came, whichever is later; nobody before the first snapshot; anybody while a hole is younger than the snapshot.
    """
    runs, presence = Runs(OWN), Presence()
    origin, run = Origin(ONE), 0
    mail: list[tuple[str, int, Snapshot]] = []
    heard = hole = 0
    newest: int | None = None
    for what, argument in steps:
        number = argument if isinstance(argument, int) else 0
        if what == "act":
            origin.act(str(argument))
        elif what == "snapshot":  # as of now, or as one that was under way for long
            seq = max(0, len(origin.notices) - number % 3)
            mail.append((origin.stream, seq, origin.snapshot(seq)))
        elif what == "mail" and mail:
            stream, seq, snapshot = mail[number % len(mail)]
            if stream == origin.stream:
                followed = runs.snapshot("n2", stream, seq, snapshot)
                assert (followed is None) == (newest is not None and seq < newest)
                if followed is not None:
                    presence.replace("n2", followed.present)
                    newest = seq
        elif what == "hear" and heard < len(origin.notices):
            notice = origin.notices[heard]
            heard += 1
            if runs.counts(origin.stream, heard, notice, 0):
                if isinstance(notice, Join):
                    presence.join("n2", notice)
                elif isinstance(notice, Leave):
                    presence.leave("n2", notice)
        elif what == "miss" and heard < len(origin.notices):
            heard += 1
            hole = heard
        elif what == "forget":
            runs.forget("n2")
            presence.forget_node("n2")
            newest = None
        elif what == "restart":
            run += 1
            origin = Origin(f"n2~{run}")
            runs.forget("n2")
            presence.forget_node("n2")
            heard = hole = 0
            newest = None
        elif what == "tick":
            runs.tick(0)
        there = set(presence.users(("shop", "presence-room")))
        if newest is None:
            assert there == set()
        elif newest >= hole:
            assert there == origin.truth[max(heard, newest)]
