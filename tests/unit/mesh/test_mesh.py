"""The mesh: every message reaches every node in order, once, and failures are noticed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.mesh_network import Network, event
from wsnode.domain.effects import Gap
from wsnode.domain.inbox import Malformed
from wsnode.domain.mesh import SameNode, UnknownStream
from wsnode.domain.wire import Hello, HelloAnswer, Pull, Push, Snapshot


def received(net: Network, at: str, origin: str) -> list[int]:
    return net.nodes[at].received[net.nodes[origin].mesh.stream]


def test_a_message_reaches_every_other_node() -> None:
    """What one node publishes is delivered at all others, and at none twice."""
    net = Network("abc")
    net.settle()
    net.publish("a")
    net.settle()
    assert received(net, "b", "a") == received(net, "c", "a") == [1]
    assert received(net, "a", "a") == []


def test_nothing_waiting_a_message_leaves_at_once_and_alone() -> None:
    """An idle peer gets a message without waiting for a batch or a tick."""
    net = Network("ab")
    net.settle()
    net.publish("a")
    (request,) = net.nodes["a"].mesh.due(net.now)
    assert isinstance(request.body, Push)
    assert len(request.body.messages) == 1


def test_while_a_push_is_in_flight_messages_form_a_batch() -> None:
    """Messages published during a push leave together in the next one."""
    net = Network("ab")
    net.settle()
    mesh = net.nodes["a"].mesh
    net.publish("a")
    (first,) = mesh.due(net.now)
    for _ in range(5):
        net.publish("a")
    assert mesh.due(net.now) == []
    net._carry("a", net.nodes["a"], first)
    (second,) = mesh.due(net.now)
    assert isinstance(second.body, Push)
    assert len(second.body.messages) == 5


def test_a_batch_keeps_to_its_bytes() -> None:
    """A push carries no more than the batch limit, but always one message."""
    net = Network("ab", batch_bytes=100)
    net.settle()
    net.publish("a", "x" * 500)
    net.publish("a", "y")
    (request,) = net.nodes["a"].mesh.due(net.now)
    assert isinstance(request.body, Push)
    assert len(request.body.messages) == 1


def test_a_peer_that_was_away_gets_what_it_missed() -> None:
    """After a partition shorter than the log every message arrives in order, once."""
    net = Network("ab")
    net.settle()
    net.cut = {("a", "b"), ("b", "a")}
    for _ in range(50):
        net.publish("a")
        net.advance(0.2)
    assert received(net, "b", "a") == []
    net.cut = set()
    net.advance(3)
    assert received(net, "b", "a") == list(range(1, 51))


def test_an_answer_that_is_lost_makes_no_duplicate() -> None:
    """A push whose answer got lost is sent again and delivered once."""
    net = Network("ab", seed=3)
    net.settle()
    net.answer_loss = 0.7
    for _ in range(30):
        net.publish("a")
        net.advance(0.3)
    net.answer_loss = 0.0
    net.advance(3)
    assert received(net, "b", "a") == list(range(1, 31))
    assert net.nodes["b"].mesh.streams.duplicates > 0


def test_a_peer_that_was_away_longer_than_the_log_has_a_gap() -> None:
    """What left the log before it arrived is reported once, with its numbers, and the rest follows."""
    net = Network("ab", log_seconds=10)
    net.settle()
    net.cut = {("a", "b"), ("b", "a")}
    for _ in range(30):
        net.publish("a")
        net.advance(1)
    net.cut = set()
    net.advance(3)
    (gap,) = net.nodes["b"].gaps
    assert gap[0] == 1
    assert received(net, "b", "a") == list(range(gap[1] + 1, 31))
    assert net.nodes["b"].mesh.streams.gaps == gap[1]


def test_after_a_gap_a_peer_is_greeted_anew() -> None:
    """What its clients amount to cannot be followed over the gap: a new snapshot says it, once."""
    net = Network("ab", log_seconds=10)
    net.settle()
    net.publish("a")
    net.settle()
    before = len(net.nodes["b"].snapshots)
    net.cut = {("a", "b"), ("b", "a")}
    for _ in range(30):
        net.publish("a")
        net.advance(1)
    assert len(net.nodes["b"].snapshots) == before
    net.cut = set()
    net.advance(3)
    assert len(net.nodes["b"].gaps) == 1
    assert len(net.nodes["b"].snapshots) == before + 1
    net.publish("a")
    net.advance(3)
    assert received(net, "b", "a")[-1] == 32
    assert len(net.nodes["b"].snapshots) == before + 1


def test_a_snapshot_from_before_a_gap_does_not_do() -> None:
    """A hello's answer that was under way when the gap was found is followed by another hello."""
    net = Network("ab", log_seconds=10)
    net.settle()
    net.publish("a")
    net.settle()
    a, b = net.nodes["a"].mesh, net.nodes["b"].mesh
    peer = b.peers["a"]
    peer.greeted = False
    (hello,) = [each for each in b.due(net.now) if isinstance(each.body, Hello)]
    early, _ = a.receive_hello(hello.body, net.now)  # type: ignore[arg-type]
    for _ in range(30):
        net.now += 1
        net.publish("a")
        a.tick(net.now)
    late = a._push(a.peers["b"], 29, [], net.now)
    b.receive_push(late, net.now)
    assert not peer.greeted
    b.answered(hello, early, net.now)
    assert not peer.greeted
    net.settle()
    assert peer.greeted


