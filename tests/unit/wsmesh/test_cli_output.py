"""What the commands print."""

from __future__ import annotations

import json

import pytest

from wsmesh.cli import output
from wsmesh.cli.listen import describe
from wsmesh.client import Connected, Item, Lost, Problem, Subscribed


def test_a_table_is_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the output is no terminal, long values stay on one line."""
    output.table(("name", "value"), [("a", "x" * 200), ("[bold]b[/]", None)], "empty")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["name", "value"]
    assert lines[2:] == [["a", "x" * 200], ["[bold]b[/]", "-"]]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows are a sentence, not an empty table."""
    output.table(("name",), [], "there is none")
    assert capsys.readouterr().out == "there is none\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (["a", "b"], "a, b"),
        ({"a": 1, "b": None}, "a=1, b=-"),
        ("ü日", "ü日"),
        ("a\x1b[31m\nb\x07", "a\\x1b[31m\\nb\\x07"),
    ],
)
def test_cells(value: object, text: str) -> None:
    """Values are readable, and what others wrote cannot steer the terminal."""
    assert output.cell(value) == text


def test_a_record_shows_times(capsys: pytest.CaptureFixture[str]) -> None:
    """Times are shown as a date, other values as they are."""
    output.record({"id": "n1", "registered_at": 0.0, "gone_at": None})
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["id", "n1"]
    assert lines[1][1].startswith(("1970-01-01 ", "1969-12-31 "))
    assert lines[2] == ["gone_at", "-"]


def test_json_is_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """A document is indented, a line is one line."""
    output.as_json([{"a": "ü"}])
    output.json_line({"a": "x\ny"})
    out = capsys.readouterr().out
    assert json.loads(out[: out.index("]") + 1]) == [{"a": "ü"}]
    assert out.splitlines()[-1] == '{"a":"x\\ny"}'


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Connected("1.2"), "connected as 1.2"),
        (Subscribed("news"), "subscribed to news"),
        (Subscribed("news", True, {}), "subscribed to news, and nothing is missing"),
        (Subscribed("news", False, {}), "subscribed to news, but what was published meanwhile may be missing"),
        (Lost(4200, "moved", 0.0), "closed with 4200 (moved); connecting again at once"),
        (Lost(1006, "", 2.34), "closed with 1006 (no reason given); connecting again in 2.3 s"),
        (
            Lost(None, "the connection was refused", 1.0),
            "no connection: the connection was refused; connecting again in 1.0 s",
        ),
        (Problem(4301, "no"), "the server complains: no (4301)"),
        (Problem(None, "no"), "the server complains: no"),
    ],
)
def test_what_happens_is_a_sentence(item: Item, text: str) -> None:
    """What is no event is told as a sentence."""
    assert describe(item) == text
