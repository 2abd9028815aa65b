"""A module of operations, as a beamline would write it."""

from __future__ import annotations

from collections.abc import Iterator


def deice(seconds: float, power: float = 1.0) -> Iterator[str]:
    """Melt ice."""
    yield "heating"
    yield f"{seconds * power:g} J"
