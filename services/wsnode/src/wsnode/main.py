"""The command `wsnode`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from wsmesh import __version__, logs, serving
from wsmesh.notify import Notifier
from wsmesh.settings import SettingsError, explain
from wsnode.app import NodeApp
from wsnode.settings import NodeSettings

ABOUT = """\
A node of wsmesh: serves WebSocket clients and the publish API, and passes messages to the other nodes.

It ends in order on SIGTERM and SIGINT: it tells its clients to move, spread over DRAIN_SECONDS, hands over what
peers do not have yet, and leaves the cluster. A wrong or missing setting ends it with status 2 and one line.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="wsnode",
        description=ABOUT,
        epilog="Settings, from the environment or the env file:\n\n" + explain(NodeSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--env-file", type=Path, metavar="PATH", help="read NAME=value lines; the environment wins")
    made.add_argument(
        "--check-config", action="store_true", help="print the settings in force, secrets masked, and end"
    )
    made.add_argument("--version", action="version", version=f"wsnode {__version__}")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a node until it is told to stop."""
    options = parser().parse_args(arguments)
    try:
        settings = NodeSettings.load(os.environ, options.env_file)
        if options.check_config:
            print("\n".join(f"{name}={value}" for name, value in settings.effective()))
            return
        logs.configure("wsnode", level=settings.log_level, log_format=settings.log_format, environ=os.environ)
        logs.bind(node=settings.node_id)
        serving.run(NodeApp(settings, Notifier(os.environ)).run)
    except SettingsError as problem:
        print(f"wsnode: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
