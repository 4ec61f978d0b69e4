"""What a cluster is to be like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsmesh_demo.ports import Ports


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a cluster is to be like; its settings are added to those that make it a cluster."""

    folder: Path
    """For state, secrets and logs; made, and emptied, by the cluster."""
    ports: Ports
    nodes: int = 3
    locations: tuple[str, ...] = ("east", "west")
    """HAProxy is in the first one. The nodes at the start are spread over them, the first ones to the first."""
    registry_settings: Mapping[str, str] = field(default_factory=dict)
    node_settings: Mapping[str, str] = field(default_factory=dict)
    sync_settings: Mapping[str, str] = field(default_factory=dict)
    haproxy_variables: Mapping[str, Any] = field(default_factory=dict)
    """Variables for the template of the haproxy role."""
    say: Callable[[str], None] = lambda _: None
    """Told about each step."""
    start_seconds: float = 45.0
    """How long each part may take until it is ready."""

    def location_of(self, number: int) -> str:
        """Where node 1, 2, 3 … of those at the start is."""
        return self.locations[(number - 1) * len(self.locations) // self.nodes]
