"""A camera for tests: a controller in this process whose pixels say where they come from, and its tools."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from devices.ccd.controller import CcdController
from devices.ccd.controller_link import Capabilities, ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.ccd.display import CcdDisplay
from devices.ccd.exposure import CcdExposure
from devices.ccd.exposure_state import ExposureState
from devices.ccd.simulated_instrument import SimulatedInstrument
from devices.ccd.telescope import SimulatedTelescope
from devices.ccd.tempcon import CcdTempcon
from devices.core import Device
from devices.core.errors import NotConnectedError, RefusedError
from devices.core.memorized import Store
from devices.core.peers import Peers
from devices.pipelines.ccd.detector import Geometry
from tests.support.running import running, until

#: 2 x 2 amplifiers of 30 columns and 20 rows each, 4 columns of overscan: nothing is square.
DETECTOR = {"format": [60, 0, 0, 4, 40, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}


class TestLink(ControllerLink):
    """A controller whose pixels are 1000 * amplifier + row; what is asked of it stands in `asked`."""

    __test__ = False

    def __init__(self) -> None:
        self.capabilities = Capabilities()
        self.asked: list[str] = []
        #: What the next call of a method does instead: raise this.
        self.faults: dict[str, Exception] = {}
        #: Methods that do not return while their event is not set.
        self.holds: dict[str, asyncio.Event] = {}
        self.is_connected = False
        self.shutter = False
        self.geometry: Geometry | None = None
        self._seconds = self._ends = 0.0
        self._left: float | None = None

    async def _note(self, what: str, *words: object) -> None:
        self.asked.append(" ".join(map(str, (what, *words))))
        if what in self.holds:
            await self.holds[what].wait()
        if what in self.faults:
            raise self.faults.pop(what)
        if not self.is_connected:
            raise NotConnectedError("the test's controller is gone")

    async def connect(self) -> str:
        self.is_connected = True
        return "a controller of the tests, firmware 7"

    async def close(self) -> None:
        self.is_connected = False

    async def reset(self) -> None:
        await self._note("reset")

    async def set_geometry(self, geometry: Geometry) -> None:
        await self._note("set_geometry")
        self.geometry = geometry

    async def flush(self, cycles: int) -> None:
        await self._note("flush", cycles)

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        await self._note("start_exposure", seconds, opens_shutter)
        self._seconds, self._left = seconds, None
        self._ends = time.monotonic() + seconds
        self.shutter = opens_shutter

    async def remaining(self) -> float:
        await self._note("remaining") if "remaining" in {*self.holds, *self.faults} else None
        left = self._ends - time.monotonic() if self._left is None else self._left
        if left <= 0.0:
            self.shutter = False
        return max(0.0, left)

    async def pause(self) -> None:
        await self._note("pause")
        self._left = self._ends - time.monotonic()
        self.shutter = False

    async def resume(self) -> None:
        await self._note("resume")
        assert self._left is not None
        self._ends, self._left = time.monotonic() + self._left, None
        self.shutter = True

    async def end_exposure(self) -> None:
        await self._note("end_exposure")
        self.shutter = False

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        assert self.geometry is not None
        pixels_left(self.geometry.pixels)
        await self._note("read_image")
        amps, rows, columns = self.geometry.amp_shape
        pixels = np.empty((rows, amps, columns), np.uint16)
        pixels[:] = np.arange(rows)[:, None, None] + 1000 * np.arange(amps)[None, :, None]
        pixels_left(0)
        return RawImage(pixels, Layout.TAPS)

    async def abort(self) -> None:
        await self._note("abort")
        self.shutter = False

    async def set_shutter(self, is_open: bool) -> None:
        await self._note("set_shutter", is_open)
        self.shutter = is_open

    async def shift_rows(self, rows: int) -> None:
        await self._note("shift_rows", rows)

    async def set_calibrations(self, curves: Sequence[int]) -> None:
        await self._note("set_calibrations", list(curves))

    async def set_row_delay(self, seconds: float) -> None:
        await self._note("set_row_delay", seconds)

    async def temperatures(self) -> list[Temperature]:
        if not self.is_connected:
            raise NotConnectedError("the test's controller is gone")
        return [Temperature("ccd", -101.5), Temperature("dewar", -180.25)]

    async def set_temperature(self, celsius: float | None) -> None:
        await self._note("set_temperature", celsius)


class Controller(CcdController):
    """The controller device of the tests."""

    shown_telemetry = ("P5V_V",)

    def make_link(self) -> ControllerLink:
        return TestLink()


@dataclass
class Camera:
    """All devices of a camera, started."""

    exposure: CcdExposure
    controller: CcdController
    instrument: SimulatedInstrument
    telescope: SimulatedTelescope
    tempcon: CcdTempcon
    display: CcdDisplay
    folder: Path
    states: list[ExposureState] = field(default_factory=list)

    @property
    def link(self) -> TestLink:
        assert isinstance(self.controller.link, TestLink)
        return self.controller.link

    async def start(self, name: str, **arguments: Any) -> str:
        """Start an operation of the exposure; its id."""
        return str(await self.exposure.run(name, arguments))

    async def ended(self, identity: str, seconds: float = 20.0) -> dict[str, Any]:
        """What became of it."""
        await until(
            lambda: self.exposure.operations.status(identity)["state"] in ("DONE", "FAILED", "ABORTED"),
            f"the end of {identity}",
            seconds,
        )
        return self.exposure.operations.status(identity)

    async def run(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run an operation; what became of it."""
        return await self.ended(await self.start(name, **arguments))

    async def done(self, name: str, **arguments: Any) -> Any:
        """Run an operation that must go well; its result."""
        status = await self.run(name, **arguments)
        assert status["state"] == "DONE", status
        return status["result"]

    async def reaches(self, state: ExposureState) -> None:
        await until(lambda: self.exposure.exposure_state.value is state, state.value)

    async def abort(self) -> None:
        await self.exposure.run("abort", {"id": ""})


