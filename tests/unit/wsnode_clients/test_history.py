"""What is kept of channels, and when a client may be told that it has missed nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from wsmesh.contract import ChannelRule
from wsnode.domain.history import Entry, History
from wsnode.metrics import history_metrics

STREAMS = ("n1~a", "n2~b", "n3~c")
RULE = ChannelRule(pattern="*", history_messages=4, history_seconds=60)
TIGHT = ChannelRule(pattern="b", history_messages=4, history_seconds=60, history_bytes=25)
A = ("shop", "a")


def entry(seq: int, *, stream: str = "n1~a", at: float = 0, cost: int = 10) -> Entry:
    return Entry(stream, seq, at, b"", cost)


def numbers(found: list[Entry] | None) -> list[int] | None:
    return None if found is None else [each.seq for each in found]


def test_what_was_missed_comes_in_the_order_of_arrival() -> None:
    """Of each stream the events after the client's number, and nothing of other channels."""
    history = History(300, 1000)
    for seq, stream, channel in ((1, "n1~a", A), (1, "n2~b", A), (2, "n1~a", ("shop", "b")), (3, "n1~a", A)):
        history.add(channel, RULE, entry(seq, stream=stream))
    known = {"n1~a": 3, "n2~b": 1}
    found = history.missed(A, {"n1~a": 1}, known, {})
    assert found is not None
    assert [(each.stream, each.seq) for each in found] == [("n2~b", 1), ("n1~a", 3)]
    assert history.missed(A, known, known, {}) == []
    assert history.missed(("shop", "none"), {"n1~a": 3}, known, {}) == []


def test_a_client_ahead_has_missed_nothing() -> None:
    """A number beyond what is here is no reason to doubt."""
    history = History(300, 1000)
    history.add(A, RULE, entry(1))
    assert history.missed(A, {"n1~a": 9}, {"n1~a": 1}, {}) == []


def test_an_unknown_stream_leaves_it_open() -> None:
    """Nobody can say what followed in a stream that the node does not know; nor in one that it has forgotten."""
    history = History(300, 1000)
    history.add(A, RULE, entry(1))
    assert history.missed(A, {"n1~a": 1, "n9~z": 0}, {"n1~a": 1}, {}) is None
    assert history.missed(A, {"n2~b": 1}, {"n2~b": 1}, {}) is None


def test_what_never_came_here_leaves_it_open() -> None:
    """Up to the node's own floor messages may be missing, of any stream, also of one that the client does not name."""
    history = History(300, 1000)
    assert history.missed(A, {"n1~a": 4}, {"n1~a": 9}, {"n1~a": 5}) is None
    assert history.missed(A, {"n1~a": 5}, {"n1~a": 9}, {"n1~a": 5}) == []
    assert history.missed(A, {"n1~a": 5}, {"n1~a": 9, "n2~b": 3}, {"n1~a": 5, "n2~b": 1}) is None


def test_a_rule_bounds_number_and_age() -> None:
    """Beyond them the oldest goes, and who has not seen it cannot be told that nothing is missing."""
    history = History(300, 1000)
    for seq in range(1, 6):
        history.add(A, RULE, entry(seq))
    known = {"n1~a": 5}
    assert numbers(history.missed(A, {"n1~a": 1}, known, {})) == [2, 3, 4, 5]
    assert history.missed(A, {"n1~a": 0}, known, {}) is None
    history.add(A, RULE, entry(6, at=60))
    assert numbers(history.missed(A, {"n1~a": 5}, {"n1~a": 6}, {})) == [6]
    assert history.missed(A, {"n1~a": 4}, {"n1~a": 6}, {}) is None
    assert history.bytes == 10


def test_a_rule_bounds_bytes() -> None:
    """Beyond them the oldest goes and is counted, and who has not seen it cannot be told that nothing is missing."""
    history, rule = History(300, 1000), ChannelRule(pattern="*", history_bytes=30)
    for seq, cost in enumerate((10, 10, 10, 15), 1):
        history.add(A, rule, entry(seq, cost=cost))
    known = {"n1~a": 4}
    assert (history.bytes, history.dropped_by_rules, history.dropped) == (25, 2, 0)
    assert numbers(history.missed(A, {"n1~a": 2}, known, {})) == [3, 4]
    assert history.missed(A, {"n1~a": 1}, known, {}) is None
    history.add(("shop", "b"), rule, entry(5, cost=30))
    assert (history.bytes, history.dropped_by_rules) == (55, 2)


