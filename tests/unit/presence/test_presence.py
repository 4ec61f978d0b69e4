"""Who is present in the whole cluster, from what nodes say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsnode.domain.messages import Join, Leave
from wsnode.domain.presence import Change, Presence

KEY = ("shop", "presence-room")


def join(user: str, info: str = "{}", channel: str = KEY[1]) -> Join:
    return Join(KEY[0], channel, user, info)


def leave(user: str, channel: str = KEY[1]) -> Leave:
    return Leave(KEY[0], channel, user)


def test_a_user_comes_with_its_first_node_and_goes_with_its_last() -> None:
    """In between nothing changes, however many nodes have it."""
    presence = Presence()
    assert presence.join("n1", join("ada")) == [Change(KEY, "ada", "{}")]
    assert presence.join("n2", join("ada")) == []
    assert presence.leave("n1", leave("ada")) == []
    assert (presence.count(KEY), presence.has(KEY, "ada")) == (1, True)
    assert presence.leave("n2", leave("ada")) == [Change(KEY, "ada", None)]
    assert (presence.count(KEY), presence.has(KEY, "ada"), presence.users(KEY)) == (0, False, {})


def test_what_is_repeated_changes_nothing() -> None:
    """A second join of a node, and a leave of who is not there, are no changes."""
    presence = Presence()
    presence.join("n1", join("ada"))
    assert presence.join("n1", join("ada", '{"name":"other"}')) == []
    assert presence.users(KEY) == {"ada": "{}"}
    assert presence.leave("n2", leave("ada")) == presence.leave("n1", leave("bob")) == []


def test_of_several_infos_that_of_the_first_node_is_told() -> None:
    """When the first node loses the user, the next one's info takes its place, without a change."""
    presence = Presence()
    presence.join("n1", join("ada", "1"))
    presence.join("n2", join("ada", "2"))
    assert presence.users(KEY) == {"ada": "1"}
    assert presence.leave("n1", leave("ada")) == []
    assert presence.users(KEY) == {"ada": "2"}


def test_a_node_that_is_gone_takes_along_who_was_only_there() -> None:
    """Each of them goes once; who is also elsewhere stays."""
    presence = Presence()
    for user in ("ada", "bob"):
        presence.join("n1", join(user))
    presence.join("n2", join("bob"))
    assert presence.forget_node("n1") == [Change(KEY, "ada", None)]
    assert presence.forget_node("n1") == []
    assert presence.users(KEY) == {"bob": "{}"}


def test_replacing_changes_only_what_differs() -> None:
    """Who stays neither goes nor comes."""
    presence = Presence()
    for user in ("stays", "goes"):
        presence.join("n1", join(user))
    changes = presence.replace("n1", [join("stays"), join("comes"), join("stays", channel="presence-other")])
    assert changes == [
        Change(KEY, "goes", None),
        Change(KEY, "comes", "{}"),
        Change((KEY[0], "presence-other"), "stays", "{}"),
    ]


def test_what_a_node_says_of_itself_makes_the_same_elsewhere() -> None:
    """`at` holds all that `replace` needs."""
    here, there = Presence(), Presence()
    here.join("n1", join("ada", '{"name":"Ada"}'))
    here.join("n2", join("bob"))
    there.replace("n1", here.at("n1"))
    assert there.at("n1") == [join("ada", '{"name":"Ada"}')]
    assert there.users(KEY) == {"ada": '{"name":"Ada"}'}


SETS = st.sets(st.sampled_from("abc"))
STEPS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from("xyz"), st.sampled_from("abc")),
    st.tuples(st.just("leave"), st.sampled_from("xyz"), st.sampled_from("abc")),
    st.tuples(st.just("replace"), st.sampled_from("xyz"), SETS),
)


@given(st.lists(STEPS, max_size=60))
def test_changes_are_exactly_those_of_the_union(steps: list[tuple[str, str, str | set[str]]]) -> None:
    """After every step the users are the union over the nodes, and the changes lead there from the step before."""
    presence = Presence()
    at: dict[str, set[str]] = {node: set() for node in "xyz"}
    users: set[str] = set()
    for what, node, whom in steps:
        if what == "join":
            changes = presence.join(node, join(str(whom)))
            at[node] |= set(whom)
        elif what == "leave":
            changes = presence.leave(node, leave(str(whom)))
            at[node] -= set(whom)
        else:
            changes = presence.replace(node, [join(user) for user in sorted(whom)])
            at[node] = set(whom)
        came = {change.user for change in changes if change.info is not None}
        gone = {change.user for change in changes if change.info is None}
        assert len(changes) == len(came) + len(gone)
        assert came.isdisjoint(users)
        assert gone <= users
        users = users - gone | came
        assert users == set.union(*at.values()) == set(presence.users(KEY))
        assert presence.count(KEY) == presence.number == len(users)
