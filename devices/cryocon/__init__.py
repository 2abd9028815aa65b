"""The Cryo-con temperature controllers 22C, 24C, 24 and the monitor 18i."""

from devices.cryocon.device import CryoCon

__all__ = ["CryoCon"]
