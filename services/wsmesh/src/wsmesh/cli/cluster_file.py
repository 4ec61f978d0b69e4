"""The file that `make demo` writes: where everything is, and the keys to it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from wsmesh.cli.errors import CliError, Code
from wsmesh.decoding import UNREADABLE

DEFAULT = Path(".demo/cluster.json")


class AppKeys(Struct, frozen=True):
    """The app that the demo made."""

    id: str
    key: str
    secret: str
    publish_key: str


class NodeAt(Struct, frozen=True):
    """Where a node serves."""

    id: str
    client_url: str


class ClusterFile(Struct, frozen=True):
    """The part of the file that the commands need."""

    url: str
    registry_url: str
    admin_key: str
    app: AppKeys
    ca: str | None = None
    nodes: list[NodeAt] = []


def read(path: Path) -> ClusterFile:
    """Read the file. Raises CliError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterFile)
    except OSError as problem:
        raise CliError(
            Code.USAGE, f"--cluster: cannot read {path}: {problem.strerror}; is `make demo` running?"
        ) from None
    except UNREADABLE as problem:
        raise CliError(Code.USAGE, f"--cluster: {path} is not the file that `make demo` writes: {problem}") from None
