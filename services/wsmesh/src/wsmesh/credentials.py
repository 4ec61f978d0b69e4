"""Secrets from files, so that they are in no process's environment.

A setting that is a secret, say CLUSTER_KEY, may be given in three ways, the first that is there:

1. `CLUSTER_KEY=…`, in the environment or the env file;
2. `CLUSTER_KEY_FILE=/path` of a file that holds it;
3. the file `cluster_key` in `$CREDENTIALS_DIRECTORY`, where systemd puts `LoadCredential=cluster_key:/path`.

White space around the secret in a file does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SUFFIX = "_FILE"
DIRECTORY = "CREDENTIALS_DIRECTORY"


class Unreadable(Exception):
    """A file that was named holds no secret. The text is one line: the setting, what was found, what is expected."""


def read(secrets: Iterable[str], found: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that files hold: `found` has what was given by name, `NAME` or `NAME_FILE`. Raises Unreadable."""
    directory = environ.get(DIRECTORY, "")
    values: dict[str, str] = {}
    for name in secrets:
        if found.get(name):
            continue
        if path := found.get(name + SUFFIX):
            values[name] = _content(name + SUFFIX, Path(path))
        elif directory and (credential := Path(directory, name.lower())).is_file():
            values[name] = _content(f"{name} of ${DIRECTORY}", credential)
    return values


def _content(origin: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise Unreadable(
            f"{origin}: found {path}, which cannot be read ({why}), expected a file that holds it"
        ) from None
    if not text:
        raise Unreadable(f"{origin}: found {path}, which is empty, expected a file that holds the secret")
    return text
