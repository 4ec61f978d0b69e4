"""Settings of haproxy-sync, from the environment or an env file; the same style as the services, without libraries."""

# ruff: noqa: RUF009 (_setting makes a dataclass field)

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is wrong or missing. The text is one line: its name, what was found, what is expected."""


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return read


def _urls(text: str) -> tuple[str, ...]:
    urls = tuple(part.strip().rstrip("/") for part in text.split(","))
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError
        if parts.username is not None or parts.port == 0:
            raise ValueError
    return urls


def _between(kind: type, low: float, high: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _path(text: str) -> Path:
    # HAProxy's command line splits at spaces and semicolons, so a path with one could never be named to it.
    if not re.fullmatch(r"/[^\s;\\\"']*", text):
        raise ValueError
    return Path(text)


PATH = "an absolute path without spaces, quotes or semicolons"


def _setting(
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


@dataclass(frozen=True)
class Settings:
    """Everything haproxy-sync is told. A field `slots` is read from `SLOTS`."""

    ws_updates_url: tuple[str, ...] = _setting(
        about="URL of the registry, or several separated by a comma, tried in turn.",
        expected="a URL like https://registry.example:8000",
        read=_urls,
    )
    ws_updates_key: str = _setting(
        about="API key of role balancer, made by `wsupdates keys create --role balancer`.",
        expected="a key of at least 24 characters made by `wsupdates keys create --role balancer`",
        read=_matching(r"[\x21-\x7e]{24,}"),
        secret=True,
    )
    ws_updates_ca: Path | None = _setting(
        "", about="Authority of the registry's certificate (PEM); none: the system's.", expected=PATH, read=_path
    )
    location: str = _setting(
        "default",
        about="Site or network of this HAProxy; nodes of another one serve only when none of this one can.",
        expected="1 to 64 letters, digits, dots, dashes or underscores",
        read=_matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    )
    haproxy_base: Path = _setting(
        "/etc/haproxy/haproxy.cfg.base",
        about="Configuration with the lines `# wsmesh-slots nodes_own` and `# wsmesh-slots nodes_other`; only read.",
        expected=PATH,
        read=_path,
    )
    haproxy_config: Path = _setting(
        "/etc/haproxy/haproxy.cfg",
        about="Configuration that HAProxy starts with; written from the base and the slots.",
        expected=PATH,
        read=_path,
    )
    haproxy_socket: Path = _setting(
        "/run/haproxy/admin.sock", about="HAProxy's stats socket, `level admin`.", expected=PATH, read=_path
    )
    haproxy_binary: str = _setting(
        "haproxy",
        about="Program that checks the configuration before it is put in place.",
        expected="a program's name or path",
        read=_matching(r"\S+"),
    )
    draining_file: Path = _setting(
        "/etc/haproxy/draining.lst",
        about="Cookies of draining nodes, as the base names it in `ignore-persist`; written by haproxy-sync.",
        expected=PATH,
        read=_path,
    )
    state_file: Path = _setting(
        "/var/lib/haproxy-sync/state.json",
        about="The last good state and the counters of the metrics.",
        expected=PATH,
        read=_path,
    )
    metrics_file: Path | None = _setting(
        "",
        about="File for node_exporter's textfile collector, ending in `.prom`; none: no metrics.",
        expected=f"{PATH}, ending in .prom",
        read=lambda text: _path(_matching(r".+\.prom")(text)),
    )
    lock_file: Path = _setting(
        "/run/haproxy-sync.lock", about="Held while a run changes something.", expected=PATH, read=_path
    )
    slots: int = _setting(
        "64",
        about="Slots in each backend; at least as many as the site will ever have nodes.",
        expected="a whole number from 1 to 999",
        read=_between(int, 1, 999),
        raising="one reload of HAProxy, some kilobytes and one configuration line more for each slot and backend.",
        lowering="a node whose slot lies beyond it makes every answer of the registry invalid.",
    )
    max_removal: float = _setting(
        "0.5",
        about="Greatest share of the nodes that may disappear at once; a single node always may.",
        expected="a number from 0 to 1",
        read=_between(float, 0, 1),
        raising="a registry that forgot most nodes is believed, and their clients are cut.",
        lowering="more often a person must confirm with --force that several nodes have really gone.",
    )
    poll_seconds: float = _setting(
        "20",
        about="How long one request of --watch waits at the registry for a change.",
        expected="a number from 1 to 300",
        read=_between(float, 1, 300),
        raising="HAProxy's own drift, for example a hand-made `set server`, is put right later.",
        lowering="more requests; changes of the registry arrive at once either way.",
    )

    @classmethod
    def names(cls) -> list[str]:
        """The environment names of all settings, in order of declaration."""
        return [item.name.upper() for item in fields(cls)]

    @classmethod
    def load(cls, environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
        """Read the settings; the environment wins over the file. Raises SettingsError."""
        found = {} if env_file is None else _read_file(env_file, cls.names())
        found.update({name: value for name, value in environ.items() if name in cls.names()})
        values = {item.name: _value(item.name.upper(), item.metadata, found) for item in fields(cls)}
        return cls(**values)

    def effective(self) -> list[tuple[str, str]]:
        """Every setting as it is in force, `(NAME, value)`, secrets masked."""
        rows = []
        for item in fields(self):
            value = getattr(self, item.name)
            text = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
            rows.append((item.name.upper(), "********" if item.metadata["secret"] else text))
        return rows


def _value(name: str, words: Mapping[str, Any], found: Mapping[str, str]) -> Any:
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


def _read_file(path: Path, names: list[str]) -> dict[str, str]:
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


def explain() -> str:
    """The settings as lines of text for `--help`."""
    lines = []
    for item in fields(Settings):
        default = item.metadata["default"]
        shown = "required" if default is None else f"default {default or 'none'}"
        lines.append(f"  {item.name.upper()} ({shown})\n      {item.metadata['about']}")
    return "\n".join(lines)
