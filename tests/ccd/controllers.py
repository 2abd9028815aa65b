"""The controllers that a camera can have: how each is simulated, what it is configured with, what it can do.

`MAKES` is the table of `test_ccd_controllers`: a new make of controller is one entry more. Detectors are small and not
square; each amplifier sees another part of the picture.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from devices.ccd.alpaca_controller import AlpacaController
from devices.ccd.arc_controller import ArcController
from devices.ccd.archon_controller import ArchonController
from devices.ccd.controller import CcdController
from devices.ccd.magellan_controller import MagellanController
from devices.simulators.alpaca import AlpacaSimulator
from devices.simulators.arc import ArcSimulator
from devices.simulators.archon import ArchonSimulator
from devices.simulators.magellan import MagellanSimulator
from tests.ccd.camera import Camera, camera

Options = Mapping[str, Any]


class Simulator(Protocol):
    """The other end of a controller's link."""

    @property
    def port(self) -> int: ...

    async def start(self, port: int = 0) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Make:
    """One make of controller.

    Attributes:
        simulator: makes one, not started, of options.
        device: the controller's device for a simulator that listens at a port.
        detector: the property of the exposure, JSON.
        options: of the simulator: the detector above, read out within some 20 ms.
        flat: options of an even light; flat_adu_s: what it is, adu/s in each pixel, within a quarter.
        stars: options of a picture that is nowhere like itself, with few neighbours of the same value.
        slow: options with which the read-out takes some seconds.
        controlr: the keyword CONTROLR, in all headers.
        overscan: columns of each amplifier's file that saw no light, behind those that did.
        pauses, reads_early, windows: what it can do. bins: how it can add columns and rows.
    """

    name: str
    simulator: Callable[..., Simulator]
    device: Callable[[int], CcdController]
    detector: str
    options: Options
    flat: Options
    flat_adu_s: float
    stars: Options
    slow: Options
    controlr: str
    overscan: int = 0
    pauses: bool = True
    reads_early: bool = True
    windows: bool = True
    bins: tuple[int, int] = (2, 3)


@dataclass
class Bench:
    """A camera with one make of controller, and its simulator."""

    make: Make
    camera: Camera
    simulator: Simulator
    options: Options
    _port: int = 0

    async def expose(self, seconds: float, image_type: str, **arguments: Any) -> tuple[dict[str, Any], Path]:
        """Take an image; its result and its file."""
        result = await self.camera.done("expose", seconds=seconds, image_type=image_type, **arguments)
        assert result["problems"] == []
        return result, Path(result["file"])

    async def kill(self) -> None:
        """The controller is gone, in the middle of whatever it does."""
        self._port = self.simulator.port
        await self.simulator.stop()

    async def revive(self) -> None:
        """Another one is there, which knows nothing of the one before."""
        self.simulator = self.make.simulator(**self.options)
        await self.simulator.start(self._port)


def with_camera(
    make: Make,
    folder: Path,
    test: Callable[[Bench], Awaitable[None]],
    options: Options | None = None,
    **properties: Any,
) -> None:
    """Run a test with a camera of this make."""

    async def work() -> None:
        async with bench(make, folder, options or {}, **properties) as found:
            await test(found)

    asyncio.run(work())


@asynccontextmanager
async def bench(make: Make, folder: Path, options: Options, **properties: Any) -> AsyncIterator[Bench]:
    """A camera, connected and not yet reset."""
    given = {**make.options, **options}
    simulator = make.simulator(**given)
    await simulator.start()
    found: Bench | None = None
    try:
        device = make.device(simulator.port)
        async with camera(folder / "data", controller=device, detector=make.detector, **properties) as running:
            found = Bench(make, running, simulator, given)
            yield found
    finally:
        await (found.simulator if found else simulator).stop()


def section(text: str) -> tuple[slice, slice]:
    """``[x1:x2,y1:y2]`` of FITS as (rows, columns) of an array; from the higher number down where it says so."""
    x1, x2, y1, y2 = (int(each) for each in re.findall(r"\d+", text))
    return _range(y1, y2), _range(x1, x2)


def on_the_detector(path: Path) -> NDArray[np.float64]:
    """The light-sensitive pixels of a MEF file where its DETSEC says; NaN where nothing was read; bias taken off.

    Returns:
        (row, column) of the focal plane, adu; of unbinned images.
    """
    with fits.open(path) as file:
        last = np.array([re.findall(r"\d+", each.header["DETSEC"]) for each in file[1:]], int).max(0)
        picture = np.full((max(last[2:]), max(last[:2])), np.nan)
        for each in file[1:]:
            pixels = each.data.astype(float)
            bias = np.median(pixels[section(each.header["BIASSEC"])]) if "BIASSEC" in each.header else 0.0
            picture[section(each.header["DETSEC"])] = pixels[section(each.header["DATASEC"])] - bias
    return picture


def light(path: Path) -> float:
    """Mean of all light-sensitive pixels of a MEF file above the overscan, adu."""
    return float(np.nanmean(on_the_detector(path)))


def displacement(image: NDArray[np.float64], reference: NDArray[np.float64], reach: int = 2) -> tuple[int, int]:
    """How many rows and columns the image lies beside the reference: where it is most like it."""
    found = {}
    inner = reference[reach:-reach, reach:-reach]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            moved = np.roll(image, (-dy, -dx), (0, 1))[reach:-reach, reach:-reach]
            is_known = np.isfinite(moved) & np.isfinite(inner)
            found[dy, dx] = float(np.corrcoef(moved[is_known], inner[is_known])[0, 1])
    best = max(found, key=lambda each: found[each])
    assert found[best] > 0.9, f"the images are not alike: {found[best]:.2f} at best"
    return best


