"""The sky that simulated nodes see: noise, pulses, interference."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.drivers.correlator_npy import TYPES
from devices.pipelines.search.band import Band
from devices.pipelines.search.pulse import dispersed_pulse
from devices.simulators.correlator.settings import NodeSettings

#: Rows of noise that two nodes of a gulp are apart at least: more than a point source is large.
APART_ROWS: Final = 8
#: Noise that there is, in images; each node takes a part of it at a place that changes with each gulp.
IMAGES: Final = 3
#: A pulse begins within this part of its period.
LOOSE: Final = 0.5
#: What random numbers are for; each has its own.
_NOISE, _OFFSETS, _PULSES, _RFI, _FAULTS = range(5)


@dataclass(frozen=True)
class SkyPulse:
    """A pulse of a point source.

    Attributes:
        y, x: pixel. dm: pc/cm3. width: samples.
        arrival: when it begins at the lowest centre frequency, samples from the first gulp's first; need not be whole.
        snr: in its pixel over all channels, without a spatial filter, sigma. snr_filtered: with a perfect one.
        amplitude: of its pixel in each channel and sample.
    """

    y: int
    x: int
    dm: float
    width: int
    arrival: float
    snr: float
    snr_filtered: float
    amplitude: float


class Sky:
    """What all nodes see; the same in all processes with the same settings."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._band = Band.dsa110(settings.nodes, settings.sample_s)
        self._lead = float(np.max(self._band.lead_samples(settings.dm_most)))
        self.dtype = np.dtype(TYPES[settings.datasize]).newbyteorder("<")
        rows = max(IMAGES * settings.size, settings.size + 2 * APART_ROWS * settings.nodes)
        noise = self._random(_NOISE).standard_normal((rows, settings.size, settings.samples), np.float32)
        noise *= settings.sigma
        self._noise = (np.rint(noise) if self.dtype.kind == "i" else noise).astype(self.dtype)
        self._source = _point_source(settings.fwhm_px)

    def image(self, gulp: int, node: int) -> list[NDArray[np.generic]]:
        """What a node sends of a gulp, in parts, one below the other, so that rows without a pulse are not copied.

        Returns:
            Axes (y, x, sample) each; not to be written to.
        """
        settings = self._settings
        places = (len(self._noise) - settings.size) // APART_ROWS + 1
        row = int(self._random(_OFFSETS, gulp).permutation(places)[node]) * APART_ROWS
        noise = self._noise[row : row + settings.size]
        pulses, ripple = self._pulses_in(gulp), self._ripple(gulp)
        if not pulses and ripple is None:
            return [noise]
        half = len(self._source) // 2
        top = 0 if ripple is not None else max(0, min(pulse.y for pulse in pulses) - half)
        bottom = settings.size if ripple is not None else max(pulse.y for pulse in pulses) + half + 1
        seen = noise[top:bottom].astype(np.float64)
        for pulse in pulses:
            self._add(seen, top, pulse, gulp, node)
        if ripple is not None:
            sample, pattern = ripple
            seen[:, :, sample] += pattern
        if self.dtype.kind == "i":
            np.rint(seen, out=seen)
        parts = [noise[:top], seen.astype(self.dtype, copy=False), noise[bottom:]]
        return [part for part in parts if len(part)]

    def pulse(self, number: int) -> SkyPulse:
        """A pulse of all time; 0 is the first."""
        settings, random = self._settings, self._random(_PULSES, number)
        edge = settings.size // 8
        y, x = (int(each) for each in random.integers(edge, settings.size - edge, 2))
        snr = random.uniform(settings.snr_least, settings.snr_most)
        width = int(random.integers(1, settings.width_most + 1))
        amplitude = snr * settings.sigma / math.sqrt(settings.nodes * width)
        return SkyPulse(
            y=y,
            x=x,
            dm=random.uniform(0.0, settings.dm_most),
            width=width,
            arrival=float((number + 1 + random.uniform(0.0, LOOSE)) * settings.pulse_every_s / settings.sample_s),
            snr=snr,
            snr_filtered=snr * float(np.sqrt(np.sum(self._source**2))),
            amplitude=amplitude,
        )

    def arriving(self, gulp: int) -> list[SkyPulse]:
        """Pulses that begin in a gulp at the lowest frequency."""
        samples = self._settings.samples
        return [each for each in self._pulses_in(gulp) if gulp * samples <= each.arrival < (gulp + 1) * samples]

    def truth(self, pulse: SkyPulse, first_mjd: float) -> dict[str, Any]:
        """A pulse for people and programs; ``sample`` counts from the first of its gulp."""
        samples = self._settings.samples
        mjd = first_mjd + pulse.arrival * self._settings.sample_s / 86400.0
        return asdict(pulse) | {"gulp": int(pulse.arrival // samples), "sample": pulse.arrival % samples, "mjd": mjd}

    def fault(self, gulp: int, node: int) -> float:
        """0 to 1: what goes wrong with a gulp of a node."""
        return float(self._random(_FAULTS, gulp, node).random())

    def _pulses_in(self, gulp: int) -> list[SkyPulse]:
        settings = self._settings
        if not settings.pulse_every_s:
            return []
        # Channels above the lowest one see it earlier: it may show in gulps before the one that it arrives in.
        begin, end = gulp * settings.samples, (gulp + 1) * settings.samples
        every = settings.pulse_every_s / settings.sample_s
        numbers = range(
            max(0, math.floor((begin - settings.width_most) / every - 1 - LOOSE)), math.ceil((end + self._lead) / every)
        )
        found = [self.pulse(number) for number in numbers]
        return [each for each in found if begin - each.width < each.arrival < end + self._lead]

    def _add(self, rows: NDArray[np.float64], top: int, pulse: SkyPulse, gulp: int, node: int) -> None:
        """Add a pulse to rows of an image, the first of which is ``top``."""
        samples = self._settings.samples
        times = dispersed_pulse(self._band, pulse.dm, pulse.width, pulse.arrival - gulp * samples, samples)[node]
        half = len(self._source) // 2
        y, x = pulse.y - half, pulse.x - half
        ys = slice(max(0, top, y), min(self._settings.size, pulse.y + half + 1))
        xs = slice(max(0, x), min(self._settings.size, pulse.x + half + 1))
        seen = self._source[ys.start - y : ys.stop - y, xs.start - x : xs.stop - x]
        rows[ys.start - top : ys.stop - top, xs] += pulse.amplitude * seen[..., np.newaxis] * times

    def _ripple(self, gulp: int) -> tuple[int, NDArray[np.float64]] | None:
        """Interference from the ground: sample and image."""
        settings, random = self._settings, self._random(_RFI, gulp)
        if not settings.rfi_every_s or random.random() >= settings.gulp_s / settings.rfi_every_s:
            return None
        waves = random.uniform(2.0, 0.25 * settings.size, 2)
        y, x = np.ogrid[: settings.size, : settings.size]
        phase = 2.0 * np.pi * (waves[0] * y + waves[1] * x) / settings.size
        return int(random.integers(settings.samples)), settings.rfi_sigma * settings.sigma * np.cos(phase)

    def _random(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self._settings.seed, *(each + 1 for each in key)])  # from -1 up


def _point_source(fwhm_px: float) -> NDArray[np.float64]:
    """A round Gaussian, 1 in its middle; axes (y, x), odd."""
    half = math.ceil(2.0 * fwhm_px)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    return np.asarray(np.exp(-4.0 * math.log(2.0) * (y**2 + x**2) / fwhm_px**2), np.float64)