@asynccontextmanager
async def camera(
    folder: Path, controller: CcdController | None = None, store: Store | None = None, **properties: Any
) -> AsyncIterator[Camera]:
    """A camera that writes into a folder."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    exposure = CcdExposure(
        "ccd/1/exposure",
        {
            "controller": "ccd/1/controller",
            "instrument": "ccd/1/instrument",
            "telescope": "ccd/1/telescope",
            "tempcon": "ccd/1/tempcon",
            "display": "ccd/1/display",
            "detector": json.dumps(DETECTOR),
            "data_folder": str(folder),
            "spool_folder": str(folder.parent / "spool"),
            **properties,
        },
    )
    controller = controller or Controller("ccd/1/controller")
    instrument = SimulatedInstrument("ccd/1/instrument")
    # It points anywhere, at once.
    anywhere = {"lowest_altitude": -90.0, "slew_rate": 1e6, "acceleration": 1e9}
    telescope = SimulatedTelescope("ccd/1/telescope", anywhere)
    tempcon = CcdTempcon("ccd/1/tempcon", {"controller": "ccd/1/controller"})
    display = CcdDisplay("ccd/1/display")
    devices: list[Device] = [controller, instrument, telescope, tempcon, display, exposure]
    peers = Peers()
    for each in devices:
        each.peers = peers
        peers.add(each)
    found = Camera(exposure, controller, instrument, telescope, tempcon, display, folder)
    exposure.exposure_state.subscribe(lambda live, reading, event: found.states.append(reading.value))
    async with (
        running(controller), running(instrument), running(telescope), running(tempcon), running(display),
        running(exposure, store),
    ):  # fmt: skip
        await until(lambda: all(each.connected for each in devices), "all tools are connected", 30.0)
        await until(lambda: exposure.state.name in ("ON", "ALARM"), "the exposure is ready", 30.0)
        yield found


REFUSED = RefusedError("the controller answered ?3F")
