"""What each command of the simulated Magellan controller does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from devices.drivers.s_record_file import SRecordFile, parse_s_records
from devices.pipelines.ccd.detector import AmpWindow, FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry
from devices.simulators._ccd.detector import Axis, Window
from devices.simulators._ccd.served_camera import ServedCamera
from devices.simulators._ccd.settings import fault_words
from devices.simulators._controller_server import Refused, SimulatedController
from devices.simulators.magellan.settings import MagellanSettings


class MagellanController(SimulatedController):
    """The state behind the sockets.

    Attributes:
        program: of the DSP; None: it has none and does nothing.
        loads: programs that were loaded since the start.
    """

    def __init__(self, settings: MagellanSettings) -> None:
        super().__init__()
        for fault in fault_words(settings.faults):
            setattr(self.faults, fault, True)
        self.settings = settings
        self.camera = ServedCamera(settings)
        self.program: SRecordFile | None = None
        self.loads = 0
        self.number_of_pixels = 0
        self._opened_at: float | None = None
        self._amplifiers = settings.amplifiers
        self._format: Format | None = None
        self._roi: Roi | None = None
        self._random = np.random.default_rng(settings.seed)

    def start(self) -> None:
        self.camera.start()

    def close(self) -> None:
        self.camera.close()

    @property
    def image(self) -> memoryview:
        return self.camera.image.view(np.uint8).data

    @property
    def image_ready(self) -> int:
        return self.camera.image.nbytes

    @property
    def geometry(self) -> Geometry:
        """Raises: Refused: a part of it is missing. ValueError: they do not fit each other."""
        if self._format is None or self._roi is None:
            raise Refused("SetFormat and SetRoi come before an image")
        n = self._amplifiers
        across, up = (n, 1) if n < 4 or n % 2 else (n // 2, 2)
        return make_geometry(self._format, FocalPlane(1, 1, across, up, (0,) * n), self._roi)

    async def answer(self, words: list[str]) -> str:
        camera = self.camera
        match words:
            case ["Get", name]:
                return self._get(name)
            case ["Set", name, value]:
                self._set(name, int(value))
            case ["CloseInterface"]:
                self._close_interface()
            case ["OpenInterface", "mag1"]:
                self._close_interface()
                self._opened_at = time.monotonic()
            case ["LoadFile", _, name]:
                self._load(name)
            case ["SetFormat", *numbers] if len(numbers) == 9:
                self._format = Format(*map(int, numbers))
            case ["SetRoi", *numbers] if len(numbers) == 6:
                self._roi = Roi(*map(int, numbers))
            case ["SetConfiguration", *numbers] if len(numbers) == 5:
                _, splits, detectors_x, detectors_y, _ = map(int, numbers)
                self._amplifiers = splits * detectors_x * detectors_y
            case ["MagIO", "fillbuffer", *numbers] if numbers:
                self._fill(*map(int, numbers))
            case ["MagIO", what, parameter]:
                self._needs_program()
                return await self._magio(what, int(parameter))
            case ["StartExposure"]:
                self._needs_program()
                camera.begin()
            case ["PauseExposure"] if camera.integrating:
                camera.hold()
            case ["ResumeExposure"]:
                camera.go_on()
            case ["ReadImage"]:
                self._read()
            case ["AbortExposure"] | ["AbortReadout"]:
                camera.stop()
            case ["RemoveReadLock"] | ["set", "debug", _] | ["WriteImage", _, _]:
                pass
            case _:
                raise Refused(f"{' '.join(words)[:60]} is refused")
        return ""

    def _get(self, name: str) -> str:
        camera = self.camera
        values: Mapping[str, str | int] = {
            "ControllerType": "mag1",
            "ExposureTime": round(1000 * camera.exposure_s),
            "ExposureTimeRemaining": round(1000 * camera.elapsed_s),  # what has gone by, for all its name
            "PixelCount": camera.pixels_read,
            "UseReadLock": 0,
        }
        if name not in values:
            raise Refused(f"there is no {name}")
        return str(values[name])

    def _set(self, name: str, value: int) -> None:
        match name:
            case "ExposureTime":
                self.camera.exposure_s = value / 1000
            case "ShutterState":
                self.camera.opens_shutter = bool(value)
            case "NumberPixelsImage":
                self.number_of_pixels = value
            case "UseReadLock":
                pass
            case _:
                raise Refused(f"there is no {name}")

    async def _magio(self, what: str, parameter: int) -> str:
        match what:
            case "dsp_echo":
                return str(parameter)
            case "gcam_get_temp":
                return str(round(902 - self.camera.cryostat.celsius * 1164 / 26) & 0x3FFF)
            case "flush_ccd":
                await asyncio.sleep(self.settings.sweep_s)
                self.camera.clear()
            case "set_shutter":
                if not parameter:
                    self.camera.light.integrate(False)
                self.camera.light.force(True if parameter else None)
            case _:
                raise Refused(f"there is no {what}")
        return ""

    def _close_interface(self) -> None:
        self.camera.stop()
        self._opened_at, self.program = None, None

    def _load(self, name: str) -> None:
        if name not in self.files:
            raise Refused(f"there is no file {name}")
        if self._opened_at is None or time.monotonic() < self._opened_at + self.settings.dsp_reset_s:
            raise Refused("the DSP does not answer")
        try:
            self.program = parse_s_records(self.files[name].decode("latin-1"), name)
        except ConfigurationError as error:
            raise Refused(str(error)) from None
        self.loads += 1

    def _needs_program(self) -> None:
        if self._opened_at is None:
            raise Refused("the interface is not open")
        if self.program is None:
            raise Refused("the DSP has no program")

    def _read(self) -> None:
        self._needs_program()
        geometry = self.geometry
        if self.number_of_pixels != geometry.pixels:
            raise Refused(f"NumberPixelsImage is {self.number_of_pixels}, the format has {geometry.pixels}")
        self.camera.read(Window(_axis(geometry.rows), _axis(geometry.columns)), geometry.amps)

    def _fill(self, pattern: int, value: int = 0) -> None:
        count = self.number_of_pixels
        pixels: NDArray[np.uint16]
        match pattern:
            case 0:
                pixels = np.full(count, value, np.uint16)
            case 1:
                pixels = np.arange(count, dtype=np.uint32).astype(np.uint16)
            case 2:
                columns = self.geometry.amps * self.geometry.columns.read
                pixels = (np.arange(count) % columns).astype(np.uint16)
            case 3:
                pixels = self._random.integers(0, 1 << 16, count, np.uint16)
            case _:
                raise Refused(f"there is no pattern {pattern}")
        self.camera.show(pixels)


def _axis(window: AmpWindow) -> Axis:
    return Axis(
        window.read,
        window.skip,
        window.underscan * window.binning,
        window.data * window.binning,
        window.binning,
        window.pre_skip,
    )
