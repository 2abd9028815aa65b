"""The DAQ node of PANOSETI modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devices.daq.device import DaqNode

__all__ = ["DaqNode"]


def __getattr__(name: str) -> Any:
    """The device is imported by who serves it: clients of its frames need no more than the frames."""
    if name == "DaqNode":
        from devices.daq.device import DaqNode

        return DaqNode
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
