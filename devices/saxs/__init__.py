"""The SAXS detector."""

from devices.saxs.device import SaxsDetector

__all__ = ["SaxsDetector"]
