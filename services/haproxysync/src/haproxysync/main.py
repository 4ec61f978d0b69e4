"""The command line of haproxy-sync, and the only place that wires."""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import time
from pathlib import Path

from haproxysync.adapters.files import Locked
from haproxysync.adapters.haproxy import HAProxy, Trouble
from haproxysync.adapters.registry import Registry
from haproxysync.apply import Files
from haproxysync.domain.slots import Slots
from haproxysync.reading import SettingsError
from haproxysync.report import dry_run, status
from haproxysync.settings import Settings, explain
from haproxysync.sync import Exit, Outcome, Sync
from haproxysync.watch import Stop, watch

ABOUT = """\
Keeps HAProxy's slots as the registry of wsmesh says, without ever reloading it.

One run asks the registry which node holds which slot, writes the configuration (checked by `haproxy -c` first), then
brings the running HAProxy to the same state over its stats socket, reads back and compares. An answer that looks like a
fault is not applied: the last good state stays, and the run says why.

  haproxy-sync --env-file /etc/haproxy-sync.env             one run, for cron or a timer
  haproxy-sync --env-file /etc/haproxy-sync.env --watch     a service that applies each change within a second
  haproxy-sync --env-file /etc/haproxy-sync.env --dry-run   what a run would change
"""

CODES = """\
exit codes:
  0  applied, or nothing to do (also when HAProxy is not running: it will start with the configuration as written)
  1  the registry was not believed or not reached; the last good state is kept, and the line on stderr says why
  2  wrong usage or a wrong setting
  3  HAProxy refuses the configuration, or differs from it after the commands
  4  another run holds the lock
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    options = _parser().parse_args(argv)
    try:
        settings = Settings.load(_environ(options), options.env_file)
        if options.check_config:
            print("\n".join(f"{name}={value}" for name, value in settings.effective()))
            return Exit.OK
        return _run(options, settings)
    except SettingsError as problem:
        _complain(str(problem))
        return Exit.USAGE
    except Trouble as problem:
        _complain(str(problem))
        return Exit.HAPROXY
    except Locked as problem:
        _complain(str(problem))
        return Exit.LOCKED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="haproxy-sync",
        description=ABOUT,
        epilog=f"{CODES}\nsettings, from the environment or --env-file:\n{explain()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--once", action="store_true", help="one run (the default)")
    what.add_argument("--watch", action="store_true", help="run until SIGTERM, apply each change at once")
    what.add_argument("--dry-run", action="store_true", help="show what a run would change, change nothing")
    what.add_argument("--status", action="store_true", help="show the last good state beside what HAProxy holds")
    what.add_argument("--check-config", action="store_true", help="print the settings in force, secrets masked")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="file of NAME=value lines; the environment wins")
    parser.add_argument("--max-removal", metavar="SHARE", help="instead of the setting MAX_REMOVAL")
    parser.add_argument(
        "--force",
        action="store_true",
        help="apply a valid answer even if it is older, empty or removes most nodes: for a person who has looked",
    )
    return parser


def _environ(options: argparse.Namespace) -> dict[str, str]:
    environ = dict(os.environ)
    if options.max_removal is not None:
        environ["MAX_REMOVAL"] = options.max_removal
    return environ


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.force and (options.watch or options.status):
        raise SettingsError("--force: expected with --once or --dry-run only; a service must not force each answer")
    haproxy = HAProxy(settings.haproxy_socket, settings.haproxy_binary, settings.draining_file)
    files = Files(settings.haproxy_base, settings.haproxy_config, settings.draining_file, haproxy.check)
    sync = Sync(settings, haproxy, files, now=time.time, sleep=time.sleep, resolve=_resolve)
    if options.status:
        return _print(*status(sync))
    registry = Registry(settings.ws_updates_url, settings.ws_updates_key, settings.ws_updates_ca)
    if options.dry_run:
        return _print(*dry_run(sync, registry.fetch(), force=options.force))
    if options.watch:
        files.texts(sync.want(Slots(0)))  # a wrong base ends the start, not the third hour
        stop = Stop()
        stop.install()
        watch(
            sync,
            registry,
            stop,
            poll_seconds=settings.poll_seconds,
            chance=random.random,
            report=_report,
            complain=_complain,
        )
        return Exit.OK
    outcome = sync.run(registry.fetch(), force=options.force)
    _report(outcome)
    if outcome.exit is Exit.OK and not outcome.changes and sys.stdout.isatty():
        print("nothing to do")
    return outcome.exit


def _print(code: Exit, text: str) -> int:
    print(text)
    return code


def _report(outcome: Outcome) -> None:
    for change in outcome.changes:
        _log(6, change)
    for note in outcome.notes:
        _log(5, note)
    for problem in outcome.problems:
        _log(3 if outcome.exit is Exit.HAPROXY else 4, problem)


def _complain(text: str) -> None:
    _log(3, text)


def _log(priority: int, text: str) -> None:
    """One line on stderr; in the journal with its priority (sd-daemon(3))."""
    line = " ".join(text.split())
    print(f"<{priority}>{line}" if _stderr_is_journal() else f"haproxy-sync: {line}", file=sys.stderr, flush=True)


def _stderr_is_journal() -> bool:
    """Whether systemd connected stderr to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _resolve(host: str) -> str | None:
    """An address of the name, always the same one of several; IPv4 first."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    addresses = sorted({(family != socket.AF_INET, str(address[0])) for family, _, _, _, address in found})
    return addresses[0][1] if addresses else None


if __name__ == "__main__":
    sys.exit(main())
