"""A camera behind ASCOM Alpaca as a controller of exposures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any, Final

from devices.ccd.alpaca_facts import AlpacaFacts, optional, read_facts
from devices.ccd.alpaca_picture import as_raw
from devices.ccd.alpaca_settings import AlpacaSettings
from devices.ccd.alpaca_video import AlpacaVideo
from devices.ccd.alpaca_window import AlpacaWindow, window_of
from devices.ccd.controller_link import ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.core.errors import (
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers.alpaca import AlpacaDevice
from devices.pipelines.ccd.detector import Geometry

#: How often the camera is asked whether its image is ready, s.
PERIOD: Final = 0.03
#: A driver may say for so long that the camera is idle, though an exposure began, s.
GRACE: Final = 0.5
#: An abort has so long to bring the camera to rest, s.
ABORT: Final = 1.5


class CameraState(Enum):
    """``CameraState`` of Alpaca, in the order of its numbers."""

    IDLE = "idle"
    WAITING = "waiting"
    EXPOSING = "exposing"
    READING = "reading"
    DOWNLOAD = "download"
    ERROR = "error"


class AlpacaLink(ControllerLink):
    """A camera that reads out by itself and gives one picture.

    It has no pause, no flush, no shift of rows; its shutter moves with exposures alone.

    Attributes:
        facts: what the camera said of itself when it was connected.
        video: gain, offset, read-out mode.
    """

    def __init__(self, settings: AlpacaSettings) -> None:
        self.settings = settings
        self.camera = AlpacaDevice(settings.host, settings.port, "camera", settings.number, timeout=settings.timeout)
        self.facts: AlpacaFacts | None = None
        self.video = AlpacaVideo(self.camera)
        self._window: AlpacaWindow | None = None
        self._geometry: Geometry | None = None
        self._began: float | None = None
        self._seconds = 0.0

    async def connect(self) -> str:
        try:
            await self.camera.connect(self.settings.connect_timeout)
            facts = await read_facts(self.camera)
            self.facts, self.capabilities = facts, facts.capabilities()
            await self.video.read(facts)
        except BaseException:
            await self.close()
            raise
        return ", ".join(each for each in (facts.name, facts.driver, facts.version) if each)

    async def close(self) -> None:
        await self.camera.close()
        self.facts = self._window = self._began = None

    async def reset(self) -> None:
        given = self.settings
        if await self.state() is CameraState.ERROR:
            # What an error is, only its driver knows; it begins anew with the link to its hardware.
            await self.camera.put("connected", timeout=given.connect_timeout, Connected=False)
            await self.camera.put("connected", timeout=given.connect_timeout, Connected=True)
        await self.abort()
        if given.gain is not None:
            await self.video.set_gain(given.gain)
        if given.offset is not None:
            await self.video.set_offset(given.offset)
        if given.readout_mode:
            await self.video.set_mode(given.readout_mode)

    async def set_geometry(self, geometry: Geometry) -> None:
        self._window = None
        window = window_of(geometry, self._facts)
        for name, value in asdict(window).items():
            await self.camera.put(name.casefold(), **{name: value})
        self._window, self._geometry = window, geometry

    async def flush(self, cycles: int) -> None:
        raise NotAllowedError("an Alpaca camera clears its detector by itself, before each exposure")

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None:
        facts = self._facts
        if self._window is None:
            raise NotAllowedError("the window of the image is not set")
        # A bias is as short as the camera can; what else is too short would not be what was asked for.
        duration = facts.shortest if seconds == 0.0 else seconds
        if not facts.shortest <= duration <= facts.longest:
            raise RangeError(
                f"seconds = {seconds:g} s is outside [{facts.shortest:g}, {facts.longest:g}] s of {facts.name}"
            )
        await self.camera.put("startexposure", Duration=duration, Light=opens_shutter)
        self._began, self._seconds = asyncio.get_running_loop().time(), duration

    async def remaining(self) -> float:
        if self._began is None:
            return 0.0
        elapsed = asyncio.get_running_loop().time() - self._began
        if elapsed >= self._seconds:
            return 0.0
        state = await self.state()
        if state is CameraState.ERROR:
            raise self._failed()
        if state is CameraState.IDLE and elapsed > GRACE:
            if await self.camera.flag("imageready"):
                return 0.0  # somebody else stopped it
            raise RefusedError(f"{self._facts.name} ended the exposure after {elapsed:.1f} s: somebody aborted it")
        if state in (CameraState.READING, CameraState.DOWNLOAD):
            return 0.0
        return self._seconds - elapsed

    async def pause(self) -> None:
        raise NotAllowedError("an Alpaca camera cannot pause")

    async def resume(self) -> None:
        raise NotAllowedError("an Alpaca camera cannot pause")

    async def end_exposure(self) -> None:
        if not self._facts.stops:
            raise NotAllowedError(f"{self._facts.name} cannot end an exposure and keep its image")
        await self.camera.put("stopexposure")
        self._seconds = 0.0

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        window, geometry = self._window, self._geometry
        if self._began is None or window is None or geometry is None:
            raise NotAllowedError("no exposure was begun that could be read")
        pixels = geometry.pixels
        pixels_left(pixels)
        # One half of the way is from the detector to the camera, the other from there to here.
        await self._ready(lambda percent: pixels_left(round(pixels * (1.0 - percent / 200.0))))
        picture = await self.camera.picture(
            lambda came, size: pixels_left(round(pixels / 2 * (1.0 - came / size))) if size else None
        )
        self._began = None
        if picture.size == pixels and picture.shape != (window.NumY, window.NumX):
            raise ProtocolError(f"the picture has {picture.shape[::-1]} pixels, not {window.NumX} x {window.NumY}")
        raw = await asyncio.to_thread(as_raw, picture)
        raw.flags.writeable = False
        pixels_left(0)
        return RawImage(raw, Layout.ASSEMBLED, (), await optional(self.camera.number("lastexposureduration")))

    async def abort(self) -> None:
        self._began = None
        if await self.state() in (CameraState.IDLE, CameraState.ERROR):
            return
        if self._facts.aborts:
            await self.camera.put("abortexposure")
        elif self._facts.stops:
            await self.camera.put("stopexposure")
        else:
            raise NotAllowedError(f"{self._facts.name} can neither abort nor stop an exposure; it ends by itself")
        end = asyncio.get_running_loop().time() + ABORT
        while await self.state() not in (CameraState.IDLE, CameraState.ERROR):
            if asyncio.get_running_loop().time() > end:
                raise TimeoutError(f"{self._facts.name} is not idle {ABORT:g} s after an abort")
            await asyncio.sleep(PERIOD)

    async def set_shutter(self, is_open: bool) -> None:
        raise NotAllowedError("the shutter of an Alpaca camera moves with exposures alone")

    async def shift_rows(self, rows: int) -> None:
        raise NotAllowedError("an Alpaca camera cannot shift rows")

    async def temperatures(self) -> list[Temperature]:
        found = []
        for name, member in self._facts.temperatures.items():
            celsius = await optional(self.camera.number(member))
            found.append(Temperature(name, math.nan if celsius is None else celsius))
        return found

    async def set_temperature(self, celsius: float | None) -> None:
        if not self._facts.sets_temperature:
            raise NotAllowedError(f"{self._facts.name} controls no temperature ({celsius} C was asked for)")
        if celsius is not None:
            await self.camera.put("setccdtemperature", SetCCDTemperature=celsius)
        await self.camera.put("cooleron", CoolerOn=celsius is not None)

    async def telemetry(self) -> Mapping[str, float]:
        facts, found = self._facts, {}
        if facts.tells_cooler_power:
            found["COOLER_%"] = await optional(self.camera.number("coolerpower"))
        if facts.sets_temperature:
            found["SETPOINT_C"] = await optional(self.camera.number("setccdtemperature"))
        return {name: math.nan if value is None else value for name, value in found.items()}

    def keywords(self) -> Mapping[str, tuple[str | int | float | bool, str]]:
        found: dict[str, tuple[str | int | float | bool, str]] = {"CONTROLR": ("Alpaca", "CCD controller")}
        facts = self.facts
        if facts is None:
            return found
        found |= {
            "CAMNAME": (facts.name, "name of the camera"),
            "CTRLVER": (facts.version, "version of the camera's driver"),
            "PIXSIZE1": (facts.pixel_um[0], "[um] width of a pixel, unbinned"),
            "PIXSIZE2": (facts.pixel_um[1], "[um] height of a pixel, unbinned"),
        }
        if facts.sensor:
            found["SENSOR"] = (facts.sensor, "name of the detector")
        if facts.electrons_per_adu is not None:
            found["EGAIN"] = (facts.electrons_per_adu, "[electron/adu] as the camera says")
        return found | self.video.keywords()

    async def state(self) -> CameraState:
        """What the camera does."""
        number = await self.camera.whole("camerastate")
        states = list(CameraState)
        if not 0 <= number < len(states):
            raise ProtocolError(f"CameraState = {number} is outside [0, {len(states) - 1}]")
        return states[number]

    @property
    def _facts(self) -> AlpacaFacts:
        if self.facts is None:
            raise NotConnectedError(f"the camera at Alpaca {self.camera.server.address} is not connected")
        return self.facts

    def _failed(self) -> RefusedError:
        return RefusedError(f"{self._facts.name} says that it is in the state ERROR; reset the controller")

    async def _ready(self, progress: PixelsLeft) -> None:
        """Wait for the image, as long as the read-out goes on."""
        loop = asyncio.get_running_loop()
        seen: Any = None
        end = 0.0
        while not await self.camera.flag("imageready"):
            state = await self.state()
            if state is CameraState.ERROR:
                raise self._failed()
            if state is CameraState.IDLE and not await self.camera.flag("imageready") and self._is_old():
                raise RefusedError(f"{self._facts.name} is idle and has no image: somebody aborted the exposure")
            percent = None
            if state in (CameraState.READING, CameraState.DOWNLOAD):
                percent = await optional(self.camera.whole("percentcompleted"))
                progress(min(100, max(0, percent or 0)))
            if (state, percent) != seen:
                seen, end = (state, percent), loop.time() + self.settings.frame_timeout
            elif loop.time() > end:
                raise TimeoutError(
                    f"{self._facts.name} is {state.value} and has made no progress in {self.settings.frame_timeout:g} s"
                )
            await asyncio.sleep(PERIOD)

    def _is_old(self) -> bool:
        began = self._began
        return began is None or asyncio.get_running_loop().time() - began > GRACE
