"""The text form of a position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmesh.position import MAX_LENGTH, MAX_SEQ, MAX_STREAMS, STREAM, WrongPosition, format_position, parse_position

NO_NUMBER = "the number of n1~a in the position must be a whole number from 0 to 9007199254740991"
POSITIONS = st.dictionaries(st.from_regex(STREAM, fullmatch=True), st.integers(0, MAX_SEQ), max_size=20)


@given(POSITIONS)
def test_every_position_survives_its_text(position: dict[str, int]) -> None:
    """What was written is read back the same."""
    assert parse_position(format_position(position)) == position


@given(POSITIONS)
def test_a_text_is_the_same_for_the_same_position(position: dict[str, int]) -> None:
    """The order in which streams were met does not show, and the text needs no escape in a header or a query."""
    text = format_position(dict(reversed(position.items())))
    assert text == format_position(position)
    assert text.isascii()
    assert not set(text) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:,-")


def test_the_form() -> None:
    """Streams and numbers stand as the documentation says; a dash is the empty position."""
    assert format_position({"n2~b": 7, "n1~a": 42}) == "n1~a:42,n2~b:7"
    assert parse_position("n2~b:7,n1~a:42") == {"n1~a": 42, "n2~b": 7}
    assert format_position({}) == "-"
    assert parse_position("-") == {}


def test_the_largest_position_fits() -> None:
    """As many streams as are allowed, with the longest names and numbers, are within the length."""
    position = {f"{number:04d}{'n' * 60}~{'z' * 13}": MAX_SEQ for number in range(MAX_STREAMS)}
    assert parse_position(format_position(position)) == position


@given(st.text(max_size=60) | st.text("n1~a:42,-", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever comes in is a position with a text of its own, or a WrongPosition."""
    try:
        position = parse_position(text)
    except WrongPosition:
        return
    assert parse_position(format_position(position)) == position


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the position has '', expected STREAM:NUMBER,STREAM:NUMBER… or -"),
        ("n1~a", "the position has 'n1~a', expected STREAM:NUMBER,STREAM:NUMBER… or -"),
        ("n1~a:1,", "the position has '', expected STREAM:NUMBER,STREAM:NUMBER… or -"),
        ("n1~a:1,-", "the position has '-', expected STREAM:NUMBER,STREAM:NUMBER… or -"),
        ("n1:1", "the position names 'n1', which is no stream id"),
        (":1", "the position names '', which is no stream id"),
        ("n1~a:1, n2~b:1", "the position names ' n2~b', which is no stream id"),
        ("n1~A:1", "the position names 'n1~A', which is no stream id"),
        (f"{'n' * 200}:1", f"the position names {'n' * 100!r}, which is no stream id"),
        ("n1~a:", NO_NUMBER),
        ("n1~a:-1", NO_NUMBER),
        ("n1~a:1.5", NO_NUMBER),
        ("n1~a:01", NO_NUMBER),
        ("n1~a:１", NO_NUMBER),
        ("n1~a:1\n", NO_NUMBER),
        ("n1~a:9007199254740992", NO_NUMBER),
        ("n1~a:1:2", NO_NUMBER),
        ("n1~a:1,n1~a:2", "the position names n1~a twice"),
        ("n1~a:1," * MAX_STREAMS + "n1~a:1", "the position names 1025 streams, at most 1024 are allowed"),
        ("n" * (MAX_LENGTH + 1), "the position has 100001 characters, at most 100000 are allowed"),
    ],
    ids=range(20),
)
def test_wrong_texts_are_refused_with_what_is_wrong(text: str, problem: str) -> None:
    """Each kind of wrong text has its own answer."""
    with pytest.raises(WrongPosition) as refused:
        parse_position(text)
    assert str(refused.value) == problem


def test_a_smaller_bound_is_kept() -> None:
    """A caller with less room refuses what is too long for it."""
    with pytest.raises(WrongPosition) as refused:
        parse_position("n1~a:42", max_length=6)
    assert str(refused.value) == "the position has 7 characters, at most 6 are allowed"
