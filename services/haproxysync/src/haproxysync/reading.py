"""How a setting is declared and read: from the environment or an env file, with one line for what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is wrong or missing. The text is one line: its name, what was found, what is expected."""


def matching(pattern: str) -> Callable[[str], str]:
    """Text that matches as a whole."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return read


def urls(text: str) -> tuple[str, ...]:
    """One or several URLs of HTTP servers."""
    found = tuple(part.strip().rstrip("/") for part in text.split(","))
    for url in found:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError
        if parts.username is not None or parts.port == 0:
            raise ValueError
    return found


def between(kind: type, low: float, high: float) -> Callable[[str], Any]:
    """A number in a range."""

    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def absolute_path(text: str) -> Path:
    """A path that can be named in a command to HAProxy."""
    # HAProxy's command line splits at spaces and semicolons, so a path with one could never be named to it.
    if not re.fullmatch(r"/[^\s;\\\"']*", text):
        raise ValueError
    return Path(text)


PATH_TEXT = "an absolute path without spaces, quotes or semicolons"


def setting(
    default: str | None = None,
    *,
    about: str,
    expected: str,
    read: Callable[[str], Any],
    raising: str = "",
    lowering: str = "",
    secret: bool = False,
) -> Any:
    """Declare a setting: `default` as the operator would write it, None = required, "" = none."""
    words = {"about": about, "expected": expected, "raising": raising, "lowering": lowering}
    return field(metadata={"default": default, "read": read, "secret": secret, **words}, repr=not secret)


def value_of(name: str, words: Mapping[str, Any], found: Mapping[str, str]) -> Any:
    """The value of one setting; `words` is what `setting` noted. Raises SettingsError."""
    text = found.get(name, "") or words["default"]
    if text is None:
        raise SettingsError(f"{name}: not set, expected {words['expected']}")
    if text == "":
        return None
    try:
        return words["read"](text)
    except ValueError:
        shown = "a value that is not shown" if words["secret"] else repr(text)
        raise SettingsError(f"{name}: found {shown}, expected {words['expected']}") from None


def read_env_file(path: Path, names: list[str]) -> dict[str, str]:
    """The `NAME=value` lines of a file; a name that is not among `names` is an error. Raises SettingsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"env file {path}: cannot be read: {problem}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not equals:
            raise SettingsError(f"env file {path}: line {number} is not NAME=value")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else "see --help for the settings there are"
            raise SettingsError(f"{name}: found in {path}, but there is no such setting; {hint}")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found