def binned(picture: NDArray[np.float64], columns: int, rows: int) -> NDArray[np.float64]:
    """Sums of so many columns and rows."""
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    parts = picture[: height * rows, : width * columns].reshape(height, rows, width, columns)
    summed: NDArray[np.float64] = parts.sum((1, 3))
    return summed


def _range(first: int, last: int) -> slice:
    return slice(first - 1, last) if first <= last else slice(first - 1, last - 2 if last > 1 else None, -1)


# The makes ---------------------------------------------------------------------------------------------------------


def _archon(port: int) -> CcdController:
    return ArchonController(
        "ccd/1/controller",
        {
            "link": f"tcp://127.0.0.1:{port}",
            "configuration": str(Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"),
            "timeout": "1.0",
            "frame_timeout": "1.5",
            "power_timeout": "0.5",
        },
    )


def _arc(port: int) -> CcdController:
    programs = Path(__file__).parents[2] / "dbconfig" / "ccd"
    return ArcController(
        "ccd/1/controller",
        {
            "link": f"tcp://127.0.0.1:{port}",
            "utility_board": "gen3",
            "timing_file": str(programs / "arc-timing.lod"),
            "utility_file": str(programs / "arc-utility.lod"),
            "timeout": "1.0",
            "frame_timeout": "1.5",
            "power_timeout": "0.5",
        },
    )


def _magellan(port: int) -> CcdController:
    return MagellanController(
        "ccd/1/controller",
        {
            "link": f"tcp://127.0.0.1:{port}",
            "timing_file": str(Path(__file__).parents[2] / "dbconfig" / "ccd" / "magellan.s"),
            "timeout": "1.0",
            "frame_timeout": "1.5",
            "interface_seconds": "0.05",
            "upload_seconds": "0.0",
            "shutter_seconds": "0.0",
            "pauses": "true",
            "reads_early": "true",
        },
    )


def _alpaca(port: int) -> CcdController:
    return AlpacaController(
        "ccd/1/controller", {"link": f"http://127.0.0.1:{port}", "timeout": "1.0", "frame_timeout": "1.5"}
    )


ARCHON = Make(
    "Archon",
    ArchonSimulator,
    _archon,
    # Four taps around a detector of 120 x 80, which see light behind 16 columns of prescan.
    detector='{"format": [120, 16, 16, 8, 80, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}',
    options={"columns": 120, "rows": 80, "pixel_rate_hz": 1e6, "sweep_s": 0.0},
    flat={"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 1.5},
    flat_adu_s=10_000.0 / 1.5,
    stars={"scene": "stars", "stars_per_mpix": 10_000.0, "sky_e_s": 20.0},
    slow={"pixel_rate_hz": 1e3},
    controlr="Archon",
    overscan=8,
)

MAGELLAN = Make(
    "Magellan",
    MagellanSimulator,
    _magellan,
    # Two amplifiers side by side: 60 columns each behind a prescan of 16.
    detector='{"format": [120, 16, 16, 8, 80, 0, 0, 0, 0], "focalplane": [1, 1, 2, 1, [0, 1]]}',
    options={
        "columns": 120,
        "rows": 80,
        "amplifiers": 2,
        "pixel_rate_hz": 1e6,
        "sweep_s": 0.0,
        "dsp_reset_s": 0.02,
    },
    flat={"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 1.5},
    flat_adu_s=10_000.0 / 1.5,
    stars={"scene": "stars", "stars_per_mpix": 10_000.0, "sky_e_s": 20.0},
    slow={"pixel_rate_hz": 2e3},
    controlr="Magellan",
    overscan=8,
)

ARC = Make(
    "ARC",
    ArcSimulator,
    _arc,
    # Four amplifiers around a detector of 120 x 80, which see light behind 16 columns of prescan.
    detector='{"format": [120, 16, 16, 8, 80, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}',
    options={"columns": 120, "rows": 80, "pixel_rate_hz": 1e6, "sweep_s": 0.0},
    flat={"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 1.5},
    flat_adu_s=10_000.0 / 1.5,
    stars={"scene": "stars", "stars_per_mpix": 10_000.0, "sky_e_s": 20.0},
    slow={"pixel_rate_hz": 1e3},
    controlr="ARC gen3",
    overscan=8,
)

ALPACA = Make(
    "Alpaca",
    AlpacaSimulator,
    _alpaca,
    # One picture, read from the right: a camera that shows itself as a mirror does.
    detector='{"format": [120, 0, 0, 0, 80, 0, 0, 0, 0], "focalplane": [1, 1, 1, 1, [1]]}',
    options={
        "columns": 120,
        "rows": 80,
        "pixel_rate_hz": 1e7,
        "shortest_s": 0.0,
        "most_binning": 40,
        "bias_adu": 0.0,
        "dark_e_s": 0.0,
    },
    flat={"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 1.5},
    flat_adu_s=10_000.0 / 1.5,
    stars={"scene": "stars", "stars_per_mpix": 10_000.0, "sky_e_s": 20.0},
    slow={"pixel_rate_hz": 4e3},
    controlr="Alpaca",
    pauses=False,
)

MAKES = [ARCHON, MAGELLAN, ARC, ALPACA]
