"""Run a command's coroutine, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp
import typer

from wsmesh.answers import why_none
from wsmesh.cli.errors import CliError, Code
from wsmesh.cli.output import say
from wsmesh.cli.target import Target
from wsmesh.client import PublishRefused, Stopped, Unreachable
from wsmesh.registry_client import RegistryRefused, RegistryUnreachable

T = TypeVar("T")


def target_of(ctx: typer.Context) -> Target:
    """What the global options chose."""
    target = ctx.find_object(Target)
    assert target is not None
    return target


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. Ends the command with the right exit code when it fails."""
    try:
        return asyncio.run(_interruptible(work))
    except CliError as problem:
        code, text = problem.code, str(problem)
    except RegistryRefused as problem:
        code, text = Code.REFUSED, f"{problem} ({problem.error.code})"
    except PublishRefused as problem:
        code, text = Code.REFUSED, f"{problem} ({problem.code})"
    except Stopped as problem:
        code, text = Code.REFUSED, f"the cluster closed the connection for good: {problem}"
    except (RegistryUnreachable, Unreachable) as problem:
        code, text = Code.UNREACHABLE, str(problem)
    except (aiohttp.ClientError, TimeoutError) as problem:
        code, text = Code.UNREACHABLE, f"the cluster gives no answer: {why_none(problem)}"
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(Code.INTERRUPTED) from None
    say(f"wsmesh: {text}")
    raise typer.Exit(code)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Let Ctrl-C cancel the work.

    What asyncio itself does about Ctrl-C does not wake a loop that is just about to wait: the signal is noticed only
    when something else happens. A handler of the loop's own wakes it.
    """
    task = asyncio.current_task()
    if task is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    return await work


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone. Ends the command when the answer is no."""
    if not yes and not typer.confirm(question, err=True):
        say("wsmesh: nothing was changed")
        raise typer.Exit(Code.NOT_SO)
