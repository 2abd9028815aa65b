"""The timing core of the simulated Archon: a script that its parameters steer.

It plays one fixed script, the one of ``dbconfig/ccd/archon.acf``, which knows the parameters of both wide-spread
families of scripts: Exposures, ContinuousExposures, IntMS x IntMul (or IntCS), NoIntMS x NoIntMul, StopExposure,
SweepCount, ShiftLines, ShiftLinesBack; and ReadOut, AbortExposure, DoFlush, FlushCount, WaitCount.
"""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import Awaitable, Callable

from devices.simulators._ccd.light import Exposure, Light
from devices.simulators.archon.settings import ArchonSettings

TICKS = 100_000_000
"""Per second."""


class TimingCore:
    """Runs the script.

    Args:
        read: reads the detector out into a frame buffer; it waits by `elapse`.
    Attributes:
        rising, falling: when the integration signal did so the last time, ticks; it stays low with the shutter shut.
    """

    def __init__(self, settings: ArchonSettings, read: Callable[[Exposure], Awaitable[None]]) -> None:
        self._settings = settings
        self._read = read
        self._began = time.monotonic()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.parameters: dict[str, int] = {}
        self.loaded = False
        self.held = False
        self.light = Light()
        self.exposure = Exposure()
        self.state = "IDLE"
        self.rising = self.falling = 0
        self.sweeps = 0
        self.resets = 0

    @property
    def ticks(self) -> int:
        return int((time.monotonic() - self._began) * TICKS) + TICKS

    def start(self) -> None:
        """Begin the script at its first line."""
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._script())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self.light.integrate(False)
        self.state = "IDLE"

    def reset(self) -> None:
        """RESETTIMING: the script begins anew, whatever it did; its parameters stay as they are."""
        self.resets += 1
        self.held = False
        self.exposure = Exposure()
        self.start()

    def hold(self, held: bool) -> None:
        self.held = held
        self._changed.set()

    def load(self, parameters: dict[str, int]) -> None:
        """Take over all parameters."""
        self.parameters = dict(parameters)
        self.loaded = True
        self._changed.set()

    def set(self, name: str, value: int) -> bool:
        """Change one; False: there is none of this name."""
        if name.upper() not in self.parameters or not 0 <= value < 1 << 20:
            return False
        self.parameters[name.upper()] = value
        self._changed.set()
        return True

    def value(self, name: str, default: int = 0) -> int:
        return self.parameters.get(name.upper(), default)

    async def elapse(self, seconds: float, ends: Callable[[], bool] = lambda: False) -> float:
        """Let so much time go by in which the core is not held, or until ``ends``; returns how much did, s."""
        left = seconds
        while (left > 0 or self.held) and not ends():
            self._changed.clear()
            began = time.monotonic()
            held = self.held
            try:
                async with asyncio.timeout(None if held else left):
                    await self._changed.wait()
            except builtins.TimeoutError:
                pass
            if not held:
                left -= time.monotonic() - began
        return seconds - left

    async def _script(self) -> None:
        while True:
            await self.elapse(0.0)
            if self.value("EXPOSURES") or self.value("CONTINUOUSEXPOSURES"):
                self._count_down("EXPOSURES")
                await self._expose()
                if self.value("READOUT", 1):
                    await self._read_out()
            elif self.value("READOUT"):
                await self._read_out()
            elif self.value("SWEEPCOUNT") or self.value("DOFLUSH"):
                await self._sweep()
            elif self.value("SHIFTLINES") or self.value("SHIFTLINESBACK"):
                await self._shift()
            else:
                self.state = "IDLE"
                self._changed.clear()
                if not self.held:
                    await self._changed.wait()

    async def _expose(self) -> None:
        self.state = "INTEGRATING"
        exposure, began = self.exposure, time.monotonic()
        self._clear_request("STOPEXPOSURE")
        self.light.clear()
        open_ms = self.value("INTMS") * max(1, self.value("INTMUL", 1)) + 10 * self.value("INTCS")
        closed_ms = self.value("NOINTMS") * max(1, self.value("NOINTMUL", 1))

        def stopped() -> bool:
            return bool(self.value("STOPEXPOSURE") or self.value("ABORTEXPOSURE"))

        if open_ms:
            self.rising = self.ticks
            self.light.integrate(True)
            gone = await self.elapse(open_ms / 1000, stopped)
            # The core shuts in time, however busy this host is.
            self.light.integrate(False, max(0.0, gone - open_ms / 1000))
            self.falling = self.ticks
        if closed_ms:
            await self.elapse(closed_ms / 1000, stopped)
        # It counts ms: one seed and the same exposures give the same images.
        exposure.open_s += round(self.light.seconds, 3)
        exposure.dark_s += time.monotonic() - began
        self._clear_request("STOPEXPOSURE")
        self._clear_request("ABORTEXPOSURE")

    async def _read_out(self) -> None:
        if "READOUT" in self.parameters:
            self.parameters["READOUT"] = 0
        self.state = "READING"
        exposure, self.exposure = self.exposure, Exposure()
        if waits := self.value("WAITCOUNT"):
            await self.elapse(float(waits))
        await self._read(exposure)

    async def _sweep(self) -> None:
        self.state = "SWEEPING"
        if self.value("DOFLUSH"):
            self.parameters["DOFLUSH"] = 0
            self.parameters["SWEEPCOUNT"] = max(1, self.value("FLUSHCOUNT", 1))
        while self.value("SWEEPCOUNT"):
            await self.elapse(self._settings.sweep_s)
            self._count_down("SWEEPCOUNT")
            self.sweeps += 1
        self.exposure = Exposure()

    async def _shift(self) -> None:
        self.state = "SHIFTING"
        for name, sign in (("SHIFTLINES", 1), ("SHIFTLINESBACK", -1)):
            rows = self.value(name)
            if rows:
                await self.elapse(rows * self._settings.row_s)
                self.exposure.shifted_rows += sign * rows
                self.parameters[name] = 0

    def _count_down(self, name: str) -> None:
        if self.value(name):
            self.parameters[name] -= 1

    def _clear_request(self, name: str) -> None:
        if name in self.parameters:
            self.parameters[name] = 0
