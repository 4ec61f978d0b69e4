"""Which position each channel of `wsmesh listen --from` begins with."""

from __future__ import annotations

import pytest
import typer

from wsmesh.cli.listen import positions_of

CHANNELS = ["news", "a=1,b;2"]


@pytest.mark.parametrize(
    ("start", "positions"),
    [
        ([], {}),
        (["-"], {"news": {}, "a=1,b;2": {}}),
        (["n1~a:4,n2~b:1"], {name: {"n1~a": 4, "n2~b": 1} for name in CHANNELS}),
        (["news:n1~a:4"], {"news": {"n1~a": 4}}),
        (["a=1,b;2:-"], {"a=1,b;2": {}}),
        (["news:n1~a:4", "n1~a:9"], {"news": {"n1~a": 4}, "a=1,b;2": {"n1~a": 9}}),
    ],
)
def test_positions(start: list[str], positions: dict[str, dict[str, int]]) -> None:
    """A position is for one channel or for all; the one that names its channel wins."""
    assert positions_of(start, CHANNELS) == positions


@pytest.mark.parametrize("text", ["", "news:", "news", "sport:n1~a:1", "n1~a", "n1~a:-1", "news:n1~a:4,", ":n1~a:4"])
def test_wrong_positions(text: str) -> None:
    """What is no position, or of a channel that is not joined, is refused."""
    with pytest.raises(typer.BadParameter):
        positions_of([text], CHANNELS)
