"""What a camera behind Alpaca says of itself once: its size, what it can, which sensors it has."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from devices.ccd.controller_link import Capabilities
from devices.core.errors import InvalidReadingError, NotAllowedError, RefusedError
from devices.drivers.alpaca import AlpacaDevice

T = TypeVar("T")


@dataclass(frozen=True)
class AlpacaFacts:
    """Of a camera that is connected.

    Attributes:
        columns, rows: unbinned pixels of all that it can read.
        most_binning: along columns, along rows. bins_unequally: they may differ.
        shortest, longest: exposures, s.
        electrons_per_adu: at the gain that it had; None: it does not say.
        temperatures: members that are its temperatures, by our names.
        readout_modes: names; empty: there is nothing to choose.
        has_gain, has_offset: as numbers that can be set.
    """

    name: str
    driver: str
    version: str
    sensor: str
    columns: int
    rows: int
    pixel_um: tuple[float, float]
    most_binning: tuple[int, int]
    bins_unequally: bool
    shortest: float
    longest: float
    aborts: bool
    stops: bool
    has_shutter: bool
    sets_temperature: bool
    tells_cooler_power: bool
    electrons_per_adu: float | None
    temperatures: dict[str, str]
    readout_modes: tuple[str, ...]
    has_gain: bool
    has_offset: bool

    def capabilities(self) -> Capabilities:
        """What an exposure may ask for; the shutter moves with exposures alone."""
        return Capabilities(
            pauses=False,
            reads_early=self.stops,
            moves_parallel=False,
            flushes=False,
            has_shutter=False,
            windows=True,
            most_binning=max(self.most_binning),
        )


async def optional(work: Awaitable[T]) -> T | None:
    """A value, or None where this camera has none: refusals are how it says so."""
    try:
        return await work
    except (NotAllowedError, InvalidReadingError, RefusedError):
        return None


async def read_facts(camera: AlpacaDevice) -> AlpacaFacts:
    """Ask a connected camera; errors as those of `AlpacaDevice`."""
    temperatures = {"CCD": "ccdtemperature", "HEATSINK": "heatsinktemperature"}
    modes = await optional(camera.values("readoutmodes")) or []
    return AlpacaFacts(
        name=await camera.text("name"),
        driver=await optional(camera.text("driverinfo")) or "",
        version=await optional(camera.text("driverversion")) or "",
        sensor=await optional(camera.text("sensorname")) or "",
        columns=await camera.whole("cameraxsize"),
        rows=await camera.whole("cameraysize"),
        pixel_um=(await camera.number("pixelsizex"), await camera.number("pixelsizey")),
        most_binning=(await camera.whole("maxbinx"), await camera.whole("maxbiny")),
        bins_unequally=await camera.flag("canasymmetricbin"),
        shortest=await optional(camera.number("exposuremin")) or 0.0,
        longest=await optional(camera.number("exposuremax")) or 86_400.0,
        aborts=await camera.flag("canabortexposure"),
        stops=await camera.flag("canstopexposure"),
        has_shutter=await camera.flag("hasshutter"),
        sets_temperature=await camera.flag("cansetccdtemperature"),
        tells_cooler_power=await camera.flag("cangetcoolerpower"),
        electrons_per_adu=await optional(camera.number("electronsperadu")),
        temperatures={
            name: member for name, member in temperatures.items() if await optional(camera.number(member)) is not None
        },
        readout_modes=tuple(str(each) for each in modes),
        has_gain=await optional(camera.whole("gain")) is not None,
        has_offset=await optional(camera.whole("offset")) is not None,
    )
