"""The STA Archon as the exposure sees it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from devices.ccd.archon_abilities import capabilities_of, named_telemetry
from devices.ccd.archon_exposure import ArchonExposure, exposure_parameters
from devices.ccd.archon_geometry import check_taps, frame_keys, in_reading_order, timing_parameters
from devices.ccd.archon_settings import ArchonSettings
from devices.ccd.controller_link import Capabilities, ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.ccd.frame_memory import FrameMemory
from devices.core.errors import ConfigurationError, NotAllowedError, RangeError
from devices.drivers.archon import ArchonDriver
from devices.drivers.archon_config import (
    LARGEST_PARAMETER,
    ArchonConfiguration,
    read_configuration_file,
)
from devices.drivers.archon_status import BLOCK, Power
from devices.pipelines.ccd.detector import Geometry

NEEDED = ("Exposures", "IntMS", "NoIntMS", "Lines", "Pixels")
"""Parameters without which no timing script can be used."""

REQUESTS = ("Exposures", "ContinuousExposures", "ReadOut", "SweepCount", "DoFlush", "StopExposure", "AbortExposure")
"""Parameters that would start something again after an abort."""


class ArchonLink(ControllerLink):
    """An Archon with a timing script like that of ``dbconfig/ccd/archon.acf``.

    A script with the parameter ReadOut integrates first and reads when it is told to, so that rows can be shifted in
    between; one without reads by itself. Pausing holds the script and forces the trigger output, which moves the
    shutter, low. What the script or the configuration lacks, `capabilities` says after `reset`.
    """

    def __init__(self, settings: ArchonSettings) -> None:
        self.settings = settings
        self.driver = ArchonDriver(settings.host, settings.port, timeout=settings.timeout)
        self.capabilities = Capabilities()
        self._configuration: ArchonConfiguration | None = None
        self._geometry: Geometry | None = None
        self._exposure: ArchonExposure | None = None
        self._read_seconds = 0.0
        self._memory = FrameMemory()
        self._identity: tuple[str, str] = ("", "")

    async def connect(self) -> str:
        await self.driver.connect()
        try:
            system = await self.driver.system()
            self._adopt(await self._held())
        except BaseException:
            await self.driver.close()
            raise
        self._identity = system.version, system.id
        self._exposure = None
        return f"STA, Archon, {system.version}"

    async def close(self) -> None:
        await self.driver.close()

    async def reset(self) -> None:
        configuration = await self._file()
        self._adopt(None)
        upload = await self.driver.load_configuration(configuration)
        status = await self.driver.status()
        if status.power in (Power.UNKNOWN, Power.NOT_CONFIGURED):
            await self.driver.apply_all()
        else:
            await self.driver.apply(upload)
        await self.driver.load_parameters()
        await self.driver.reset_timing()
        await self.driver.release_timing()
        status = await self.driver.status()
        if status.power is not Power.ON or not status.power_good:
            await self.driver.set_power(True, self.settings.power_timeout)
        self._adopt(configuration)
        self._exposure = None
        if self._geometry is not None:
            await self.set_geometry(self._geometry)

    async def set_geometry(self, geometry: Geometry) -> None:
        configuration = self._loaded
        check_taps(configuration, geometry)
        parameters = timing_parameters(configuration, geometry)
        await self.driver.write_values(configuration, frame_keys(geometry))
        await self.driver.set_parameters(configuration, parameters)
        await self.driver.apply_cds()
        self._geometry = geometry

    async def flush(self, cycles: int) -> None:
        if not 0 <= cycles <= LARGEST_PARAMETER:
            raise RangeError(f"cycles = {cycles} is outside [0, {LARGEST_PARAMETER}]")
        if self._loaded.has_parameter("SweepCount"):
            await self.driver.load_parameter("SweepCount", cycles)
        else:
            self._needs("FlushCount", "DoFlush")
            await self.driver.load_parameter("FlushCount", cycles)
            await self.driver.load_parameter("DoFlush", int(cycles > 0))
        await asyncio.sleep(cycles * self.settings.sweep_seconds)

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        configuration = self._loaded
        if self._geometry is None:
            raise NotAllowedError("the geometry of the image is not set")
        parameters = exposure_parameters(configuration, seconds, opens_shutter, self.settings.shutter_seconds)
        status = await self.driver.status()
        if status.power is not Power.ON or not status.power_good:
            good = "good" if status.power_good else "bad"
            raise NotAllowedError(f"the detector's power is {status.power.name} ({good}); reset the controller")
        if status.overheat:
            raise NotAllowedError("the controller is overheated")
        await self.driver.set_parameters(configuration, parameters)
        frames = {buffer.number: buffer.frame for buffer in (await self.driver.frame()).buffers if buffer.complete}
        await self.driver.load_parameter("Exposures", 1)
        self._exposure = ArchonExposure(seconds, opens_shutter, asyncio.get_running_loop().time(), frames)

    async def remaining(self) -> float:
        exposure = self._exposure
        if exposure is None or exposure.ended:
            return 0.0
        return max(0.0, exposure.seconds - exposure.elapsed(asyncio.get_running_loop().time()))

    async def pause(self) -> None:
        exposure = self._running
        if exposure.paused_since is not None:
            return
        if not self.capabilities.pauses:
            raise NotAllowedError("the configuration has no TRIGOUTFORCE; the shutter could not be shut in a pause")
        if await self.remaining() == 0.0:
            raise NotAllowedError("the integration is over; there is nothing to pause")
        await self.driver.hold_timing()
        exposure.paused_since = asyncio.get_running_loop().time()
        exposure.paused_tick = await self.driver.timer()
        await self._force_shutter(True, False)

    async def resume(self) -> None:
        exposure = self._running
        if exposure.paused_since is None:
            return
        await self._force_shutter(False, False)
        await self.driver.release_timing()
        exposure.paused_ticks += await self.driver.timer() - exposure.paused_tick
        exposure.paused_seconds += asyncio.get_running_loop().time() - exposure.paused_since
        exposure.paused_since = None

    async def end_exposure(self) -> None:
        exposure = self._running
        stop = next((name for name in ("StopExposure", "AbortExposure") if self._loaded.has_parameter(name)), None)
        if stop is None:
            raise NotAllowedError("the timing script has no parameter StopExposure; the exposure cannot be ended early")
        lasted = exposure.elapsed(asyncio.get_running_loop().time())
        if lasted >= exposure.seconds:
            return  # it is over: a request would be left for the next exposure
        await self.driver.load_parameter(stop, 1)
        if exposure.paused_since is not None:
            await self.resume()
        exposure.seconds = lasted
        exposure.ended = True

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        exposure, geometry, configuration = self._exposure, self._geometry, self._loaded
        if exposure is None or geometry is None:
            raise NotAllowedError("no exposure was begun that could be read")
        loop = asyncio.get_running_loop()
        pixels_left(geometry.pixels)
        if configuration.has_parameter("ReadOut"):
            await self.driver.load_parameter("ReadOut", 1)
        began = loop.time() + await self.remaining()
        buffer = await self.driver.wait_frame(
            exposure.frames,
            began + self._read_seconds,
            self.settings.frame_timeout,
            lambda written: pixels_left(max(0, geometry.pixels - written.pixels)),
        )
        self._read_seconds = max(0.0, loop.time() - began)
        frame = await self.driver.fetch(buffer, into=self._memory.take(buffer.blocks * BLOCK))
        pixels = await asyncio.to_thread(in_reading_order, frame, configuration, geometry)
        pixels.flags.writeable = False
        self._exposure = None
        pixels_left(0)
        return RawImage(pixels, Layout.TAPS, (), exposure.measured_seconds(buffer))

    async def abort(self) -> None:
        self._exposure = None
        configuration = self._configuration
        try:
            for name in REQUESTS:
                if configuration is not None and configuration.has_parameter(name):
                    await self.driver.load_parameter(name, 0)
        finally:
            # Whatever became of the requests: nothing goes on.
            await self.driver.reset_timing()
            await self.driver.release_timing()
            if configuration is not None and self.capabilities.has_shutter:
                await self._force_shutter(False, False)

    async def set_shutter(self, is_open: bool) -> None:
        if not self.capabilities.has_shutter:
            raise NotAllowedError("the configuration has no TRIGOUTFORCE; the shutter moves with exposures alone")
        await self._force_shutter(is_open, is_open)

    async def shift_rows(self, rows: int) -> None:
        name = "ShiftLines" if rows >= 0 else "ShiftLinesBack"
        self._needs(name)
        await self.driver.load_parameter(name, abs(rows))
        await asyncio.sleep(abs(rows) * self.settings.row_seconds)

    async def set_row_delay(self, seconds: float) -> None:
        self._needs("LineDelay")
        count = round(seconds * 1e6)
        if not 0 <= count <= LARGEST_PARAMETER:
            raise RangeError(f"row delay = {seconds} s is outside [0, {LARGEST_PARAMETER / 1e6}] s")
        await self.driver.set_parameters(self._loaded, {"LineDelay": count})

    async def temperatures(self) -> list[Temperature]:
        status = await self.driver.status()
        values = status.temperatures
        return [Temperature(name, values.get(key.upper(), math.nan)) for name, key in self.settings.sensors.items()]

    async def set_temperature(self, celsius: float | None) -> None:
        heater, configuration = self.settings.heater, self._loaded
        if not heater or f"{heater}ENABLE" not in configuration:
            raise NotAllowedError(f"the configuration has no heater ({heater or 'none'}) for {celsius} C")
        if celsius is not None and not -273.15 <= celsius <= 100.0:
            raise RangeError(f"temperature = {celsius} C is outside [-273.15, 100] C")
        values = {f"{heater}ENABLE": "0" if celsius is None else "1"}
        if celsius is not None:
            values[f"{heater}TARGET"] = f"{celsius:.3f}"
        await self.driver.write_values(configuration, values)
        await self.driver.apply_module(int(heater.upper().removeprefix("MOD").partition("/")[0]))

    async def telemetry(self) -> Mapping[str, float]:
        return named_telemetry(await self.driver.status())

    def keywords(self) -> Mapping[str, tuple[str | int | float | bool, str]]:
        found: dict[str, tuple[str | int | float | bool, str]] = {
            "CONTROLR": ("Archon", "CCD controller"),
            "CTRLVER": (self._identity[0], "version of the controller"),
            "CTRLID": (self._identity[1], "serial number of the controller"),
            "DSPFILE": (self.settings.configuration.name, "configuration of the controller"),
        }
        if self._configuration is not None:
            parameters = {name.upper(): value for name, value in self._configuration.parameters.items()}
            found["INTMS"] = (parameters["INTMS"] * parameters.get("INTMUL", 1), "integration, shutter open (ms)")
            found["NOINTMS"] = (parameters["NOINTMS"] * parameters.get("NOINTMUL", 1), "integration, shutter shut (ms)")
        return found

    async def _file(self) -> ArchonConfiguration:
        configuration = await asyncio.to_thread(read_configuration_file, self.settings.configuration)
        problems = [
            f"the timing script has no parameter {name}" for name in NEEDED if not configuration.has_parameter(name)
        ]
        if problems:
            raise ConfigurationError(str(self.settings.configuration), problems)
        return configuration

    async def _held(self) -> ArchonConfiguration | None:
        """The configuration that the controller holds, if its lines have the keys of the file; nothing is changed."""
        keys = [key for key, _ in await self._file()]
        *lines, beyond = await self.driver.read_lines(len(keys) + 1)
        held = [(key, value) for key, _, value in (line.partition("=") for line in lines)]
        return ArchonConfiguration(held) if not beyond and [key for key, _ in held] == keys else None

    def _adopt(self, configuration: ArchonConfiguration | None) -> None:
        self._configuration = configuration
        if configuration is not None:
            self.capabilities = capabilities_of(configuration)

    @property
    def _loaded(self) -> ArchonConfiguration:
        if self._configuration is None:
            raise NotAllowedError("the Archon's configuration is not loaded; reset the controller")
        return self._configuration

    @property
    def _running(self) -> ArchonExposure:
        if self._exposure is None:
            raise NotAllowedError("no exposure runs")
        return self._exposure

    def _needs(self, *names: str) -> None:
        for name in names:
            if not self._loaded.has_parameter(name):
                raise NotAllowedError(f"the timing script has no parameter {name}")

    async def _force_shutter(self, forced: bool, is_open: bool) -> None:
        values = {"TRIGOUTFORCE": str(int(forced)), "TRIGOUTLEVEL": str(int(is_open))}
        await self.driver.write_values(self._loaded, values)
        await self.driver.apply_system()
