"""The SAXS detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devices.saxs.device import SaxsDetector

__all__ = ["SaxsDetector"]


def __getattr__(name: str) -> Any:
    """The device is imported by who serves it: clients of its results need not wait for scipy and numba."""
    if name == "SaxsDetector":
        from devices.saxs.device import SaxsDetector

        return SaxsDetector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
