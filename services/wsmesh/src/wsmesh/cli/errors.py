"""How a command ends when it does not succeed."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    NOT_SO = 1
    """`status`: something is not healthy; `listen`: `--timeout` passed first; an asked question was answered no."""
    USAGE = 2
    """A wrong argument, or a setting that is missing or wrong."""
    REFUSED = 3
    """The cluster or the registry answered, and said no."""
    UNREACHABLE = 4
    """Nobody answered, or whoever did cannot be trusted."""
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command with one line on stderr: what was wrong and what to do."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
