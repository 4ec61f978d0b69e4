"""Settings of haproxy-sync, in the style of the services' settings, without libraries."""

# ruff: noqa: RUF009 (setting makes a dataclass field)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from haproxysync.reading import (
    PATH_TEXT,
    absolute_path,
    between,
    matching,
    read_env_file,
    setting,
    urls,
    value_of,
)


@dataclass(frozen=True)
class Settings:
    """Everything haproxy-sync is told. A field `slots` is read from `SLOTS`."""

    ws_updates_url: tuple[str, ...] = setting(
        about="URL of the registry, or several separated by a comma, tried in turn.",
        expected="a URL like https://registry.example:8000",
        read=urls,
    )
    ws_updates_key: str = setting(
        about="API key of role balancer, made by `wsupdates keys create --role balancer`.",
        expected="a key of at least 24 characters made by `wsupdates keys create --role balancer`",
        read=matching(r"[\x21-\x7e]{24,}"),
        secret=True,
    )
    ws_updates_ca: Path | None = setting(
        "",
        about="Authority of the registry's certificate (PEM); none: the system's.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    location: str = setting(
        "default",
        about="Site or network of this HAProxy; nodes of another one serve only when none of this one can.",
        expected="1 to 64 letters, digits, dots, dashes or underscores",
        read=matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    )
    haproxy_base: Path = setting(
        "/etc/haproxy/haproxy.cfg.base",
        about="Configuration with the lines `# wsmesh-slots nodes_own` and `# wsmesh-slots nodes_other`; only read.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    haproxy_config: Path = setting(
        "/etc/haproxy/haproxy.cfg",
        about="Configuration that HAProxy starts with; written from the base and the slots.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    haproxy_socket: Path = setting(
        "/run/haproxy/admin.sock",
        about="HAProxy's stats socket, `level admin`.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    haproxy_binary: str = setting(
        "haproxy",
        about="Program that checks the configuration before it is put in place.",
        expected="a program's name or path",
        read=matching(r"\S+"),
    )
    draining_file: Path = setting(
        "/etc/haproxy/draining.lst",
        about="Cookies of draining nodes, as the base names it in `ignore-persist`; written by haproxy-sync.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    state_file: Path = setting(
        "/var/lib/haproxy-sync/state.json",
        about="The last good state and the counters of the metrics.",
        expected=PATH_TEXT,
        read=absolute_path,
    )
    metrics_file: Path | None = setting(
        "",
        about="File for node_exporter's textfile collector, ending in `.prom`; none: no metrics.",
        expected=f"{PATH_TEXT}, ending in .prom",
        read=lambda text: absolute_path(matching(r".+\.prom")(text)),
    )
    lock_file: Path = setting(
        "/run/haproxy-sync.lock", about="Held while a run changes something.", expected=PATH_TEXT, read=absolute_path
    )
    slots: int = setting(
        "64",
        about="Slots in each backend; at least as many as the site will ever have nodes.",
        expected="a whole number from 1 to 4096",
        read=between(int, 1, 4096),
        raising="one reload of HAProxy, some kilobytes and one configuration line more for each slot and backend.",
        lowering="a node whose slot lies beyond it makes every answer of the registry invalid.",
    )
    max_removal: float = setting(
        "0.5",
        about="Greatest share of the nodes that may disappear at once; a single node always may.",
        expected="a number from 0 to 1",
        read=between(float, 0, 1),
        raising="a registry that forgot most nodes is believed, and their clients are cut.",
        lowering="more often a person must confirm with --force that several nodes have really gone.",
    )
    poll_seconds: float = setting(
        "20",
        about="How long one request of --watch waits at the registry for a change.",
        expected="a number from 1 to 300",
        read=between(float, 1, 300),
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
        found = {} if env_file is None else read_env_file(env_file, cls.names())
        found.update({name: value for name, value in environ.items() if name in cls.names()})
        values = {item.name: value_of(item.name.upper(), item.metadata, found) for item in fields(cls)}
        return cls(**values)

    def effective(self) -> list[tuple[str, str]]:
        """Every setting as it is in force, `(NAME, value)`, secrets masked."""
        rows = []
        for item in fields(self):
            value = getattr(self, item.name)
            text = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
            rows.append((item.name.upper(), "********" if item.metadata["secret"] else text))
        return rows


def explain() -> str:
    """The settings as lines of text for `--help`."""
    lines = []
    for item in fields(Settings):
        default = item.metadata["default"]
        shown = "required" if default is None else f"default {default or 'none'}"
        lines.append(f"  {item.name.upper()} ({shown})\n      {item.metadata['about']}")
    return "\n".join(lines)