def test_a_restarted_node_starts_a_new_stream() -> None:
    """A node that was killed and started again reuses no number, and its peers take the new stream from its start."""
    net = Network("ab")
    net.settle()
    net.publish("a")
    net.settle()
    old = net.nodes["a"].mesh.stream
    net.kill("a")
    net.now += 1
    net.start("a")
    net.advance(2.5)
    net.publish("a")
    net.publish("b")
    net.settle()
    assert net.nodes["a"].mesh.stream != old
    assert received(net, "b", "a") == [1]
    assert received(net, "a", "b") == [1]
    assert "a" in net.nodes["b"].forgotten


def test_a_silent_peer_without_a_lease_is_down_and_its_clients_are_forgotten() -> None:
    """Own probes and the lease together make a peer down."""
    net = Network("ab", down_after=3)
    net.settle()
    net.kill("b")
    net.advance(5)
    assert net.nodes["a"].states[-1] == ("b", "suspect")
    net.set_members()
    net.advance(0.2)
    assert net.nodes["a"].states[-1] == ("b", "down")
    assert net.nodes["a"].forgotten == ["b"]


def test_a_peer_is_down_before_it_is_forgotten() -> None:
    """Also where logs are kept for less time than it takes to be down, its clients go with it."""
    net = Network("ab", down_after=60, log_seconds=10)
    net.settle()
    net.kill("b")
    net.set_members()
    net.advance(12)
    assert "b" not in net.nodes["a"].mesh.peers
    assert net.nodes["a"].states[-1] == ("b", "down")
    assert net.nodes["a"].forgotten == ["b"]


def test_a_busy_node_tells_its_connections() -> None:
    """What a heartbeat says goes with messages where these leave no time for one."""
    net = Network("ab")
    net.settle()
    for number in range(1, 6):
        net.nodes["a"].clients["app"] = number
        for _ in range(15):
            net.publish("a")
            net.advance(0.1)
        assert net.nodes["b"].clients_of["a"]["app"] == number


def test_a_hello_of_another_nodes_stream_is_malformed() -> None:
    """Nobody can take another node's place: nothing changes, and an answer of that kind is a failure."""
    net = Network("ab")
    net.settle()
    mesh = net.nodes["b"].mesh
    stream = mesh.peers["a"].stream
    with pytest.raises(Malformed, match="c~5 is no stream of a"):
        mesh.receive_hello(Hello("a", "c~5", "here", "http://a", 0, {}, Snapshot()), net.now)
    assert mesh.peers["a"].stream == stream
    net.kill("a")
    fresh = net.start("d").mesh
    (hello,) = [request for request in fresh.due(net.now) if request.node == "b"]
    assert fresh.answered(hello, HelloAnswer("b", "c~5", 0, {}, Snapshot()), net.now) == []
    assert fresh.peers["b"].stream is None
    assert fresh.peers["b"].retries == 1


