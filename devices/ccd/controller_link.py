"""What an exposure asks of a CCD controller, whichever make it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import NotAllowedError
from devices.pipelines.ccd.detector import Geometry

#: Called while an image comes, with the pixels that are still to come.
PixelsLeft = Callable[[int], None]


class Layout(Enum):
    """How the pixels of a controller's image lie; `devices.pipelines.ccd.deinterlace` brings them to amplifiers."""

    INTERLEAVED = "pixel 0 of each amplifier, pixel 1 of each amplifier, ... in reading order (ARC, Magellan)"
    TAPS = "rows with the amplifiers side by side, in reading order (Archon)"
    ASSEMBLED = "one picture as it is shown, flips done (Alpaca)"


@dataclass(frozen=True)
class RawImage:
    """An image as the controller gave it.

    Attributes:
        pixels: uint16 or uint32 (or int32), of any shape; read-only for others than who made it.
        layout: how they lie.
        order: of the amplifiers in the stream: the n-th is amplifier order[n]; empty: as they are.
        seconds: integration time that the controller measured; None: it does not.
    """

    pixels: NDArray[np.uint16] | NDArray[np.uint32]
    layout: Layout
    order: tuple[int, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a make of controller can do; the exposure refuses the rest before anything moves."""

    pauses: bool = True
    reads_early: bool = True
    moves_parallel: bool = True
    flushes: bool = True
    has_shutter: bool = True
    windows: bool = True
    delays_rows: bool = False
    most_binning: int = 64


@dataclass(frozen=True)
class Temperature:
    """A sensor or heater of the controller, Celsius; NaN: it has no value now."""

    name: str
    celsius: float


class ControllerLink(ABC):
    """A CCD controller. All methods belong to one loop; each ends in a stated time or raises.

    Errors are those of `devices.core.errors`: NotConnectedError (gone), TimeoutError, ProtocolError, RefusedError (what
    the controller itself refused, with its words), RangeError.
    """

    capabilities: Capabilities = Capabilities()

    @abstractmethod
    async def connect(self) -> str:
        """Open the link and find out who answers; returns maker, model, firmware. The hardware is left as it is."""

    @abstractmethod
    async def close(self) -> None:
        """Close the link, also one that failed; the hardware is left as it is."""

    @abstractmethod
    async def reset(self) -> None:
        """Bring the controller to its idle state: download what it needs, power on, shutter shut, idling."""

    @abstractmethod
    async def set_geometry(self, geometry: Geometry) -> None:
        """What the images from now on are."""

    @abstractmethod
    async def flush(self, cycles: int) -> None:
        """Clear the detector."""

    @abstractmethod
    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        """Begin to integrate; returns at once. The controller (or this link) ends it when the time is over."""

    @abstractmethod
    async def remaining(self) -> float:
        """Of the integration, s; 0.0 when it is over."""

    @abstractmethod
    async def pause(self) -> None:
        """Shut the shutter and stop the clock of the integration."""

    @abstractmethod
    async def resume(self) -> None:
        """Go on after `pause`."""

    @abstractmethod
    async def end_exposure(self) -> None:
        """End the integration now, to be read out; the shutter shuts."""

    @abstractmethod
    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        """Read the detector out (where the controller did not begin by itself) and take the whole image.

        Cancelling it ends the read-out (`abort` follows).
        """

    @abstractmethod
    async def abort(self) -> None:
        """End whatever is going on, integration or read-out; shutter shut, idling. Never raises BusyError."""

    @abstractmethod
    async def set_shutter(self, is_open: bool) -> None:
        """Move the shutter outside an exposure."""

    @abstractmethod
    async def shift_rows(self, rows: int) -> None:
        """Move the charge along the parallel register; negative: backwards."""

    async def set_row_delay(self, seconds: float) -> None:
        """Wait so long before each row of the read-outs from now on: how fast a time-delayed integration scans."""
        raise NotAllowedError(f"this controller delays no rows ({seconds:g} s was asked for)")

    @abstractmethod
    async def temperatures(self) -> list[Temperature]:
        """Of sensors and heaters; may be the last ones while an exposure runs."""

    async def set_temperature(self, celsius: float | None) -> None:
        """The detector's set point; None: control off."""
        raise NotAllowedError(f"this controller controls no temperature ({celsius} C was asked for)")

    async def set_calibrations(self, curves: Sequence[int]) -> None:
        """Curves of the temperature sensors: 0 DT670, 1 AD590, 2 1N4148, 3 1N914."""
        raise NotAllowedError(f"this controller's own configuration says what its sensors are, not {list(curves)}")

    async def telemetry(self) -> Mapping[str, float]:
        """Voltages, currents and so on: name with its unit at the end (``P5V_V``) -> value."""
        return {}

    def keywords(self) -> Mapping[str, tuple[str | int | float | bool, str]]:
        """Of FITS headers: keyword -> value, comment."""
        return {}
