"""docs/cli.md knows every command and option, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from wsmesh.cli.errors import Code
from wsmesh.cli.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
GENERAL = {"--help", "-h", "-y", "--version", "--install-completion", "--show-completion"}


def commands(group: Any, path: str) -> list[tuple[str, Any]]:
    """Every command below a group, with its whole name."""
    found = [(path, group)]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, f"{path} {name}")
    return found


EVERY = commands(typer.main.get_command(app), "wsmesh")


def test_there_are_commands() -> None:
    """The test sees the commands that there are."""
    assert {"wsmesh nodes drain", "wsmesh publish", "wsmesh audit"} <= {name for name, _ in EVERY}


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_command_is_documented(name: str, command: Any) -> None:
    """The page names the command, each of its options, and each variable that it reads."""
    assert f"`{name}" in PAGE
    for parameter in command.params:
        options = {option for option in (*parameter.opts, *parameter.secondary_opts) if option.startswith("-")}
        for option in options - GENERAL:
            assert f"`{option}" in PAGE, option
        if parameter.envvar:
            assert f"`{parameter.envvar}`" in PAGE


@pytest.mark.parametrize("code", Code)
def test_every_exit_code_is_documented(code: Code) -> None:
    """The page explains each exit code."""
    assert f"\n| {code.value} | " in PAGE
