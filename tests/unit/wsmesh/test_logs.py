"""Logs: readable in a terminal, JSON lines, and journald's fields over its socket."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
import structlog

from wsmesh import logs

Entry = dict[str, bytes]


def decode(raw: bytes) -> Entry:
    """Read an entry as journald does (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    found: Entry = {}
    while raw:
        head, _, rest = raw.partition(b"\n")
        if b"=" in head:
            name, _, value = head.partition(b"=")
            raw = rest
        else:
            name = head
            (size,) = struct.unpack("<Q", rest[:8])
            value, end, raw = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        found[name.decode()] = value
    return found


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave no configuration behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    journal = getattr(structlog.get_config()["logger_factory"], "_socket", None)
    if journal is not None:
        journal.close()  # a service keeps it open to its end
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A journald that only listens."""
    folder = tempfile.mkdtemp()  # a path of a unix socket must be short
    path = f"{folder}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(5)
        monkeypatch.setattr(logs, "JOURNAL_SOCKET", path)
        yield listening
    shutil.rmtree(folder)


def entry(journal: socket.socket) -> Entry:
    return decode(journal.recv(200_000))


def test_journald_gets_fields(journal: socket.socket) -> None:
    """An event's name, priority, service and values are fields of the journal."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    logs.get("mesh").warning("peer_down", peer="n2", lag=3)
    assert entry(journal) == {
        "MESSAGE": b"peer_down component=mesh peer=n2 lag=3",
        "PRIORITY": b"4",
        "SYSLOG_IDENTIFIER": b"wsnode",
        "WSMESH_EVENT": b"peer_down",
        "WSMESH_COMPONENT": b"mesh",
        "WSMESH_PEER": b"n2",
        "WSMESH_LAG": b"3",
    }


def test_journald_gets_values_of_several_lines(journal: socket.socket) -> None:
    """A value with newlines, such as a traceback, arrives whole, and cannot forge another field."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    try:
        raise ValueError("first\nPRIORITY=0")
    except ValueError:
        logs.get("mesh").exception("failed", text="a\nMESSAGE=b")
    found = entry(journal)
    assert found["PRIORITY"] == b"3"
    assert found["WSMESH_TEXT"] == b"a\nMESSAGE=b"
    assert found["WSMESH_EXCEPTION"].startswith(b"Traceback")
    assert found["WSMESH_EXCEPTION"].endswith(b"ValueError: first\nPRIORITY=0")
    assert b"Traceback" not in found["MESSAGE"]


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", b"7"), ("info", b"6"), ("warning", b"4"), ("error", b"3"), ("critical", b"2")]
)
def test_levels_are_syslog_priorities(journal: socket.socket, level: str, priority: bytes) -> None:
    """Each level has its priority of syslog."""
    logs.configure("wsnode", level="debug", log_format="journald", environ={})
    getattr(logs.get("mesh"), level)("something")
    assert entry(journal)["PRIORITY"] == priority


def test_values_of_any_kind_arrive(journal: socket.socket) -> None:
    """Text of every language, an equals sign, an empty value and what cannot be encoded do no harm."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    logs.get("mesh").info("x", a="ü=日本", b="", c="\ud800", d=None, e={"k": [1]})
    found = entry(journal)
    values = [found[f"WSMESH_{name}"] for name in "ABCDE"]
    assert values == ["ü=日本".encode(), b"", b"?", b"None", b"{'k': [1]}"]


def test_a_long_value_is_cut(journal: socket.socket) -> None:
    """One value does not make an entry larger than a datagram may be."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    logs.get("mesh").info("x", text="y" * 100_000)
    assert entry(journal)["WSMESH_TEXT"] == b"y" * 32_768


def test_a_missing_journal_does_not_stop_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without journald the message goes to stderr."""
    monkeypatch.setattr(logs, "JOURNAL_SOCKET", str(tmp_path / "none"))
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    logs.get("mesh").info("started", port=1)
    assert capsys.readouterr().err == "MESSAGE=started component=mesh port=1\n"


def test_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON form has the event, its level, time and values."""
    logs.configure("wsnode", level="info", log_format="json", environ={})
    logs.get("mesh").info("peer_up", peer="n2")
    logs.get("mesh").debug("unseen")
    lines = capsys.readouterr().err.splitlines()
    found = json.loads(lines[0])
    assert found.pop("timestamp").endswith("Z")
    assert found == {"event": "peer_up", "level": "info", "component": "mesh", "peer": "n2"}
    assert len(lines) == 1


def test_the_terminal_gets_a_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of systemd `auto` is a line with the event and its values, on stderr."""
    logs.configure("wsnode", level="info", log_format="auto", environ={})
    logs.get("mesh").info("peer_up", peer="n2")
    out, err = capsys.readouterr()
    assert out == ""
    assert "peer_up" in err
    assert "peer=n2" in err


@contextmanager
def stderr_to(path: Path) -> Iterator[str]:
    """Put stderr into a file; gives the JOURNAL_STREAM that names it."""
    with path.open("w") as file, redirect_stderr(file):
        stat = os.fstat(file.fileno())
        yield f"{stat.st_dev}:{stat.st_ino}"


def test_auto_is_journald_when_stderr_is_the_journal(journal: socket.socket, tmp_path: Path) -> None:
    """Under systemd, where JOURNAL_STREAM names stderr, `auto` is journald's form."""
    with stderr_to(tmp_path / "stderr") as stream:
        logs.configure("wsnode", level="info", log_format="auto", environ={"JOURNAL_STREAM": stream})
        logs.get("mesh").info("started")
    assert entry(journal)["WSMESH_EVENT"] == b"started"


def test_auto_is_a_line_when_stderr_was_redirected(tmp_path: Path) -> None:
    """A JOURNAL_STREAM that was inherited, and names something else than stderr, is ignored."""
    with stderr_to(tmp_path / "stderr"):
        logs.configure("wsnode", level="info", log_format="auto", environ={"JOURNAL_STREAM": "1:1"})
        logs.get("mesh").info("started")
    assert "started" in (tmp_path / "stderr").read_text()


def test_libraries_end_in_the_same_place(journal: socket.socket) -> None:
    """What libraries log with `logging` is an entry too, with its level and its text."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    logging.getLogger("some.library").info("unseen")
    logging.getLogger("some.library").error("cannot %s", "work")
    found = entry(journal)
    assert found["WSMESH_EVENT"] == b"library"
    assert found["WSMESH_MESSAGE"] == b"cannot work"
    assert found["WSMESH_COMPONENT"] == b"some.library"
    assert found["PRIORITY"] == b"3"


def test_bound_context_is_in_every_entry(journal: socket.socket) -> None:
    """Values bound to the context, such as the node's id, are in each entry."""
    logs.configure("wsnode", level="info", log_format="journald", environ={})
    with structlog.contextvars.bound_contextvars(node=""):
        logs.bind(node="n1")
        logs.get("mesh").info("x")
        logs.get("mesh").info("y", node="n2")
    assert entry(journal)["WSMESH_NODE"] == b"n1"
    assert entry(journal)["WSMESH_NODE"] == b"n2"
