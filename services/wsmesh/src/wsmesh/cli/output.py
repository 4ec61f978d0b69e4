"""Tables for people, JSON for scripts."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 400
"""Columns where the output is no terminal, so that nothing is cut."""

TIMES = ("registered_at", "last_heartbeat", "gone_at", "created_at", "expires_at")

Row = Sequence[object]


def as_json(value: Any) -> None:
    """Print one JSON document, indented."""
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def json_line(value: Any) -> None:
    """Print one JSON document on one line, at once."""
    print(msgspec.json.encode(value).decode(), flush=True)


def table(columns: Sequence[str], rows: Sequence[Row], empty: str) -> None:
    """Print a table, or the sentence `empty` when there are no rows."""
    if not rows:
        print(empty)
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell(value)) for value in row))
    _console().print(shown)


def record(found: Mapping[str, object], in_json: bool = False) -> None:
    """Print names and values, one pair a line, or as JSON; times are Unix seconds."""
    if in_json:
        as_json(found)
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {moment(value) if name in TIMES else cell(value)}")


def done(kind: str, name: str, result: str, in_json: bool = False) -> None:
    """Print what was done: that the app shop is deleted."""
    if in_json:
        as_json({result: name})
    else:
        print(f"{kind} {printable(name)} is {result}")


def say(text: str) -> None:
    """Tell the person something that is not the result."""
    print(printable(text), file=sys.stderr, flush=True)


def cell(value: object) -> str:
    """A value as a person reads it."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={cell(inner)}" for name, inner in value.items())
    return printable(str(value))


def printable(text: str) -> str:
    """The text with control characters written out: what others published must not steer this terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def moment(seconds: object) -> str:
    """Unix seconds as local time."""
    if not isinstance(seconds, int | float):
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
