from __future__ import annotations

from collections import Counter

from wsnode.domain.webhook_tellers import Tellers

NODES = [f"n{number}" for number in range(10)]
CHANNELS = [f"channel-{number}" for number in range(5_000)]


def test_all_nodes_say_the_same() -> None:
    """The order in which nodes became known does not matter."""
    one, other = Tellers(NODES), Tellers(reversed(NODES))
    assert all(one.of("a", channel) == other.of("a", channel) for channel in CHANNELS)


def test_nobody_tells_where_there_is_no_node() -> None:
    """Without nodes there is no teller."""
    assert Tellers([]).of("a", "c") is None


def test_channels_are_shared_out() -> None:
    """No node has more than twice or less than half its part."""
    shares = Counter(Tellers(NODES).of("a", channel) for channel in CHANNELS)
    assert set(shares) == set(NODES)
    assert all(250 <= share <= 1_000 for share in shares.values()), shares


def test_only_the_share_of_a_lost_node_changes_hands() -> None:
    """When a node goes, the channels of all others keep their teller."""
    before = Tellers(NODES)
    after = Tellers(set(NODES) - {"n3"})
    for channel in CHANNELS:
        if before.of("a", channel) == "n3":
            assert after.of("a", channel) != "n3"
        else:
            assert after.of("a", channel) == before.of("a", channel)


def test_apps_do_not_share_their_tellers() -> None:
    """A channel of the same name in another app may have another teller."""
    tellers = Tellers(NODES)
    assert any(tellers.of("a", channel) != tellers.of("b", channel) for channel in CHANNELS[:100])
