"""Apps and rules as nodes look them up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from wsmesh.contract import App, ChannelRule
from wsnode.domain.admission import origin_allowed
from wsnode.domain.directory import DEFAULT_RULE, Directory
from wsnode.domain.frames import ChannelEvents, frame, payload_of


@pytest.mark.parametrize(
    ("patterns", "channel", "found"),
    [
        ([], "news", "*"),
        (["news-*"], "news-a", "news-*"),
        (["news-*"], "news", "*"),
        (["*", "news-*"], "news-a", "news-*"),
        (["news-*", "*-a"], "news-a", "news-*"),
        (["news-**", "news-*"], "news-a", "news-*"),
        (["*b", "a*"], "ab", "*b"),
        (["a.c"], "abc", "*"),
        (["n*s-*"], "news-a-b", "n*s-*"),
    ],
)
def test_the_most_exact_rule_wins(patterns: list[str], channel: str, found: str) -> None:
    """Of the rules that match, the one with the most characters other than `*` wins, then the first by pattern."""
    app = App(id="a", key="a", secret="s", rules=[ChannelRule(pattern=pattern) for pattern in patterns])
    directory = Directory([app])
    assert directory.rule_for(app, channel).pattern == found
    assert directory.rule_for(app, channel) is directory.rule_for(app, channel)


def test_many_channels_do_not_fill_the_memory_of_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules found are remembered up to a bound, and found anew after it."""
    monkeypatch.setattr("wsnode.domain.directory.MAX_CACHED", 3)
    app = App(id="a", key="a", secret="s", rules=[ChannelRule(pattern="a*")])
    directory = Directory([app])
    for number in range(10):
        assert directory.rule_for(app, f"a{number}").pattern == "a*"
    assert len(directory._rules) <= 3


def test_apps_are_found_by_id_and_key() -> None:
    """Unknown ones are not."""
    app = App(id="a", key="k", secret="s")
    directory = Directory([app])
    assert (directory.by_id("a"), directory.by_key("k"), list(directory.apps)) == (app, app, [app])
    assert (directory.by_id("k"), directory.by_key("a")) == (None, None)
    assert directory.rule_for(app, "any") is DEFAULT_RULE


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("https://example.com", "https://example.com", True),
        ("https://example.com", "https://EXAMPLE.com", True),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://example.com.evil.org", False),
        ("https://example.com", "https://example.com:8443", False),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evil.org:1.example.com", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", False),
        ("*", "https://anything.org", True),
        ("https://example.com", "null", False),
    ],
)
def test_origins(pattern: str, origin: str, allowed: bool) -> None:
    """An origin matches as a whole; `*` stands for part of a host, or a port, and does not cross a colon or slash."""
    assert origin_allowed([pattern], origin) is allowed


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 70_000))
def test_frames_are_those_of_the_websockets_library(size: int) -> None:
    """A frame of any size has the bytes that the library would send, and gives its payload back."""
    payload = b"x" * size
    made = frame(payload)
    assert made == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert payload_of(made) == payload


def test_the_text_of_an_event() -> None:
    """Names, data and ids are escaped, and the parts that all channels share are the same."""
    events = ChannelEvents('a"b', "ü\n", "n~1:2")
    assert payload_of(events.frame("c")) == '{"event":"a\\"b","channel":"c","data":"ü\\n","id":"n~1:2"}'.encode()
