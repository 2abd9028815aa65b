"""The ARC controller as the exposure sees it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.ccd.arc_geometry import timing_words
from devices.ccd.arc_sensors import ArcSensors
from devices.ccd.arc_settings import ArcSettings, Download
from devices.ccd.controller_link import Capabilities, ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.ccd.frame_memory import FrameMemory
from devices.core.errors import NotAllowedError, RangeError, RefusedError, TimeoutError
from devices.drivers.arc import ArcDriver
from devices.drivers.arc_commands import (
    GAINS,
    LARGEST_WORD,
    OPTIONS,
    OPTIONS_SHUTTER_BIT,
    SHUTTER_BIT,
    STATUS,
    SYNTHETIC_BIT,
    Board,
    Space,
    TimingWord,
)
from devices.drivers.lod_file import LodFile, read_lod
from devices.pipelines.ccd.detector import Geometry

#: What Get ControllerType answers for one with a PCIe board, which takes no .lod file.
PCIE: Final = 4
#: How often the number of pixels is asked for, s.
POLL: Final = 0.02


@dataclass
class _Exposure:
    """The exposure that was begun: milliseconds until its end, or how long it lasted."""

    milliseconds: int
    ended: bool = False
    reading: bool = False


class ArcLink(ControllerLink):
    """An ARC controller (generations 1, 2, 3) through its controller server.

    The controller keeps the time of the integration and shuts the shutter; the read-out begins when it is told to.
    """

    def __init__(self, settings: ArcSettings) -> None:
        self.settings = settings
        self.boards = settings.boards
        self.driver = ArcDriver(settings.host, settings.port, timeout=settings.timeout)
        self.capabilities = Capabilities(delays_rows=True)
        self.video_gain, self.video_speed = settings.video_gain, settings.video_speed
        self.sensors = ArcSensors(self.driver, settings.curves)
        self._kind = 0
        self._geometry: Geometry | None = None
        self._written: dict[TimingWord, int] = {}
        self._exposure: _Exposure | None = None
        self._memory = FrameMemory()

    async def connect(self) -> str:
        server = self.driver.server
        await server.connect()
        try:
            answer = await server.command("Get ControllerType")
            if server.is_demo or answer in ("0", "demo"):
                raise RefusedError(f"{server.url}: the server is in demo mode, without a controller")
            self._kind = int(answer) if answer.isdecimal() else 0
        except BaseException:
            await server.close()
            raise
        self._forget()
        return f"ARC, generation {self.boards.generation}, controller type {answer}"

    async def close(self) -> None:
        self._forget()
        await self.driver.server.close()

    async def reset(self) -> None:
        # What is wrong with a file is found before anything moves.
        programs = await asyncio.to_thread(self._programs)
        self._forget()
        driver, server = self.driver, self.driver.server
        await server.command("RemoveReadLock")
        await server.command(f"Set UseReadLock {int(self.settings.use_read_lock)}")
        await driver.reset()
        for board in self.boards.boards:
            await driver.test_data_link(board)
        for board, content, program in programs:
            await self._download(board, content, program)
        await driver.do("SBV", Board.TIMING)
        await driver.do("CSH", self.boards.power_board)
        await driver.do("PON", self.boards.power_board, timeout=self.settings.power_timeout)
        await driver.do("IDL", Board.TIMING)
        await self.set_video(self.video_gain, self.video_speed)
        await self.set_video(self.video_gain, self.video_speed)  # the first one after power may be lost
        await server.command("Set ExposureTime 0")
        if self._geometry is not None:
            await self.set_geometry(self._geometry)

    async def set_geometry(self, geometry: Geometry) -> None:
        for address, value in timing_words(geometry).items():
            await self._write(address, value)
        await self.driver.server.command(f"Set NumberPixelsImage {geometry.pixels}")
        self._geometry = geometry

    async def flush(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.driver.do("CLR", Board.TIMING, timeout=self.settings.flush_timeout)

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        milliseconds = round(seconds * 1000) if math.isfinite(seconds) else -1
        if not 0 <= milliseconds <= LARGEST_WORD:
            raise RangeError(f"seconds = {seconds} is outside [0, {LARGEST_WORD / 1000}] s")
        if self._geometry is None:
            raise NotAllowedError("the geometry of the image is not set")
        await self.driver.server.command(f"Set ExposureTime {milliseconds}")
        if self.boards.generation == 1:
            await self.driver.change_bits(Board.UTILITY, Space.X, OPTIONS, OPTIONS_SHUTTER_BIT, opens_shutter)
        else:
            await self.driver.change_bits(Board.TIMING, Space.X, STATUS, SHUTTER_BIT, opens_shutter)
        await self.driver.server.command(f"Set ShutterState {int(opens_shutter)}")
        await self.driver.do("STP", Board.TIMING)
        await self.driver.server.command("StartExposure")
        self._exposure = _Exposure(milliseconds)

    async def remaining(self) -> float:
        exposure = self._exposure
        if exposure is None or exposure.ended:
            return 0.0
        return max(0, exposure.milliseconds - await self._elapsed()) / 1000

    async def pause(self) -> None:
        if await self.remaining() == 0.0:
            raise NotAllowedError("the integration is over; there is nothing to pause")
        await self.driver.server.command("PauseExposure")

    async def resume(self) -> None:
        self._running()
        await self.driver.server.command("ResumeExposure")

    async def end_exposure(self) -> None:
        # The read-out itself ends the integration; until then no more light is to come.
        exposure = self._running()
        exposure.milliseconds = min(exposure.milliseconds, await self._elapsed())
        exposure.ended = True
        await self.driver.do("CSH", self.boards.power_board)

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        exposure, geometry = self._running(), self._geometry
        assert geometry is not None
        pixels_left(geometry.pixels)
        exposure.reading = True
        await self.driver.server.command("ReadImage", self.settings.frame_timeout)
        await self._read_out(geometry, pixels_left)
        pixels = await self.fetch(geometry.pixels)
        self._exposure = None
        # The image is there, and is not to be lost with the link, which tells of itself.
        with contextlib.suppress(ConnectionError, TimeoutError, RefusedError):
            await self.driver.do("IDL", Board.TIMING)
        pixels_left(0)
        return RawImage(pixels, Layout.INTERLEAVED, (), exposure.milliseconds / 1000)

    async def fetch(self, count: int) -> NDArray[np.uint16]:
        """The image that has been read out, (pixels,), read-only; of so many pixels."""
        into = self._memory.take(2 * count)
        await self.driver.server.image(into, self.settings.frame_timeout)
        pixels = into.view("<u2")
        pixels.flags.writeable = False
        return pixels

    async def abort(self) -> None:
        exposure, self._exposure = self._exposure, None
        try:
            if exposure is not None:
                await self.driver.server.command("AbortReadout" if exposure.reading else "AbortExposure")
        finally:
            # Whatever became of that: no more light. A board without its program knows neither word.
            with contextlib.suppress(RefusedError):
                await self.driver.do("CSH", self.boards.power_board)
                await self.driver.do("IDL", Board.TIMING)

    async def set_shutter(self, is_open: bool) -> None:
        await self.driver.do("OSH" if is_open else "CSH", self.boards.power_board)

    async def shift_rows(self, rows: int) -> None:
        await self.driver.write(Board.TIMING, Space.Y, TimingWord.NPXSHIFT, abs(rows))
        await self.driver.do("FPX" if rows >= 0 else "RPX", Board.TIMING, timeout=self.settings.flush_timeout)

    async def set_row_delay(self, seconds: float) -> None:
        unit = self.settings.row_delay_unit
        counts = round(seconds / unit)
        if not 0 <= counts <= LARGEST_WORD:
            raise RangeError(f"row delay = {seconds} s is outside [0, {LARGEST_WORD * unit:g}] s")
        await self._write(TimingWord.LINE_DELAY, counts)

    async def temperatures(self) -> list[Temperature]:
        # The boards are left alone while they integrate or read.
        if self._exposure is None and self.boards.utility:
            return await self.sensors.read()
        return self.sensors.last

    async def set_temperature(self, celsius: float | None) -> None:
        if not self.boards.utility:
            raise NotAllowedError(f"without a utility board there is no temperature control ({celsius} C)")
        await self.sensors.control(celsius)

    async def set_calibrations(self, curves: Sequence[int]) -> None:
        self.sensors.calibrate(curves)

    def keywords(self) -> Mapping[str, tuple[str | int | float | bool, str]]:
        found: dict[str, tuple[str | int | float | bool, str]] = {
            "CONTROLR": (f"ARC gen{self.boards.generation}", "CCD controller"),
            "VIDGAIN": (self.video_gain, "gain of the video boards"),
            "VIDSPEED": (self.video_speed, "speed of the video boards"),
        }
        for keyword, path in (
            ("PCIFILE", self.settings.pci_file),
            ("TIMFILE", self.settings.timing_file),
            ("UTILFILE", self.settings.utility_file),
        ):
            if path is not None:
                found[keyword] = (path.name, "program of a board of the controller")
        return found

    async def set_video(self, gain: int, speed: int) -> None:
        """Gain (1, 2, 5, 10) and speed (0, 1) of the video boards."""
        if gain not in GAINS or speed not in (0, 1):
            raise RangeError(f"gain = {gain}, speed = {speed}: gains are {GAINS}, speeds 0 (slow) and 1 (fast)")
        await self.driver.do("SGN", Board.TIMING, gain, speed)
        self.video_gain, self.video_speed = gain, speed

    async def set_synthetic(self, on: bool) -> None:
        """Let images be a ramp that the timing board makes, not what the detector has."""
        await self.driver.change_bits(Board.TIMING, Space.X, STATUS, SYNTHETIC_BIT, on)

    def forget_words(self) -> None:
        """Somebody else wrote to the timing board's memory: write all words with the next geometry."""
        self._written = {}

    def _programs(self) -> list[tuple[Board, bytes, LodFile]]:
        """What a reset loads, in its order; reads files."""
        given = self.settings
        paths = {Board.PCI: given.pci_file, Board.TIMING: given.timing_file, Board.UTILITY: given.utility_file}
        if self._kind == PCIE:
            del paths[Board.PCI]
        return [(board, path.read_bytes(), read_lod(path)) for board, path in paths.items() if path is not None]

    async def _download(self, board: Board, content: bytes, program: LodFile) -> None:
        if board is Board.PCI or self.settings.download is Download.SERVER:
            await self.driver.load_file(board, content, self.settings.load_timeout)
        else:
            await self.driver.load_words(board, program)

    async def _write(self, address: TimingWord, value: int) -> None:
        """A word of the timing board; one that stands there already is not written again."""
        if self._written.get(address) != value:
            await self.driver.write(Board.TIMING, Space.Y, address, value)
            self._written[address] = value

    async def _elapsed(self) -> int:
        # For all its name it is what has gone by, ms.
        return await self.driver.server.number("Get ExposureTimeRemaining")

    async def _read_out(self, geometry: Geometry, pixels_left: PixelsLeft) -> None:
        """Until all pixels are read."""
        loop = asyncio.get_running_loop()
        count, progress = 0, loop.time()
        while count < geometry.pixels:
            read = await self.driver.server.number("Get PixelCount")
            if read != count:
                count, progress = read, loop.time()
                pixels_left(max(0, geometry.pixels - count))
            elif loop.time() > progress + self.settings.frame_timeout:
                raise TimeoutError(
                    f"{self.driver.server.url}: {count} of {geometry.pixels} px were read, and no more in "
                    f"{self.settings.frame_timeout:g} s"
                )
            await asyncio.sleep(POLL if count < geometry.pixels else 0.0)

    def _running(self) -> _Exposure:
        if self._exposure is None:
            raise NotAllowedError("no exposure was begun")
        return self._exposure

    def _forget(self) -> None:
        self._exposure = None
        self.forget_words()