def test_a_peer_that_was_down_is_met_again() -> None:
    """A peer that comes back from a partition brings a new snapshot and misses nothing."""
    net = Network("ab", down_after=2)
    net.settle()
    for node in net.nodes.values():
        node.mesh.registry_reachable = False
    net.cut = {("a", "b"), ("b", "a")}
    net.publish("a")
    net.advance(6)
    assert net.nodes["a"].mesh.up() == []
    before = len(net.nodes["a"].snapshots)
    net.cut = set()
    net.advance(4)
    assert net.nodes["a"].mesh.up() == ["b"]
    assert len(net.nodes["a"].snapshots) > before
    assert received(net, "b", "a") == [1]


def test_a_node_that_joins_gets_what_is_held() -> None:
    """A new node has all that the others hold, of living and dead nodes, before it is warm."""
    net = Network("abc")
    net.settle()
    for name in "abc" * 7:
        net.publish(name)
    net.settle()
    dead = net.nodes["c"].mesh.stream
    net.kill("c")
    net.set_members()
    net.start("d")
    assert not net.nodes["d"].mesh.warm()
    net.settle()
    assert net.nodes["d"].mesh.warm()
    assert received(net, "d", "a") == received(net, "d", "b") == list(range(1, 8))
    assert net.nodes["d"].received[dead] == list(range(1, 8))
    assert net.nodes["d"].gaps == []


def test_a_node_that_joins_learns_of_streams_that_never_had_a_message() -> None:
    """Clients name them in their positions, and the new node must be able to say that nothing is missing of them."""
    net = Network("abc", log_seconds=20)
    net.settle()
    idle = net.nodes["b"].mesh.stream
    net.kill("b")
    net.set_members()
    net.start("d")
    net.settle()
    assert net.nodes["d"].mesh.position()[idle] == 0
    net.advance(60)
    assert not [name for name in "acd" if idle in net.nodes[name].mesh.position()]


def test_what_left_the_logs_before_a_node_joined_is_no_gap() -> None:
    """A new node takes a stream from where the others still hold it, and says from where that is."""
    net = Network("ab", log_seconds=10)
    net.settle()
    for _ in range(30):
        net.publish("a")
        net.advance(1)
    net.start("c")
    net.settle()
    first = received(net, "c", "a")[0]
    assert first > 1
    assert received(net, "c", "a") == list(range(first, 31))
    assert net.nodes["c"].gaps == []
    assert net.nodes["c"].mesh.floors()[net.nodes["a"].mesh.stream] == first - 1


def test_a_message_published_while_two_hellos_cross_is_not_lost() -> None:
    """What is published between a hello and its answer arrives, whichever hello comes first."""
    net = Network("ab")
    a, b = net.nodes["a"], net.nodes["b"]
    (to_b,) = a.mesh.due(net.now)
    (to_a,) = b.mesh.due(net.now)
    net._carry("a", a, to_b)
    net.publish("a")
    net._carry("b", b, to_a)
    net.publish("a")
    net.advance(2)
    assert received(net, "b", "a") == [1, 2]


def test_goodbye_ends_a_peer_at_once() -> None:
    """A node that says goodbye is no peer any more, and its clients are forgotten."""
    net = Network("ab")
    net.settle()
    for request in net.nodes["b"].mesh.farewell():
        net._carry("b", net.nodes["b"], request)
    assert net.nodes["a"].mesh.peers == {}
    assert net.nodes["a"].forgotten == ["b"]


def test_holders_are_those_that_acknowledged() -> None:
    """A node knows which peers hold a message, and counts none that only might."""
    net = Network("abc")
    net.settle()
    net.cut = {("a", "c"), ("c", "a")}
    message = net.publish("a")
    net.settle()
    assert net.nodes["a"].mesh.holders(net.nodes["a"].mesh.stream, message.seq) == ["b"]


def test_a_push_of_an_unknown_stream_is_refused() -> None:
    """A push whose node did not say hello raises UnknownStream and changes nothing."""
    net = Network("a")
    with pytest.raises(UnknownStream):
        net.nodes["a"].mesh.receive_push(Push("z~1", 1, 0, [], {}, {}), net.now)


def test_a_hello_of_a_second_process_with_the_same_id_is_refused() -> None:
    """Another process that claims this node's id raises SameNode and does not become a peer."""
    net = Network("a")
    mesh = net.nodes["a"].mesh
    with pytest.raises(SameNode):
        mesh.receive_hello(Hello("a", "a~other", "here", "http://a", 0, {}, Snapshot()), net.now)
    assert mesh.peers == {}


