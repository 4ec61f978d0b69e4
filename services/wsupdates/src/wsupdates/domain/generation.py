"""The number that grows with every change of membership or configuration."""

from __future__ import annotations


def after(generation: int, now: float) -> int:
    """The generation after this one.

    It is at least the Unix time in seconds, so that a registry that was restored from an old backup still hands out
    newer numbers than all it handed out before, as long as changes come slower than one a second on average.
    """
    return max(generation + 1, int(now))
