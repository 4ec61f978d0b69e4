"""The next version of the mesh protocol, as far as this one can know: it says more than is understood here."""

from __future__ import annotations

from typing import Any

import msgspec

from wsnode.domain.wire import Goodbye, Hello, Pull, Push


class Novelty(msgspec.Struct, frozen=True, tag="novelty"):
    """A payload that only the next version knows."""

    text: str = "?"


class _Hello(Hello, frozen=True):
    """A hello with more in it."""

    region: str = "?"


class _Push(Push, frozen=True):
    """A push with more in it."""

    pressure: float = 0.5


_NEXT: dict[type, type] = {Hello: _Hello, Push: _Push}


def of_next_version(body: Hello | Push | Pull | Goodbye) -> Any:
    """A request as the next version words it."""
    shape = _NEXT.get(type(body))
    if shape is None:
        return body
    return shape(**{name: getattr(body, name) for name in body.__struct_fields__})
