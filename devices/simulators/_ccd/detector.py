"""The detector behind a simulated controller: what light, cold and the video chain make of an exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.simulators._ccd.settings import CameraSettings

TILE = 1 << 20
"""Noise of so many pixels is made once and then taken from random places."""

CHUNK = 1 << 17
"""Pixels that are worked on at once, few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Axis:
    """How one tap is clocked along its lines or pixels; what the frame has beyond is overscan.

    Attributes:
        count: of the frame, binned.
        skip, under, data: clocks, unbinned: ``under`` are read, ``skip`` are not, ``data`` are read.
        pre_skip: clocks before ``under``, not read.
    """

    count: int
    skip: int
    under: int
    data: int
    binning: int = 1
    pre_skip: int = 0

    def parts(self, size: int, shift: int = 0) -> list[tuple[int, int, int]]:
        """(first of the frame, first clock, number in the frame) of what comes from a detector of so many pixels."""
        found = []
        place = 0
        behind = self.pre_skip + self.under + self.skip
        for clock, clocks in ((self.pre_skip, self.under), (behind, self.data)):
            number = min(clocks // self.binning, self.count - place)
            before = min(number, max(0, -(-(-clock - shift) // self.binning)))
            within = min(number - before, (size - clock - shift) // self.binning - before)
            if within > 0:
                found.append((place + before, clock + shift + before * self.binning, within))
            place += number
        return found


@dataclass(frozen=True)
class Window:
    """How every tap is read, in its own order of reading."""

    lines: Axis
    pixels: Axis


class Detector:
    """Charge, noise, bias. One random generator, so that a seed and the same exposures give the same images.

    Args:
        taps: their number.
        sky: of `make_sky`.
    """

    def __init__(self, settings: CameraSettings, taps: int, sky: NDArray[np.float32]) -> None:
        self.settings = settings
        self.taps = taps
        self._across, self._up = (taps, 1) if taps < 4 or taps % 2 else (taps // 2, 2)
        self._random = np.random.default_rng(settings.seed)
        self._noise = self._random.standard_normal(TILE, np.float32)
        self._bias = settings.bias_adu * (1.0 + 0.02 * self._random.standard_normal(taps))
        self._light = self._tap_light(sky)

    @property
    def tap_shape(self) -> tuple[int, int]:
        """Rows and columns of one tap, its prescan included."""
        rows, columns = self._light[0].shape
        return rows, columns + self.settings.prescan

    def image(
        self,
        window: Window,
        open_s: float,
        dark_s: float,
        celsius: float,
        open_s_per_row: float = 0.0,
        shifted_rows: int = 0,
    ) -> NDArray[np.uint16]:
        """What the taps read.

        Args:
            open_s, dark_s: time with light, and of the whole integration.
            open_s_per_row: light while rows are read, s per row: the shutter is open (a ramp).
            shifted_rows: before the read-out.
        Returns:
            (tap, line, pixel), uint16, in the order of reading.
        """
        lines, pixels = window.lines.count, window.pixels.count
        frame = np.empty((self.taps, lines, pixels), np.uint16)
        if self.settings.scene == "test":
            for tap in range(self.taps):
                frame[tap] = test_pattern(tap, lines, pixels)
            return frame
        dark = self.settings.dark_e_s * 2.0 ** ((celsius - 20.0) / 6.3) * dark_s
        rows = max(1, CHUNK // pixels)
        for tap in range(self.taps):
            seconds = np.full(self._light[tap].shape[0], open_s, np.float32)
            seconds += np.float32(open_s_per_row) * np.arange(seconds.size, dtype=np.float32)
            for first in range(0, lines, rows):
                last = min(first + rows, lines)
                charge = np.zeros((last - first, pixels), np.float32)
                self._collect(charge, self._light[tap], window, first, seconds, dark, shifted_rows)
                self._read(charge, tap, first, frame[tap, first:last])
            self._cosmic_rays(frame[tap], dark_s)
        return frame

    def _collect(
        self,
        charge: NDArray[np.float32],
        light: NDArray[np.float32],
        window: Window,
        first: int,
        seconds: NDArray[np.float32],
        dark: float,
        shifted: int,
    ) -> None:
        """Put electrons into some lines, from ``first``, of the frame of one tap."""
        lb, pb = window.lines.binning, window.pixels.binning
        for y, row, rows in window.lines.parts(light.shape[0], shifted):
            y0, y1 = max(y, first), min(y + rows, first + charge.shape[0])
            if y1 <= y0:
                continue
            top, bottom = row + (y0 - y) * lb, row + (y1 - y) * lb
            for x, column, columns in window.pixels.parts(light.shape[1], -self.settings.prescan):
                electrons = light[top:bottom, column : column + columns * pb] * seconds[top:bottom, np.newaxis]
                electrons += np.float32(dark)
                np.minimum(electrons, np.float32(self.settings.full_well_e), out=electrons)
                if lb > 1 or pb > 1:
                    electrons = electrons.reshape(y1 - y0, lb, columns, pb).sum((1, 3), dtype=np.float32)
                charge[y0 - first : y1 - first, x : x + columns] = electrons

    def _read(self, charge: NDArray[np.float32], tap: int, first: int, out: NDArray[np.uint16]) -> None:
        """Photon and read noise, gain, bias with its slope along the lines and its columns, 16 bits."""
        settings = self.settings
        start = int(self._random.integers(0, TILE - 1))
        noise = (
            np.take(self._noise, np.arange(start, start + charge.size), mode="wrap")
            if (start + charge.size > TILE)
            else self._noise[start : start + charge.size]
        )
        sigma = charge + np.float32(settings.read_noise_e**2)
        np.sqrt(sigma, out=sigma)
        sigma *= noise.reshape(charge.shape)
        charge += sigma
        charge *= np.float32(1.0 / settings.gain_e_adu)
        columns = np.arange(charge.shape[1], dtype=np.float32)
        # The first pixels of a line are higher: the video chain settles after the shift of the rows.
        charge += np.float32(self._bias[tap] + 0.5) + np.float32(6.0) * np.exp(columns * np.float32(-0.2))
        charge += (np.float32(2e-3) * np.arange(first, first + charge.shape[0], dtype=np.float32))[:, np.newaxis]
        np.clip(charge, 0.0, 65535.0, out=charge)
        out[:] = charge

    def _cosmic_rays(self, frame: NDArray[np.uint16], seconds: float) -> None:
        rate = self.settings.cosmic_rays_mpix_h / 3600.0 * frame.size / 1e6
        lines, pixels = frame.shape
        for _ in range(int(self._random.poisson(rate * seconds))):
            length = int(self._random.integers(1, 12))
            angle = self._random.uniform(0.0, math.pi)
            y = self._random.integers(lines) + np.round(np.arange(length) * math.sin(angle)).astype(int)
            x = self._random.integers(pixels) + np.round(np.arange(length) * math.cos(angle)).astype(int)
            inside = (y >= 0) & (y < lines) & (x >= 0) & (x < pixels)
            adu = self._random.uniform(500.0, 3000.0) / self.settings.gain_e_adu
            hit = frame[y[inside], x[inside]]
            frame[y[inside], x[inside]] = np.minimum(hit + adu, 65535.0).astype(np.uint16)

    def _tap_light(self, sky: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What falls onto each tap, as views in its order of reading: from its own corner of the detector."""
        rows, columns = sky.shape[0] // self._up, sky.shape[1] // self._across
        found = []
        for tap in range(self.taps):
            row, column = divmod(tap, self._across)
            part = sky[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
            found.append(part[:: -1 if row else 1, :: -1 if column % 2 else 1])
        return found


def test_pattern(tap: int, lines: int, pixels: int) -> NDArray[np.uint16]:
    """What tap ``tap`` shows with the scene ``test``: 4096 * tap + 31 * line + pixel, in 16 bits."""
    line = np.arange(lines, dtype=np.uint16)[:, np.newaxis] * np.uint16(31)
    return (line + np.arange(pixels, dtype=np.uint16) + np.uint16((4096 * tap) & 0xFFFF)).astype(np.uint16)