def test_an_event_beyond_the_bytes_of_its_rule_leaves_no_history() -> None:
    """Neither it nor what was before is kept: only who has seen it has missed nothing. What follows is kept."""
    history, rule = History(300, 1000), ChannelRule(pattern="*", history_bytes=30)
    for seq, cost in enumerate((10, 10, 31), 1):
        history.add(A, rule, entry(seq, cost=cost))
    assert (history.bytes, history.dropped_by_rules) == (0, 3)
    for seen in (0, 1, 2):
        assert history.missed(A, {"n1~a": seen}, {"n1~a": 3}, {}) is None
    assert history.missed(A, {"n1~a": 3}, {"n1~a": 3}, {}) == []
    history.add(A, rule, entry(4, cost=30))
    assert numbers(history.missed(A, {"n1~a": 3}, {"n1~a": 4}, {})) == [4]
    history.sweep(300, {"n1~a": 4}, {}, 10)
    assert (len(history), history.bytes) == (0, 0)


def test_a_channels_bytes_are_free_again_whatever_its_events_left_for() -> None:
    """After age, number or the bytes of the process have dropped events, a channel holds what its rule allows."""
    rule = ChannelRule(pattern="*", history_messages=3, history_seconds=60, history_bytes=30)
    history = History(300, 50)
    for seq in (1, 2, 3, 4):
        history.add(A, rule, entry(seq))
    history.sweep(60, {"n1~a": 4}, {}, 10)
    assert (history.bytes, history.dropped_by_rules) == (0, 0)
    history.add(A, rule, entry(5, at=61, cost=30))
    history.add(("shop", "b"), ChannelRule(pattern="*"), entry(6, at=62, cost=40))
    assert (history.bytes, history.dropped) == (40, 1)
    history.add(("shop", "b"), ChannelRule(pattern="*", history_seconds=1), entry(7, at=63, cost=10))
    history.add(A, rule, entry(8, at=64, cost=30))
    assert numbers(history.missed(A, {"n1~a": 5}, {"n1~a": 8}, {})) == [8]
    assert (history.bytes, history.dropped_by_rules) == (40, 0)


def test_a_tighter_rule_holds_from_the_next_event() -> None:
    """A bound of bytes that a rule gets later is that of all that is kept when the next event comes."""
    history = History(300, 1000)
    for seq in (1, 2, 3):
        history.add(A, RULE, entry(seq))
    history.add(A, ChannelRule(pattern="*", history_bytes=20), entry(4))
    assert numbers(history.missed(A, {"n1~a": 2}, {"n1~a": 4}, {})) == [3, 4]
    assert history.missed(A, {"n1~a": 1}, {"n1~a": 4}, {}) is None


def test_what_left_early_is_told_to_prometheus_by_its_bound() -> None:
    """The figures say how much is kept, and how many events the bytes of the process and of a rule have cost."""
    history, rule = History(300, 30), ChannelRule(pattern="*", history_bytes=10)
    for seq in (1, 2, 3):
        history.add(A, rule, entry(seq))
    for seq in (4, 5, 6):
        history.add(("shop", "b"), RULE, entry(seq, at=1))
    samples = [sample for family in history_metrics(history) for sample in family.samples]
    assert [(sample.name, sample.labels, sample.value) for sample in samples] == [
        ("wsmesh_history_bytes", {}, 30),
        ("wsmesh_history_dropped_total", {"bound": "process"}, 1),
        ("wsmesh_history_dropped_total", {"bound": "rule"}, 2),
    ]


def test_a_channel_without_history_remembers_only_that_there_was_something() -> None:
    """With no messages, or no seconds, kept, a client resumes only if there was nothing."""
    for rule in (ChannelRule(pattern="*", history_messages=0), ChannelRule(pattern="*", history_seconds=0)):
        history = History(300, 1000)
        history.add(A, rule, entry(3))
        assert history.missed(A, {"n1~a": 2}, {"n1~a": 3}, {}) is None
        assert history.missed(A, {"n1~a": 3}, {"n1~a": 3}, {}) == []
        assert history.bytes == 0


def test_no_rule_keeps_longer_than_the_process() -> None:
    """The age of the streams' logs bounds that of every channel."""
    history = History(30, 1000)
    history.add(A, ChannelRule(pattern="*", history_seconds=86_400), entry(1))
    assert not history.sweep(29.9, {"n1~a": 1}, {}, 10)
    assert history.bytes == 10
    history.sweep(30, {"n1~a": 1}, {}, 10)
    assert history.bytes == 0


