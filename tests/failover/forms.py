"""How large a run is: `FAILOVER=quick` for continuous integration, else the full form."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build" / "failover"


@dataclass(frozen=True)
class Form:
    """Sizes; seconds."""

    name: str
    clients: int
    rate: float
    """Messages a second, all publishers together."""
    rolling_clients: int
    rolling_rate: float
    publishers: int
    workers: int
    """Processes with clients."""
    steady: float
    """How long a scenario goes on before the fault, and again when all is well."""
    hold: float
    """How long a fault lasts at least, where it lasts."""
    drain: float
    """DRAIN_SECONDS of the nodes."""

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return BUILD / self.name


FORMS = {
    "full": Form("full", 400, 100, 1000, 200, publishers=20, workers=2, steady=6, hold=8, drain=10),
    "quick": Form("quick", 100, 40, 100, 40, publishers=10, workers=1, steady=2, hold=3, drain=3),
}


def chosen() -> Form:
    """The form that the environment asks for."""
    return FORMS[os.environ.get("FAILOVER") or "full"]