def test_a_peer_that_is_down_costs_one_request_at_a_time() -> None:
    """Retries to a dead peer back off to less than one a second."""
    net = Network("ab")
    net.settle()
    net.kill("b")
    net.advance(10)
    net.requests = 0
    for _ in range(100):
        net.publish("a")
        net.advance(0.2)
    assert net.requests <= 20


def test_several_pushes_in_flight_arrive_in_order() -> None:
    """With more than one request in flight the receiver's hold-back restores the order."""
    net = Network("ab", in_flight=4, batch_bytes=1)
    net.settle()
    mesh = net.nodes["a"].mesh
    for text in "123":
        mesh.append(event(text), net.now, 0)
    requests = mesh.due(net.now)
    assert len(requests) == 3
    for request in reversed(requests):
        net._carry("a", net.nodes["a"], request)
    assert received(net, "b", "a") == [1, 2, 3]
    assert mesh.settled()


def test_a_dead_nodes_last_messages_are_pulled_from_whoever_has_them() -> None:
    """What a node passed to one peer only before it died reaches the others from that peer."""
    net = Network("abcd")
    net.settle()
    net.cut = {("a", "c"), ("a", "d"), ("c", "a"), ("d", "a")}
    for _ in range(5):
        net.publish("a")
    net.advance(0.3)
    dead = net.nodes["a"].mesh.stream
    assert net.nodes["c"].received[dead] == []
    net.kill("a")
    net.set_members()
    net.cut = set()
    net.advance(2)
    for at in "bcd":
        assert net.nodes[at].received[dead] == [1, 2, 3, 4, 5]


def test_messages_go_round_a_partition_that_a_third_node_can_see() -> None:
    """Two nodes that do not hear each other get each other's messages through a third, while both live."""
    net = Network("abc")
    net.settle()
    net.cut = {("a", "b"), ("b", "a")}
    for _ in range(10):
        net.publish("a")
        net.publish("b")
        net.advance(0.5)
    net.advance(4)
    assert received(net, "b", "a") == received(net, "a", "b") == list(range(1, 11))
    assert net.nodes["a"].gaps == net.nodes["b"].gaps == []


def test_a_one_way_partition_is_healed_through_a_third_node() -> None:
    """A node whose requests are lost in one direction is heard all the same."""
    net = Network("abc")
    net.settle()
    net.cut = {("a", "b")}
    for _ in range(10):
        net.publish("a")
        net.advance(0.5)
    net.advance(4)
    assert received(net, "b", "a") == list(range(1, 11))


def test_what_nobody_has_any_more_is_a_gap_for_those_who_lack_it() -> None:
    """A dead node's messages that left the others' logs are named as a gap, and what is left is delivered."""
    net = Network("abc", log_seconds=8)
    net.settle()
    net.cut = {("b", "c"), ("c", "b"), ("a", "c"), ("c", "a")}
    for _ in range(20):
        net.publish("a")
        net.advance(1)
    dead = net.nodes["a"].mesh.stream
    net.kill("a")
    net.set_members()
    net.cut = set()
    net.advance(3)
    ((first, last),) = net.nodes["c"].gaps
    assert first == 1
    assert net.nodes["c"].received[dead] == list(range(last + 1, 21))
    assert net.nodes["c"].mesh.floors()[dead] >= last


def test_a_stream_that_has_ended_is_forgotten_and_not_fetched_again() -> None:
    """After the age of a log a dead node's stream is gone everywhere, and delivered to nobody twice."""
    net = Network("abc", log_seconds=20)
    net.settle()
    net.publish("a")
    net.settle()
    dead = net.nodes["a"].mesh.stream
    net.kill("a")
    net.set_members()
    net.advance(60)
    assert dead not in net.nodes["b"].mesh.position()
    assert dead not in net.nodes["c"].mesh.position()
    assert net.nodes["b"].received[dead] == net.nodes["c"].received[dead] == [1]


def test_all_logs_together_keep_to_their_bytes() -> None:
    """When the logs pass their bytes the oldest messages of the largest leave, and are counted."""
    net = Network("ab", log_bytes=20_000)
    net.settle()
    for _ in range(100):
        net.publish("a", "x" * 1000)
        net.settle()
    net.advance(0.1)
    for name in "ab":
        mesh = net.nodes[name].mesh
        assert mesh.log_bytes() <= 20_000
        assert mesh.dropped_early > 70


