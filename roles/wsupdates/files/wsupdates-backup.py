#!/usr/bin/env python3
"""Back the registry's database up, and put a backup back; the registry may run while one is made.

    wsupdates-backup save --into FOLDER --keep 14     make one, remove the oldest beyond those that are kept
    wsupdates-backup restore FILE                     put it in place of what is there; stop the registry first

SQLite at $DB_PATH gives a compressed copy, wsupdates-TIME.sqlite3.gz; PostgreSQL at $DB_URL, $DB_URL_FILE or the
credential db_url an archive of pg_dump, wsupdates-TIME.pgdump. Times are UTC. Prints the path of the new backup.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Failed(Exception):
    """The text is one line: what was wrong, and what to do."""


def url() -> str:
    """The URL of the PostgreSQL database; empty: SQLite."""
    if value := os.environ.get("DB_URL", ""):
        return value
    for path in (os.environ.get("DB_URL_FILE", ""), os.environ.get("CREDENTIALS_DIRECTORY", "") + "/db_url"):
        if path and Path(path).is_file():
            return Path(path).read_text(encoding="utf-8").strip()
    return ""


def database() -> Path:
    """The SQLite file."""
    return Path(os.environ.get("DB_PATH") or "wsupdates.sqlite3")


def save(into: Path, keep: int) -> Path:
    """Make a backup, whole or not at all, and remove the oldest ones."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = into / (f"wsupdates-{stamp}.pgdump" if url() else f"wsupdates-{stamp}.sqlite3.gz")
    part = target.with_suffix(".part")
    try:
        if url():
            run("pg_dump", "--format=custom", "--no-owner", f"--file={part}", "--dbname=service=wsupdates")
        else:
            save_sqlite(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    for old in sorted(into.glob(f"wsupdates-*{target.name.split('.', 1)[1]}"))[:-keep]:
        old.unlink()
    return target


def save_sqlite(to: Path) -> None:
    """A consistent copy of the file, compressed."""
    if not database().is_file():
        raise Failed(f"DB_PATH: {database()} is not there; nothing was saved")
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".wsupdates-") as folder:
        copy = Path(folder) / "copy"
        opened = sqlite3.connect(database(), timeout=30), sqlite3.connect(copy)
        with contextlib.closing(opened[0]) as source, contextlib.closing(opened[1]) as target:
            source.backup(target)
        with copy.open("rb") as plain, gzip.open(to, "wb") as packed:
            shutil.copyfileobj(plain, packed)


def restore(backup: Path) -> None:
    """Put the backup in place of what is there."""
    if not backup.is_file():
        raise Failed(f"{backup} is not there")
    if url():
        options = ("--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error")
        run("pg_restore", *options, "--dbname=service=wsupdates", str(backup))
        return
    part = database().with_suffix(".restored")
    part.unlink(missing_ok=True)
    try:
        with gzip.open(backup) as packed, part.open("xb") as plain:
            part.chmod(0o600)
            shutil.copyfileobj(packed, plain)
        check(part, backup)
        for suffix in ("-wal", "-shm"):
            Path(f"{database()}{suffix}").unlink(missing_ok=True)
        part.replace(database())
    except (OSError, EOFError, zlib.error) as problem:
        raise Failed(f"{backup} is not a backup of SQLite: {problem}") from None
    finally:
        part.unlink(missing_ok=True)


def check(part: Path, backup: Path) -> None:
    """Raise Failed when the file is damaged."""
    with contextlib.closing(sqlite3.connect(part)) as connection:
        try:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError as problem:
            answer = str(problem)
    if answer != "ok":
        raise Failed(f"{backup} is damaged: {answer}; nothing was changed, take another")


def run(*command: str) -> None:
    """Run a program of PostgreSQL. The URL goes by a service file: others can see command lines."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as services:
        services.write(service(url()))
        services.flush()
        environ = {**os.environ, "PGSERVICEFILE": services.name}
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)  # noqa: S603
    if result.returncode:
        raise Failed(f"{command[0]}: {result.stderr.strip()}")


def service(text: str) -> str:
    """The URL as an entry of a PostgreSQL service file."""
    parts = urlsplit(text)
    values = {
        "host": parts.hostname,
        "port": parts.port,
        "dbname": unquote(parts.path.strip("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    return "[wsupdates]\n" + "".join(f"{name}={value}\n" for name, value in values.items() if value)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    saving = commands.add_parser("save")
    saving.add_argument("--into", type=Path, required=True)
    saving.add_argument("--keep", type=int, default=14)
    commands.add_parser("restore").add_argument("file", type=Path)
    given = parser.parse_args()
    os.umask(0o077)
    try:
        if given.command == "save":
            print(save(given.into, max(given.keep, 1)))
        else:
            restore(given.file)
    except (Failed, OSError, sqlite3.Error) as problem:
        print(f"wsupdates-backup: {problem}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
