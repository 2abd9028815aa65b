"""The correlator image server: sub-band images of all nodes, assembled, searched for transients, and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devices.correlator.device import CorrelatorServer

__all__ = ["CorrelatorServer"]


def __getattr__(name: str) -> Any:
    """The device is imported by who serves it: its search process needs no more than the search."""
    if name == "CorrelatorServer":
        from devices.correlator.device import CorrelatorServer

        return CorrelatorServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
