"""Channel names and kinds."""

from __future__ import annotations

import pytest

from wsmesh.channels import MAX_LENGTH, SERVER_TO_USER, ChannelKind, kind_of, problem_with


@pytest.mark.parametrize(
    "name", ["a", "news", "A-Za-z0-9_-=@,.;", "private-x", "x" * MAX_LENGTH, f"{SERVER_TO_USER}42", "private-"]
)
def test_a_good_name_has_no_problem(name: str) -> None:
    """Every character and length that the protocol allows is taken."""
    assert problem_with(name) is None


@pytest.mark.parametrize("name", ["", None, 7, ["a"], {}])
def test_what_is_no_name_is_refused(name: object) -> None:
    """An empty name, or what is no string, is refused with what is expected."""
    assert problem_with(name) == "a channel name is a string of 1 to 164 characters"


def test_a_long_name_is_refused() -> None:
    """A name one character too long is refused with both lengths."""
    assert problem_with("x" * 165) == "the channel name has 165 characters, at most 164 are allowed"


@pytest.mark.parametrize(
    "name", ["a b", "ü", "a\n", "a/b", "a:b", "#x", "*", "a\x00", "#server-to-user-", "#server-to-user-a b", "\ud800"]
)
def test_wrong_characters_are_refused(name: str) -> None:
    """A name with any other character is refused with those allowed."""
    assert problem_with(name) == "a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("news", ChannelKind()),
        ("privateer", ChannelKind()),
        ("my-private-x", ChannelKind()),
        ("private-x", ChannelKind(private=True)),
        ("private-encryptedx", ChannelKind(private=True)),
        ("private-encrypted-x", ChannelKind(private=True, encrypted=True)),
        ("presence-x", ChannelKind(presence=True)),
        ("presence-encrypted-x", ChannelKind(presence=True)),
        ("cache-x", ChannelKind(cache=True)),
        ("cache-private-x", ChannelKind(cache=True)),
        ("private-cache-x", ChannelKind(private=True, cache=True)),
        ("private-encrypted-cache-x", ChannelKind(private=True, encrypted=True, cache=True)),
        ("presence-cache-x", ChannelKind(presence=True, cache=True)),
        ("#server-to-user-private-x", ChannelKind()),
    ],
)
def test_the_prefix_sets_the_kind(name: str, kind: ChannelKind) -> None:
    """Each prefix of the protocol gives its kind, and nothing else does."""
    assert kind_of(name) == kind


def test_private_and_presence_channels_are_signed() -> None:
    """A signature is needed for private and presence channels only."""
    assert [name for name in ("a", "cache-a", "private-a", "presence-a") if kind_of(name).signed] == [
        "private-a",
        "presence-a",
    ]
