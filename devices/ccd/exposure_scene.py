"""What an exposure needs of its surroundings."""

from __future__ import annotations

from abc import ABC, abstractmethod

from devices.ccd.controller_link import ControllerLink
from devices.ccd.exposure_state import ExposureState
from devices.ccd.plan import Exposure


class Scene(ABC):
    """What surrounds the controller during an exposure: lamps, shutters, headers, and who looks on."""

    @abstractmethod
    def link(self) -> ControllerLink:
        """The controller; raises NotConnectedError when there is none now."""

    @abstractmethod
    def link_lost(self, error: ConnectionError) -> None:
        """The controller cannot be reached any more."""

    @abstractmethod
    async def prepare(self, exposure: Exposure) -> None:
        """Before the detector is cleared: controller reset when that is due, lamps, tools, headers."""

    @abstractmethod
    async def open_shutter(self, exposure: Exposure, is_open: bool) -> None:
        """Move a shutter that is not the controller's."""

    @abstractmethod
    async def lamps_off(self, exposure: Exposure) -> None:
        """After the last integration."""

    @abstractmethod
    async def image_came(self, exposure: Exposure) -> None:
        """Take the image that has just been read; from now on it is not lost."""

    @abstractmethod
    async def write(self, exposure: Exposure) -> None:
        """Write it, show it, count it."""

    @abstractmethod
    async def keep(self, exposure: Exposure) -> None:
        """The exposure ends here, with an image that was not written."""

    @abstractmethod
    async def over(self, exposure: Exposure, is_complete: bool) -> None:
        """The exposure has ended, well or not."""

    @abstractmethod
    def show_state(self, state: ExposureState) -> None:
        """The camera is in another state."""

    @abstractmethod
    def show_remaining(self, exposure: Exposure, seconds: float) -> None:
        """So much is left of the integration."""

    @abstractmethod
    def show_pixels(self, exposure: Exposure, pixels: int) -> None:
        """So many pixels are still to come."""
