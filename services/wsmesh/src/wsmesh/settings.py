"""Settings of a service: declared once, read from the environment or an env file, explained by themselves."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import PydanticUndefined

from wsmesh import credentials

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json", "journald"]


class SettingsError(Exception):
    """A setting is wrong or missing. The text is one line: its name, what was found, what is expected."""


def setting(
    default: Any = PydanticUndefined,
    *,
    about: str,
    raising: str = "",
    lowering: str = "",
    expected: str = "",
    **bounds: Any,
) -> Any:
    """Declare a setting.

    `about` says what it is; `raising` and `lowering` what a change in either direction costs (numbers need both);
    `expected` is the end of the error line "NAME: found X, expected …"; `bounds` are pydantic's (`ge`, `le`, …).
    """
    extra: dict[str, Any] = {"raising": raising, "lowering": lowering, "expected": expected}
    return Field(default, description=about, json_schema_extra=extra, **bounds)


def port_setting(default: int, *, about: str, raising: str) -> Any:
    """Declare the port of a listener; `raising` says who must learn of another one."""
    return setting(
        default,
        about=about,
        expected="a port from 1 to 65535",
        raising=raising,
        lowering="nothing but another port; below 1024 the service needs a capability that the unit does not grant.",
        ge=1,
        le=65535,
    )


def log_level_setting() -> Any:
    """Declare LOG_LEVEL, a `LogLevel`."""
    return setting("info", about="Least severe log entries that are written.", expected="debug, info, warning or error")


def log_format_setting() -> Any:
    """Declare LOG_FORMAT, a `LogFormat`."""
    return setting(
        "auto",
        about="Form of the log: `auto` is journald's fields under systemd, readable lines elsewhere.",
        expected="auto, console, json or journald",
    )


def words(value: Any) -> Any:
    """Validator of a tuple that is written with commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


class Settings(BaseModel):
    """Base of each service's settings. A field `node_id` is read from `NODE_ID`."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=False)

    @classmethod
    def load(cls, environ: Mapping[str, str], env_file: Path | None = None) -> Self:
        """Read the settings; the environment wins over the file, both over credentials. Raises SettingsError."""
        found = {name: value for name, value in environ.items() if name in cls.accepted()}
        if env_file is not None:
            found = cls._read_file(env_file) | found
        found = {name: value for name, value in found.items() if value != ""}
        try:
            found |= credentials.read(cls.secrets(), found, environ)
        except credentials.Unreadable as problem:
            raise SettingsError(str(problem)) from None
        try:
            return cls.model_validate({name.lower(): value for name, value in found.items()})
        except ValidationError as problem:
            raise SettingsError(cls._line(problem, found)) from None

    @classmethod
    def names(cls) -> list[str]:
        """The environment names of all settings, in order of declaration."""
        return [field.upper() for field in cls.model_fields]

    @classmethod
    def secrets(cls) -> list[str]:
        """The names of those that are secrets; each may come from a file, see wsmesh.credentials."""
        return [
            name.upper() for name, info in cls.model_fields.items() if info.annotation in (SecretStr, SecretStr | None)
        ]

    @classmethod
    def accepted(cls) -> list[str]:
        """All names that may be set: those of the settings, and of the files that hold secrets."""
        return cls.names() + [name + credentials.SUFFIX for name in cls.secrets()]

    @classmethod
    def _read_file(cls, path: Path) -> dict[str, str]:
        try:
            lines = list(parse_stream(io.StringIO(path.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            raise SettingsError(f"env file {path}: no such file; name an existing one with --env-file") from None
        except (OSError, UnicodeDecodeError) as problem:
            raise SettingsError(f"env file {path}: cannot be read: {problem}") from None
        for line in lines:
            if line.error or (line.key is not None and line.value is None):
                raise SettingsError(f"env file {path}: line {line.original.line} is not NAME=value")
        text = {line.key: line.value for line in lines if line.key is not None and line.value is not None}
        for name in text:
            if name not in cls.accepted():
                near = difflib.get_close_matches(name, cls.accepted(), n=1)
                hint = f"did you mean {near[0]}?" if near else "see --help for the settings there are"
                raise SettingsError(f"{name}: found in {path}, but there is no such setting; {hint}")
        return text

    @classmethod
    def _line(cls, problem: ValidationError, found: Mapping[str, str]) -> str:
        error = problem.errors(include_url=False)[0]
        if not error["loc"]:
            return str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
        field = str(error["loc"][0])
        info = cls.model_fields[field]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        expected = str(extra.get("expected") or "") or error["msg"].removeprefix("Input should be ")
        expected = expected.removeprefix("Value error, ")
        name = field.upper()
        if name not in found:
            return f"{name}: not set, expected {expected}"
        shown = "a value that is not shown" if info.annotation in (SecretStr, SecretStr | None) else repr(found[name])
        return f"{name}: found {shown}, expected {expected}"

    def effective(self) -> list[tuple[str, str]]:
        """Every setting as it is in force, `(NAME, value)`, secrets masked."""
        rows = []
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, SecretStr):
                text = "********"
            elif value is None:
                text = ""
            elif isinstance(value, tuple):
                text = ",".join(map(str, value))
            else:
                text = str(value)
            rows.append((field.upper(), text))
        return rows


def explain(cls: type[Settings]) -> str:
    """The settings as lines of text for `--help`."""
    lines = []
    for field, info in cls.model_fields.items():
        needed = info.is_required()
        default = "required" if needed else f"default {default_text(info.default)}"
        lines.append(f"  {field.upper()} ({default})\n      {info.description}")
    return "\n".join(lines)


def default_text(default: Any) -> str:
    """A default as the operator would write it."""
    if default is None or default == () or default == "":
        return "none"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default)