def test_a_pull_answers_what_is_held_and_no_more() -> None:
    """A pull gets messages that follow, up to a batch, and says what is held; beyond the end it gets none."""
    net = Network("ab", batch_bytes=200)
    net.settle()
    for _ in range(20):
        net.publish("a")
    net.settle()
    mesh, stream = net.nodes["b"].mesh, net.nodes["a"].mesh.stream
    some = mesh.receive_pull(Pull(stream, 3))
    assert (some.after, some.oldest, some.last) == (3, 1, 20)
    assert 0 < len(some.messages) < 10
    none = mesh.receive_pull(Pull(stream, 10**15))
    assert (none.messages, none.last) == ([], 20)
    with pytest.raises(UnknownStream):
        mesh.receive_pull(Pull("z~1", 0))
    with pytest.raises(Malformed, match="after is -1, expected 0 or more"):
        mesh.receive_pull(Pull(stream, -1))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    window=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 5)), max_size=40),
)
def test_after_any_faults_every_node_has_every_message_once(
    seed: int, window: int, steps: list[tuple[str, str, int]]
) -> None:
    """Whatever was lost, cut and restored, after it heals all streams are complete, in order, without duplicates."""
    net = Network("abcd", seed=seed, in_flight=window)
    net.advance(1)
    for one, other, action in steps:
        net.loss, net.answer_loss = (0.3, 0.3) if action == 0 else (0.0, 0.0)
        if action == 1:
            net.cut ^= {(one, other)}
        else:
            net.publish(one)
        net.advance(0.1 * action)
    net.cut, net.loss, net.answer_loss = set(), 0.0, 0.0
    net.advance(6)
    for origin in "abcd":
        last = net.nodes[origin].mesh.log.last
        for at in set("abcd") - {origin}:
            assert received(net, at, origin) == list(range(1, last + 1))
        assert not any(isinstance(gap, Gap) for gap in net.nodes[origin].gaps)
        assert net.nodes[origin].gaps == []


def test_who_has_skipped_a_message_does_not_hold_it() -> None:
    """A peer whose position is beyond a message that never came to it is no holder of it."""
    net = Network("ab", log_bytes=400)
    net.settle()
    net.cut = {("a", "b"), ("b", "a")}
    for _ in range(20):
        net.publish("a", "x" * 50)
    net.advance(1)
    net.cut = set()
    net.advance(5)
    mesh = net.nodes["a"].mesh
    assert mesh.holders(mesh.stream, 20) == ["b"]
    assert mesh.peers["b"].position[mesh.stream] == 20
    assert mesh.holders(mesh.stream, 1) == []
    of_b = net.nodes["b"].mesh.stream
    late = Push(of_b, 1, 0, [], {}, {of_b: 0, mesh.stream: 0})  # written before it skipped the message
    mesh.receive_push(late, net.now)
    assert mesh.holders(mesh.stream, 1) == []


def test_a_stream_without_messages_is_known_to_all() -> None:
    """A node that joins hears of the silent streams of those that died before: clients' positions name them."""
    net = Network("ab")
    net.settle()
    silent = net.nodes["b"].mesh.stream
    net.kill("b")
    net.start("c")
    net.advance(3)
    assert net.nodes["c"].mesh.position()[silent] == 0


def test_what_was_delivered_is_known_after_its_stream_has_ended() -> None:
    """A stream that is not asked for any more still counts for clients, which may meet it again at another node."""
    net = Network("ab", log_seconds=5)
    net.settle()
    stream = net.nodes["b"].mesh.stream
    net.publish("b")
    net.settle()
    net.kill("b")
    net.set_members()
    net.advance(12)
    mesh = net.nodes["a"].mesh
    assert stream not in mesh.position()
    assert mesh.delivered()[stream] == 1


def test_a_joining_node_does_not_wait_for_what_died_with_a_peer() -> None:
    """What only a peer had that has restarted since will never come."""
    net = Network("ab")
    mesh = net.nodes["b"].mesh
    (hello,) = mesh.due(net.now)
    mesh.answered(hello, HelloAnswer("a", "a~1", 0, {"z~1": 5}, Snapshot()), net.now)
    assert not mesh.warm()
    mesh.receive_hello(Hello("a", "a~2", "here", "http://a", 0, {}, Snapshot()), net.now)
    assert mesh.warm()
