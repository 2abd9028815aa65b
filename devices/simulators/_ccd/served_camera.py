"""A CCD behind a simulated controller server: it integrates, reads out, and holds the image until it is fetched."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from numpy.typing import NDArray

from devices.simulators._ccd.cryostat import Cryostat
from devices.simulators._ccd.detector import Detector, Window
from devices.simulators._ccd.light import Exposure, Light
from devices.simulators._ccd.settings import CameraSettings
from devices.simulators._ccd.sky import make_sky

PROGRESS_S = 0.01
"""How often the number of pixels moves on, s."""


class ServedCamera:
    """Integrates and reads out, whatever words ask it to.

    Attributes:
        exposure_s: of the integration; one that goes on follows `plan_end`.
        opens_shutter: whether an integration opens the shutter.
        pixels_read: of the read-out that goes on, or of the last one.
        image: the last image as it goes over the wire, uint16; empty: there is none, or it is not ready.
        clears: how often the detector was cleared.
    """

    def __init__(self, settings: CameraSettings) -> None:
        self.settings = settings
        self.light = Light()
        self.cryostat = Cryostat(settings.cold_c)
        self.exposure_s = 0.0
        self.opens_shutter = False
        self.pixels_read = 0
        self.image: NDArray[np.uint16] = np.empty(0, np.uint16)
        self.clears = 0
        self._exposure = Exposure()
        self._elapsed = 0.0
        self._since: float | None = None
        self._shut: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self._sky: asyncio.Future[NDArray[np.float32]] | None = None
        self._detector: Detector | None = None

    def start(self) -> None:
        # Made at once: the first image does not wait for it.
        self._sky = asyncio.ensure_future(asyncio.to_thread(make_sky, self.settings))

    def close(self) -> None:
        self.stop()
        if self._sky is not None:
            self._sky.cancel()

    # The integration

    @property
    def integrating(self) -> bool:
        return self._since is not None

    @property
    def reading(self) -> bool:
        return self._reading is not None and not self._reading.done()

    @property
    def elapsed_s(self) -> float:
        """Of the integration, or of the last one."""
        since = time.monotonic() if self._since is None else self._since
        elapsed = self._elapsed + time.monotonic() - since
        return min(elapsed, self.exposure_s)

    def begin(self) -> None:
        """Begin to integrate; what is on the detector stays there."""
        self._end_reading()
        self.hold()
        self._collect()
        self.go_on()

    def go_on(self) -> None:
        """Integrate, as long as is left."""
        if self._since is None:
            self._since = time.monotonic()
            self.light.integrate(self.opens_shutter)
            self.plan_end()

    def plan_end(self) -> None:
        """The shutter shuts when the time is over, which may have been changed."""
        if self._shut is not None:
            self._shut.cancel()
        left = self.exposure_s - self.elapsed_s
        if self.integrating:
            self._shut = asyncio.get_running_loop().call_later(max(0.0, left), self.hold)

    def hold(self) -> None:
        """Shutter shut, clock stopped: a pause, or the end."""
        if self._shut is not None:
            self._shut.cancel()
            self._shut = None
        late_s = 0.0
        if self._since is not None:
            late_s = max(0.0, self._elapsed + time.monotonic() - self._since - self.exposure_s)
            self._elapsed = self.elapsed_s
            self._since = None
        self.light.integrate(False, late_s)

    def stop(self) -> None:
        """End integration and read-out; what was collected stays for nobody."""
        self.hold()
        self._end_reading()
        self._collect()
        self._exposure = Exposure()

    def clear(self) -> None:
        """The detector is empty."""
        self._collect()
        self._exposure = Exposure()
        self.clears += 1

    def shift(self, rows: int) -> None:
        self._collect()
        self._exposure.shifted_rows += rows

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None

    def _collect(self) -> None:
        """What came since the last time belongs to the exposure."""
        self._exposure.open_s += self.light.seconds
        self._exposure.dark_s += self._elapsed
        self.light.clear()
        self._elapsed = 0.0

    # The read-out

    def read(self, window: Window, amps: int, order: tuple[int, ...] = (), row_delay_s: float = 0.0) -> None:
        """Begin to read out; an integration that goes on ends.

        Args:
            amps: their number.
            order: the n-th amplifier of the stream is amplifier order[n]; empty: as they are.
            row_delay_s: before each row.
        """
        self.hold()
        self._collect()
        exposure, self._exposure = self._exposure, Exposure()
        self.pixels_read, self.image = 0, np.empty(0, np.uint16)
        self._reading = asyncio.get_running_loop().create_task(
            self._read(window, amps, order or tuple(range(amps)), row_delay_s, exposure)
        )

    def show(self, stream: NDArray[np.uint16]) -> None:
        """Read out at once what is not of the detector: a synthetic image."""
        self.hold()
        self._exposure = Exposure()
        self._ready(stream)

    async def _read(
        self, window: Window, amps: int, order: tuple[int, ...], row_delay_s: float, exposure: Exposure
    ) -> None:
        assert self._sky is not None, "not started"
        if self._detector is None or self._detector.taps != amps:
            sky = await asyncio.shield(self._sky)
            self._detector = await asyncio.to_thread(Detector, self.settings, amps, sky)
        lines, pixels = window.lines.count, window.pixels.count
        seconds = lines * pixels / self.settings.pixel_rate_hz
        seconds += (lines * window.lines.binning + window.lines.skip) * self.settings.row_s + lines * row_delay_s
        per_row = seconds / max(1, lines) if self.light.open else 0.0
        work = asyncio.ensure_future(
            asyncio.to_thread(_stream, self._detector, window, exposure, self.cryostat.celsius, per_row, order)
        )
        try:
            began = time.monotonic()
            while (read := (time.monotonic() - began)) < seconds:
                self.pixels_read = int(amps * lines * pixels * read / seconds)
                await asyncio.sleep(min(PROGRESS_S, seconds - read))
            self._ready(await work)
        finally:
            work.cancel()

    def _ready(self, stream: NDArray[np.uint16]) -> None:
        self.image = stream.reshape(-1)
        self.pixels_read = stream.size


def _stream(
    detector: Detector, window: Window, exposure: Exposure, celsius: float, per_row: float, order: tuple[int, ...]
) -> NDArray[np.uint16]:
    """Pixel 0 of each amplifier, pixel 1 of each, ... in the order of reading: (line, pixel, amp)."""
    taps = detector.image(window, exposure.open_s, exposure.dark_s, celsius, per_row, exposure.shifted_rows)
    return np.ascontiguousarray(np.moveaxis(taps[list(order)], 0, 2)).astype("<u2", copy=False)