def test_beyond_its_bytes_the_oldest_goes_whatever_its_channel() -> None:
    """That is counted, and known of the channel that it was dropped from, but not of others."""
    history = History(300, 30)
    for seq, channel in enumerate("abcd", 1):
        history.add(("shop", channel), RULE, entry(seq, at=seq))
    assert (history.bytes, history.dropped) == (30, 1)
    known = {"n1~a": 4}
    assert history.missed(A, {"n1~a": 0}, known, {}) is None
    assert numbers(history.missed(("shop", "b"), {"n1~a": 0}, known, {})) == [2]
    history.add(("shop", "b"), RULE, entry(5, at=5, cost=1000))
    assert (history.bytes, history.dropped) == (0, 5)
    history.add(("shop", "b"), RULE, entry(6, at=6))
    assert numbers(history.missed(("shop", "b"), {"n1~a": 5}, {"n1~a": 6}, {})) == [6]


def test_an_idle_channel_is_forgotten_but_not_that_it_had_events() -> None:
    """After the age of the logs only a number for all channels stays, and nothing once the node's floor covers it."""
    history = History(100, 1000)
    known = {"n1~a": 2}
    history.add(A, RULE, entry(2))
    history.sweep(99, known, {}, 10)
    assert (len(history), history.bytes) == (1, 0)
    history.sweep(100, known, {}, 10)
    assert len(history) == 0
    assert history.missed(A, {"n1~a": 1}, known, {}) is None
    assert history.missed(("shop", "other"), {"n1~a": 1}, known, {}) is None
    assert history.missed(A, {"n1~a": 2}, known, {}) == []
    history.sweep(101, known, {"n1~a": 2}, 10)
    assert history._folded == {}


def test_sweeping_takes_no_more_steps_than_it_may() -> None:
    """What is left is done by the next calls."""
    history = History(60, 10_000)
    for seq in range(1, 101):
        history.add(("shop", str(seq)), RULE, entry(seq))
    rounds = 0
    while history.sweep(60, {"n1~a": 100}, {}, 30):
        rounds += 1
        assert history.bytes >= 1000 - 300 * rounds
    assert (history.bytes, len(history)) == (0, 0)
    assert rounds >= 6


def test_the_same_event_under_another_id_was_seen() -> None:
    """Who has seen either of the two publishes of an event is not given the other."""
    history = History(300, 1000)
    twice = entry(5)
    twice.also = [("n2~b", 7)]
    history.add(A, RULE, twice)
    known = {"n1~a": 5, "n2~b": 7}
    assert history.missed(A, {"n1~a": 4, "n2~b": 7}, known, {}) == []
    assert numbers(history.missed(A, {"n1~a": 4, "n2~b": 6}, known, {})) == [5]


@dataclass
class Model:
    """All that ever came, beside the history that forgets."""

    history: History = field(default_factory=lambda: History(100, 120))
    now: float = 0
    known: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    came: list[tuple[str, str, int, float]] = field(default_factory=list)
    """Channel, stream, number and time."""

    def publish(self, stream: str, channel: str) -> None:
        """The next event of a stream."""
        self.known[stream] += 1
        self.came.append((channel, stream, self.known[stream], self.now))
        rule = TIGHT if channel == TIGHT.pattern else RULE
        self.history.add(("shop", channel), rule, entry(self.known[stream], stream=stream, at=self.now))

    def check(self, channel: str, position: dict[str, int]) -> None:
        """What is said of a client is true, and as much as can be said."""
        found = self.history.missed(("shop", channel), position, self.known, {})
        after = [each for each in self.came if each[2] > position.get(each[1], 0)]
        expected = [(stream, seq) for name, stream, seq, _ in after if name == channel]
        if found is not None:
            assert [(each.stream, each.seq) for each in found] == expected
        else:
            recent = all(self.now - at < RULE.history_seconds for *_, at in after)
            most = TIGHT.history_bytes // 10 if channel == TIGHT.pattern else RULE.history_messages
            assert not recent or len(expected) > most or self.history.dropped


actions = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(STREAMS), st.sampled_from("abc")),
    st.tuples(st.just("pass"), st.floats(0, 40)),
    st.tuples(st.just("sweep"), st.integers(1, 20)),
    st.tuples(st.just("leave")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(actions, max_size=60))
def test_whoever_is_told_that_nothing_is_missing_gets_exactly_what_is(script: list[tuple[object, ...]]) -> None:
    """After any history, clients of every former moment, and of none, get all they missed in order, or a plain no."""
    model, left = Model(), [dict.fromkeys(STREAMS, 0), {"n1~a": 0}]
    for action in script:
        match action:
            case ("publish", str(stream), str(channel)):
                model.publish(stream, channel)
            case ("pass", float(seconds)):
                model.now += seconds
            case ("sweep", int(steps)):
                model.history.sweep(model.now, model.known, {}, steps)
            case _:
                left.append(dict(model.known))
        assert model.history.bytes <= 120
    for position in left:
        for channel in "abc":
            model.check(channel, position)
