"""The Magellan controller (OCIW gcam) as the exposure sees it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from devices.ccd.controller_link import Capabilities, ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.ccd.frame_memory import FrameMemory
from devices.ccd.magellan_exposure import MagellanExposure
from devices.ccd.magellan_settings import MagellanSettings
from devices.core.errors import NotAllowedError, NotConnectedError, ProtocolError, RangeError, RefusedError
from devices.drivers.controller_server import ControllerServer
from devices.drivers.magellan_commands import (
    BOARD,
    INTERFACE,
    Pattern,
    celsius,
    magio,
    pattern_of,
    set_format,
    set_roi,
)
from devices.drivers.s_record_file import read_s_records
from devices.pipelines.ccd.detector import Geometry

LONGEST_MS = (1 << 31) - 1
READS_OF_A_TEMPERATURE = 3
SENSOR = "CCD"
POLL = 0.02
"""Between two questions for the number of pixels, s."""


class MagellanLink(ControllerLink):
    """A Magellan controller behind its controller server.

    The time of an integration is kept here and the shutter is moved by commands of its own, since programs of the DSP
    do not do it reliably; the controller is told the time as well. The read-out begins by ReadImage.
    """

    def __init__(self, settings: MagellanSettings) -> None:
        self.settings = settings
        self.server = ControllerServer(settings.host, settings.port, timeout=settings.timeout)
        self.capabilities = Capabilities(pauses=settings.pauses, reads_early=settings.reads_early, moves_parallel=False)
        self._geometry: Geometry | None = None
        self._exposure: MagellanExposure | None = None
        self._shutter_open = False
        self._temperature = math.nan
        self._memory = FrameMemory()

    async def connect(self) -> str:
        await self.server.connect()
        try:
            kind = await self.server.command("Get ControllerType")
            if self.server.is_demo or kind.casefold() in ("0", "demo"):
                raise RefusedError(f"{self.server.url}: the server is in demo mode, without a controller")
        except BaseException:
            await self.server.close()
            raise
        self._forget()
        self._shutter_open = False
        return f"OCIW, Magellan, {kind}"

    async def close(self) -> None:
        self._forget()
        await self.server.close()

    async def reset(self) -> None:
        settings = self.settings
        # What is wrong with the file is found before anything moves.
        _, content = await asyncio.to_thread(read_s_records, settings.program)
        self._forget()
        with contextlib.suppress(RefusedError):  # one that is not open cannot be closed
            await self.server.command("CloseInterface")
        await self.server.command(f"OpenInterface {INTERFACE}")
        await asyncio.sleep(settings.interface_seconds)
        name = await self.server.upload(content, settings.load_timeout)
        await asyncio.sleep(settings.upload_seconds)
        try:
            await self.server.command(f"LoadFile {BOARD} {name}", settings.load_timeout)
        finally:
            await self.server.delete(name)
        await self.server.command("RemoveReadLock")
        await asyncio.sleep(settings.start_seconds)
        await self.server.command("Set UseReadLock 0")
        if settings.configuration:
            await self.server.command(f"SetConfiguration {' '.join(map(str, settings.configuration))}")
        await self.set_shutter(False)
        if self._geometry is not None:
            await self.set_geometry(self._geometry)

    async def set_geometry(self, geometry: Geometry) -> None:
        await self.server.command(set_format(geometry.format))
        await self.server.command(set_roi(geometry.roi))
        await self.server.command(f"Set NumberPixelsImage {geometry.pixels}")
        self._geometry = geometry

    async def flush(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.server.command(magio("flush_ccd"), self.settings.flush_timeout)

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        milliseconds = round(seconds * 1000) if math.isfinite(seconds) else -1
        if not 0 <= milliseconds <= LONGEST_MS:
            raise RangeError(f"seconds = {seconds} is outside [0, {LONGEST_MS / 1000}] s")
        if self._geometry is None:
            raise NotAllowedError("the geometry of the image is not set")
        self._forget()
        await self.server.command(f"Set ExposureTime {milliseconds}")
        await self.server.command(f"Set ShutterState {int(opens_shutter)}")
        if opens_shutter:
            await self.set_shutter(True)
        await self.server.command("StartExposure")
        self._exposure = MagellanExposure(seconds, opens_shutter, lambda: self.set_shutter(False))

    async def remaining(self) -> float:
        if self._exposure is None:
            return 0.0
        # Nothing is asked of the server meanwhile; that it is gone shall not be found out at the end of an hour.
        if not self.server.connected:
            raise NotConnectedError(f"{self.server.url}: the server is gone in the middle of an integration")
        return self._exposure.remaining

    async def pause(self) -> None:
        exposure = self._running
        if exposure.paused:
            return
        if not self.settings.pauses:
            raise NotAllowedError("the program of the DSP holds no integration (the property pauses is off)")
        if exposure.remaining == 0.0:
            raise NotAllowedError("the integration is over; there is nothing to pause")
        exposure.pause()
        if exposure.opens_shutter:
            await self.set_shutter(False)
        await self.server.command("PauseExposure")

    async def resume(self) -> None:
        exposure = self._running
        if not exposure.paused:
            return
        await self.server.command("ResumeExposure")
        if exposure.opens_shutter:
            await self.set_shutter(True)
        exposure.resume()

    async def end_exposure(self) -> None:
        exposure = self._running
        if not self.settings.reads_early:
            raise NotAllowedError(
                "the program of the DSP reads when its time is over (the property reads_early is off)"
            )
        await exposure.end()

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        exposure, geometry = self._running, self._geometry
        assert geometry is not None
        pixels_left(geometry.pixels)
        await exposure.over()
        await asyncio.sleep(self.settings.shutter_seconds)
        exposure.reading = True
        await self.server.command("ReadImage", self.settings.frame_timeout)
        await self._read_out(geometry, pixels_left)
        pixels = await self._image(geometry)
        pixels_left(0)
        self._exposure = None
        return RawImage(pixels, Layout.INTERLEAVED)

    async def abort(self) -> None:
        exposure = self._exposure
        self._forget()
        try:
            if exposure is not None:
                await self.server.command("AbortReadout" if exposure.reading else "AbortExposure")
        finally:
            # Whatever became of that: no more light.
            if self._shutter_open:
                await self.set_shutter(False)

    async def set_shutter(self, is_open: bool) -> None:
        self._shutter_open = self._shutter_open or is_open
        await self.server.command(magio("set_shutter", int(is_open)))
        self._shutter_open = is_open

    async def shift_rows(self, rows: int) -> None:
        raise NotAllowedError(f"a Magellan controller shifts no rows outside a read-out ({rows} were asked for)")

    async def temperatures(self) -> list[Temperature]:
        # The DSP is left alone while it integrates or reads.
        if self._exposure is None:
            try:
                counts = [await self.server.number(magio("gcam_get_temp")) for _ in range(READS_OF_A_TEMPERATURE)]
                self._temperature = sum(map(celsius, counts)) / len(counts)
            except RefusedError:  # the DSP has no program before the first reset
                self._temperature = math.nan
        return [Temperature(SENSOR, self._temperature)]

    def keywords(self) -> Mapping[str, tuple[str | int | float | bool, str]]:
        return {
            "CONTROLR": ("Magellan", "CCD controller"),
            "DSPFILE": (self.settings.program.name, "program of the DSP"),
        }

    async def echo(self, value: int) -> None:
        """Send a number to the DSP and back.

        Raises:
            ProtocolError: another one came back.
        """
        answer = await self.server.number(magio("dsp_echo", value))
        if answer != value:
            raise ProtocolError(f"dsp_echo {value} was answered by {answer}")

    async def magio(self, what: str, parameter: int) -> str:
        """Send a low-level command; what stands behind OK."""
        return await self.server.command(magio(what, parameter))

    async def test_pattern(self, pattern: Pattern, value: int = 0) -> NDArray[np.uint16]:
        """Let the FPGA fill the image buffer, and take it as an image: the way of the data without the detector.

        Raises:
            ProtocolError: other pixels came than were put there.
        """
        if self._exposure is not None or self._geometry is None:
            raise NotAllowedError("a pattern needs a geometry, and no exposure under way")
        geometry = self._geometry
        await self.server.command(magio("fillbuffer", pattern, value))
        pixels = await self._image(geometry)
        wanted = pattern_of(pattern, value, geometry.pixels, geometry.amps * geometry.columns.read)
        if wanted is not None and (wrong := np.flatnonzero(pixels != wanted)).size:
            at = wrong[0]
            raise ProtocolError(
                f"{wrong.size} of {pixels.size} px are wrong, the first is px {at}: {pixels[at]}, not {wanted[at]}"
            )
        return pixels

    async def _read_out(self, geometry: Geometry, pixels_left: PixelsLeft) -> None:
        """Until all pixels are read, or no more are told of: the image itself says then what has become of it."""
        loop = asyncio.get_running_loop()
        count, progress = 0, loop.time()
        while count < geometry.pixels and loop.time() < progress + self.settings.frame_timeout:
            read = await self.server.number("Get PixelCount")
            if read != count:
                count, progress = read, loop.time()
                pixels_left(max(0, geometry.pixels - count))
            else:
                await asyncio.sleep(POLL)

    async def _image(self, geometry: Geometry) -> NDArray[np.uint16]:
        into = self._memory.take(2 * geometry.pixels)
        await self.server.image(into, self.settings.frame_timeout)
        pixels = into.view("<u2")
        pixels.flags.writeable = False
        return pixels

    @property
    def _running(self) -> MagellanExposure:
        if self._exposure is None:
            raise NotAllowedError("no exposure was begun")
        return self._exposure

    def _forget(self) -> None:
        if self._exposure is not None:
            self._exposure.cancel()
        self._exposure = None
