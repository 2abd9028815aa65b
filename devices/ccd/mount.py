"""What a telescope device asks of a mount, whoever made it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from devices.core.errors import NotAllowedError
from devices.pipelines.ccd.sky_place import offset_from


@dataclass(frozen=True)
class Pointing:
    """Where a mount points now.

    Attributes:
        right_ascension_h, declination_deg: J2000.
        is_slewing: it is on the way to somewhere else.
    """

    right_ascension_h: float
    declination_deg: float
    is_slewing: bool
    is_tracking: bool


class Mount(ABC):
    """A mount; each make has its own. Whatever one has not is refused with NotAllowedError."""

    has_focus = False
    has_park = False

    @abstractmethod
    async def connect(self) -> str:
        """Open the link; who answers."""

    @abstractmethod
    async def close(self) -> None:
        """Close the link; it may be closed already."""

    @abstractmethod
    async def pointing(self) -> Pointing:
        """Ask where it points."""

    @abstractmethod
    async def slew(self, hours: float, degrees: float) -> None:
        """Begin to go to a place, J2000, and follow it."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop a slew."""

    async def offset(self, aim: tuple[float, float], east_arcsec: float, north_arcsec: float) -> None:
        """Begin to go by so much on the sky from where it aims, h and deg."""
        await self.slew(*offset_from(*aim, east_arcsec, north_arcsec))

    async def track(self, on: bool) -> None:
        """Follow the sky, or stand still."""
        raise NotAllowedError("this mount cannot be told whether it tracks")

    async def park(self) -> None:
        """Begin to go to its place of rest, where it does not track."""
        raise NotAllowedError("this mount has no place of rest")

    async def focus(self) -> float:
        """Ask for the position of the focus."""
        raise NotAllowedError("this mount has no focus")

    async def move_focus(self, position: float) -> None:
        """Begin to move the focus; it may be there already when this returns."""
        raise NotAllowedError("this mount has no focus")

    async def is_focusing(self) -> bool:
        """Ask whether the focus moves."""
        return False
