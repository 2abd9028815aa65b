"""What each command of the simulated Archon does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from devices.simulators._ccd.detector import Axis, Detector, Window
from devices.simulators._ccd.light import Exposure
from devices.simulators._ccd.sky import make_sky
from devices.simulators.archon.frames import FrameBuffers, frame_of, framed
from devices.simulators.archon.housekeeping import HEATER_SLOT, NOT_CONFIGURED, Housekeeping
from devices.simulators.archon.memory import ConfigurationMemory
from devices.simulators.archon.settings import ArchonSettings, Faults
from devices.simulators.archon.timing import TimingCore

PROGRESS_S = 0.01
"""How often the number of pixels of a frame moves on, s."""


class Refused(Exception):
    """The answer is ``?``."""


class ArchonController:
    """The state behind the sockets.

    Attributes:
        commands: every command that came, in order.
    """

    def __init__(self, settings: ArchonSettings) -> None:
        self.settings = settings
        self.faults = Faults.of(settings.faults)
        self.memory = ConfigurationMemory()
        self.frames = FrameBuffers()
        self.timing = TimingCore(settings, self._read_out)
        self.housekeeping = Housekeeping(settings, self.faults, self.memory)
        self.commands: list[str] = []
        self._detector: Detector | None = None
        self._sky: asyncio.Future[NDArray[np.float32]] | None = None
        self._exact: dict[str, Callable[[], str]] = {
            "SYSTEM": lambda: self.housekeeping.system,
            "STATUS": lambda: self.housekeeping.status,
            "TIMER": lambda: f"TIMER={self.timing.ticks:016X}",
            "FRAME": lambda: self.frames.status(self.timing.ticks),
            "FETCHLOG": lambda: self.housekeeping.log.pop(0) if self.housekeeping.log else "(null)",
            "CLEARCONFIG": self._nothing(self.memory.clear),
            "APPLYALL": self._apply_all,
            "APPLYSYSTEM": self._apply_system,
            "APPLYCDS": self._apply_cds,
            "LOADTIMING": self._load_timing,
            "LOADPARAMS": self._load_parameters,
            "POWERON": lambda: self._power(True),
            "POWEROFF": lambda: self._power(False),
            "HOLDTIMING": self._nothing(lambda: self.timing.hold(True)),
            "RELEASETIMING": self._nothing(lambda: self.timing.hold(False)),
            "RESETTIMING": self._reset_timing,
            "POLLON": lambda: self._poll(True),
            "POLLOFF": lambda: self._poll(False),
            "BIASPOLLON": self._nothing(lambda: None),
            "BIASPOLLOFF": self._nothing(lambda: None),
        }
        self._patterns: list[tuple[re.Pattern[str], Callable[..., str]]] = [
            (re.compile(r"WCONFIG([0-9A-F]{4})(.+)", re.IGNORECASE), self._write_line),
            (re.compile(r"RCONFIG([0-9A-F]{4})", re.IGNORECASE), self._read_line),
            (re.compile(r"LOCK(\d)"), self._lock),
            (re.compile(r"APPLYMOD(\d+)"), self._apply_module),
            (re.compile(r"APPLYDIO(\d+)"), lambda slot: ""),
            (re.compile(r"(?:LOAD|PREP)PARAM (\w+)", re.IGNORECASE), self._load_parameter),
            (re.compile(r"FAST(?:LOAD|PREP)PARAM (\w+) (\d+)", re.IGNORECASE), self._set_parameter),
        ]

    def start(self) -> None:
        # Made at once: what is asked first does not wait for it.
        self._sky = asyncio.ensure_future(asyncio.to_thread(make_sky, self.settings))
        self.timing.start()

    def close(self) -> None:
        self.timing.stop()
        if self._sky is not None:
            self._sky.cancel()
        self.housekeeping.close()

    def answer(self, command: str) -> str | None:
        """The text of the reply; None: there is none.

        Raises:
            Refused: it is answered by ``?``.
        """
        self.commands.append(command)
        if any(command.startswith(beginning) for beginning in self.faults.refused):
            raise Refused
        if command in ("REBOOT", "WARMBOOT"):
            return None
        try:
            if exact := self._exact.get(command):
                return exact()
            for pattern, does in self._patterns:
                if found := pattern.fullmatch(command):
                    return does(*found.groups())
        except ValueError:
            raise Refused from None
        return None  # what it does not know it does not answer

    def reboot(self) -> None:
        """Everything is forgotten."""
        self.memory.clear()
        self.timing.stop()
        self.timing.parameters.clear()
        self.timing.held = False
        self.housekeeping.power = NOT_CONFIGURED
        self.housekeeping.cryostat.heat(None)
        self.frames = FrameBuffers()
        self.timing.start()

    # Configuration

    def _write_line(self, number: str, line: str) -> str:
        if int(number, 16) in self.faults.wrong_lines:
            line = line[:-1]
        self.memory.write(int(number, 16), line)
        return ""

    def _read_line(self, number: str) -> str:
        return self.memory.read(int(number, 16))

    def _apply_all(self) -> str:
        if not self.memory.values:
            raise Refused
        self._apply_cds()
        self._load_timing()
        self._apply_system()
        self.housekeeping.applied()
        return ""

    def _apply_cds(self) -> str:
        self.frames.divide(bool(self.memory.integer("BIGBUF")))
        if self.memory.integer("LINECOUNT") < 0 or self.memory.integer("PIXELCOUNT") < 0:
            raise Refused
        return ""

    def _apply_system(self) -> str:
        forced = bool(self.memory.integer("TRIGOUTFORCE"))
        self.timing.light.force(bool(self.memory.integer("TRIGOUTLEVEL")) if forced else None)
        return ""

    def _apply_module(self, slot: str) -> str:
        if int(slot) == HEATER_SLOT:
            self.housekeeping.apply_heater()
        return ""

    def _load_timing(self) -> str:
        self.timing.load(self.memory.parameters)
        self.timing.held = False
        self.timing.start()
        return ""

    def _load_parameters(self) -> str:
        self.timing.load(self.memory.parameters)
        return ""

    def _load_parameter(self, name: str) -> str:
        value = self.memory.parameters.get(name.upper())
        if value is None or not self.timing.set(name, value):
            raise Refused
        return ""

    def _set_parameter(self, name: str, value: str) -> str:
        if not self.timing.set(name, int(value)):
            raise Refused
        return ""

    def _power(self, on: bool) -> str:
        if not self.housekeeping.set_power(on):
            raise Refused
        return ""

    def _reset_timing(self) -> str:
        self.timing.reset()
        return ""

    def _poll(self, on: bool) -> str:
        self.housekeeping.polling = on
        return ""

    def _lock(self, number: str) -> str:
        if int(number) > len(self.frames.buffers):
            raise Refused
        self.frames.locked = int(number)
        return ""

    def _nothing(self, does: Callable[[], None]) -> Callable[[], str]:
        def answer() -> str:
            does()
            return ""

        return answer

    # Frames

    async def prepare(self) -> None:
        """Make the detector for the configuration, so that no frame has to wait for it."""
        taps = len(self.memory.taps)
        if taps and (self._detector is None or self._detector.taps != taps):
            assert self._sky is not None, "not started"
            sky = await asyncio.shield(self._sky)
            self._detector = await asyncio.to_thread(Detector, self.settings, taps, sky)

    def _window(self) -> Window:
        value = self.timing.value
        lines, pixels = self.memory.integer("LINECOUNT"), self.memory.integer("PIXELCOUNT")
        lb, pb = max(1, value("VERTICALBINNING", 1)), max(1, value("HORIZONTALBINNING", 1))
        return Window(
            Axis(lines, value("PRESKIPLINES"), value("UNDERSCANLINES"), value("LINES"), lb),
            Axis(pixels, value("PRESKIPPIXELS"), value("UNDERSCANPIXELS"), value("PIXELS"), pb),
        )

    async def _read_out(self, exposure: Exposure) -> None:
        await self.prepare()
        detector, window, taps = self._detector, self._window(), self.memory.taps
        if self.faults.wrong_frame:
            window = replace(window, pixels=replace(window.pixels, count=window.pixels.count - 1))
        lines, pixels = window.lines.count, window.pixels.count
        if detector is None or lines <= 0 or pixels <= 0:
            return  # nothing that a frame could be made of is configured
        mode, wide = self.memory.integer("FRAMEMODE"), bool(self.memory.integer("SAMPLEMODE"))
        half = 2 if mode == 2 else 1
        clocked = lines * window.lines.binning + window.lines.skip + self.timing.value("POSTSKIPLINES")
        delay = lines * self.timing.value("LINEDELAY") * 1e-6
        seconds = lines * pixels / self.settings.pixel_rate_hz + clocked * self.settings.row_s + delay
        buffer = self.frames.next()
        buffer.begin(self.frames.frame, lines * half, pixels * len(taps) // half, int(wide), mode)
        buffer.timestamp, buffer.rising, buffer.falling = self.timing.ticks, self.timing.rising, self.timing.falling
        per_row = seconds / lines if self.timing.light.open else 0.0
        celsius = self.housekeeping.cryostat.celsius
        work = asyncio.ensure_future(
            asyncio.to_thread(
                _render, detector, window, exposure, celsius, per_row, [tap.endswith("R") for tap in taps], mode, wide
            )
        )
        try:
            read = 0.0
            while read < seconds:
                read += await self.timing.elapse(min(PROGRESS_S, seconds - read))
                whole, part = divmod(lines * read / seconds, 1.0)
                buffer.lines, buffer.pixels = min(lines, int(whole)), int(pixels * part)
            blocks = await work
        except asyncio.CancelledError:
            work.cancel()
            raise
        if self.faults.no_frame:
            return
        buffer.framed, buffer.lines, buffer.pixels = blocks, lines, pixels
        buffer.complete = True


def _render(
    detector: Detector,
    window: Window,
    exposure: Exposure,
    celsius: float,
    per_row: float,
    reversed_taps: list[bool],
    mode: int,
    wide: bool,
) -> NDArray[np.uint8]:
    taps = detector.image(window, exposure.open_s, exposure.dark_s, celsius, per_row, exposure.shifted_rows)
    return framed(frame_of(taps, reversed_taps, mode, wide))
