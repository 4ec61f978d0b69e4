"""Whether a node is cut off from all others, and for so long that its clients are better off elsewhere."""

from __future__ import annotations

from typing import Literal

Standing = Literal["together", "isolated", "moving"]
"""together: it reaches somebody, or has nobody to reach; isolated: neither a peer nor the registry; moving: for longer
than the grace, so that its clients are moved on."""


def cut_off(*, peers_expected: int, peers_up: int, registry_reachable: bool) -> bool:
    """Whether a node that should have peers reaches none of them, nor the registry."""
    return bool(peers_expected) and not peers_up and not registry_reachable


class Isolation:
    """Remembers since when a node is cut off; `grace` is in seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: float | None = None
        self.standing: Standing = "together"

    def look(self, now: float, *, peers_expected: int, peers_up: int, registry_reachable: bool) -> Standing:
        """Take what the node reaches at `now`, seconds of a steady clock."""
        if not cut_off(peers_expected=peers_expected, peers_up=peers_up, registry_reachable=registry_reachable):
            self._since, self.standing = None, "together"
            return self.standing
        if self._since is None:
            self._since = now
        self.standing = "moving" if now - self._since >= self._grace else "isolated"
        return self.standing
