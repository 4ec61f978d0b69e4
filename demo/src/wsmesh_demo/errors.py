"""What can go wrong with a cluster, as one text for the person who started it."""

from __future__ import annotations


class DemoError(Exception):
    """The cluster cannot do what was asked; the text says why and what to do."""
