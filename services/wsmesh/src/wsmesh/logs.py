"""Structured logs: readable lines in a terminal, fields in journald under systemd.

Events have short names (`log.info("peer_down", peer="n2")`). In the journal the name is `WSMESH_EVENT` and each value
`WSMESH_<NAME>`, so `journalctl -u 'wsnode@*' WSMESH_EVENT=peer_down` finds them.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

LogFormat = Literal["auto", "console", "json", "journald"]

JOURNAL_SOCKET = "/run/systemd/journal/socket"
PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def configure(service: str, *, level: str, log_format: LogFormat, environ: Mapping[str, str]) -> None:
    """Set up structlog for the process; `auto` chooses journald under systemd and the terminal's form elsewhere."""
    if log_format == "auto":
        log_format = "journald" if _stderr_is_journal(environ) else "console"
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    factory: Any
    if log_format == "journald":
        renderer: list[Any] = [structlog.processors.format_exc_info, _journal_entry(service)]
        factory = _JournalFactory(JOURNAL_SOCKET)
    else:
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        last = (
            [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
            if log_format == "json"
            else [_console()]
        )
        renderer = [stamp, *last]
        factory = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=logging.WARNING, force=True)


def _console() -> structlog.dev.ConsoleRenderer:
    """Readable lines. Tracebacks are plain: structlog's usual ones print local variables, secrets too."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
    )


def get(name: str) -> Any:
    """A logger whose entries say which part wrote them."""
    return structlog.get_logger(component=name)


def bind(**fields: str) -> None:
    """Have these values in every entry from now on, such as the node's id; an entry's own value wins."""
    structlog.contextvars.bind_contextvars(**fields)


class _ToStructlog(logging.Handler):
    """Libraries that use `logging` end in the same place."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        log = structlog.get_logger(component=record.name)
        log.log(
            logging.getLevelName(level.upper()) if level in PRIORITY else logging.INFO,
            "library",
            message=record.getMessage(),
            exc_info=record.exc_info or None,
        )


def _stderr_is_journal(environ: Mapping[str, str]) -> bool:
    """Whether systemd connected stderr to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _journal_entry(service: str) -> Any:
    def render(_: Any, __: str, event: MutableMapping[str, Any]) -> dict[str, str]:
        name = str(event.pop("event"))
        priority = str(PRIORITY.get(str(event.pop("level", "info")), 6))
        text = " ".join([name, *(f"{key}={value}" for key, value in event.items() if key != "exception")])
        fields = {"MESSAGE": text, "PRIORITY": priority, "SYSLOG_IDENTIFIER": service, "WSMESH_EVENT": name}
        for key, value in event.items():
            fields[f"WSMESH_{key.upper()}"] = str(value)
        return {"entry": encode_entry(fields)}  # type: ignore[dict-item]

    return render


def encode_entry(fields: Mapping[str, str]) -> bytes:
    """One journal entry in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    parts = []
    for name, value in fields.items():
        raw = value.encode(errors="replace")[:32_768]
        if b"\n" in raw:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n")
        else:
            parts.append(name.encode() + b"=" + raw + b"\n")
    return b"".join(parts)


class _JournalFactory:
    """Loggers that send entries to journald's socket; an entry that does not fit or arrive is dropped."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = path

    def __call__(self, *_: Any) -> _JournalFactory:
        return self

    def msg(self, *, entry: bytes) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(entry, socket.MSG_DONTWAIT, self._path)
        except OSError:
            print(entry.split(b"\n", 1)[0].decode(errors="replace"), file=sys.stderr)

    debug = info = warning = error = critical = log = failure = msg
