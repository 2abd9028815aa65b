"""Simulated cut-outs of pulses from the sky and of interference, to train and to test classifiers with.

A cut-out is de-dispersed and centred, as `devices.pipelines.candidates.cut_out` makes it, axes (channel, sample, y, x).
Its noise has a standard deviation of 1 before baselines are removed; amplitudes are such that the search would find the
event with the significance that was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.trials import WIDTHS

CHANNELS: Final = 16
SAMPLES: Final = 25
SIZE: Final = 11
#: Beam, pixels: images have about 3 pixels per full width at half maximum.
FWHM_PX: Final = (2.4, 4.0)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """Simulated events.

    Attributes:
        cutouts: axes (event, channel, sample, y, x), float32.
        is_rfi: whether it is interference; axis: event.
        kinds: what was simulated; axis: event.
        snr: significance with which the search would find it, sigma; axis: event.
        widths: of the boxcar that would find it, samples; axis: event.
    """

    cutouts: NDArray[np.float32]
    is_rfi: NDArray[np.bool_]
    kinds: tuple[str, ...]
    snr: Array
    widths: NDArray[np.int64]


class Scene:
    """What one event is made of: a beam, times, a band.

    Attributes:
        rng: the source of chance.
        ghz: frequency of each channel, falling.
        width: duration, samples.
        start: where it begins, samples; its middle lies in the middle of the cut-out, to a sample.
    """

    def __init__(self, rng: np.random.Generator, channels: int) -> None:
        self.rng = rng
        sixteen = np.asarray(Band.dsa110(CHANNELS).frequencies_mhz) / 1000.0
        self.ghz = sixteen.reshape(channels, -1).mean(axis=1)
        self.width = float(np.exp2(rng.uniform(0.0, 4.0)))
        self.start = 0.5 * (SAMPLES - self.width) + rng.uniform(-0.5, 0.5)
        self._fwhm_px = rng.uniform(*FWHM_PX)
        self._lobes = rng.uniform(0.0, 0.15)
        self._lobe_px = rng.uniform(4.0, 8.0)
        self._arms, self._turn, self._phase = rng.integers(2, 7), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)

    def beam(self, y: Array, x: Array, stretch: float = 1.0) -> Array:
        """The point spread function of each channel about (y, x), arrays (channel,), pixels; axes (channel, y, x)."""
        pixel = np.arange(SIZE) - SIZE // 2
        dy = pixel[np.newaxis, :, np.newaxis] - y[:, np.newaxis, np.newaxis]
        dx = pixel[np.newaxis, np.newaxis, :] - x[:, np.newaxis, np.newaxis]
        scale = (self.ghz / self.ghz.mean())[:, np.newaxis, np.newaxis] / stretch
        radius = np.hypot(dy, dx) * scale
        core = np.exp(-4.0 * np.log(2.0) * (radius / self._fwhm_px) ** 2)
        arms = 0.5 * (1.0 + np.cos(self._arms * (np.arctan2(dy, dx) - self._turn)))
        lobes = np.cos(2 * np.pi * radius / self._lobe_px + self._phase) * arms * (1.0 - core)
        return np.asarray(core + self._lobes * lobes, np.float64)

    def point(self, reach_px: float = 0.6) -> Array:
        """The beam about a point near the middle; axes (channel, y, x)."""
        y, x = self.rng.uniform(-reach_px, reach_px, 2)
        return self.beam(np.full(len(self.ghz), y), np.full(len(self.ghz), x))

    def boxcar(self, delay: Array | float = 0.0, scatter: bool = False) -> Array:
        """What part of each sample the event covers, later by ``delay`` (channel,), samples; axes (channel, sample)."""
        begins = (self.start + np.broadcast_to(delay, self.ghz.shape))[:, np.newaxis]
        sample = np.arange(SAMPLES)[np.newaxis, :]
        covered = np.clip(np.minimum(sample + 1, begins + self.width) - np.maximum(sample, begins), 0.0, 1.0)
        if scatter:
            tail = np.exp(-np.arange(SAMPLES) / self.rng.uniform(0.3, max(0.4, 0.4 * self.width)))
            covered = np.stack([np.convolve(row, tail / tail.sum())[:SAMPLES] for row in covered])
        return np.asarray(covered, np.float64)

    def sweep(self, samples: float) -> Array:
        """A dispersion delay, 0 in the lowest and ``samples`` in the highest channel; axis: channel."""
        law = self.ghz[-1] ** -2 - self.ghz**-2
        return np.asarray(samples * law / law[0], np.float64)

    def spectrum(self) -> Array:
        """Of a source in the sky: a power law, scintillating, some of them limited to a part of the band; > 0."""
        place = np.linspace(-0.5, 0.5, len(self.ghz))
        flux = (self.ghz / self.ghz.mean()) ** self.rng.uniform(-4.0, 4.0)
        flux *= np.exp(self.rng.uniform(0.0, 0.4) * self.rng.standard_normal(len(flux)))
        if self.rng.random() < 0.25:
            flux *= np.exp(-0.5 * ((place - self.rng.uniform(-0.3, 0.3)) / self.rng.uniform(0.3, 0.8)) ** 2)
        return np.asarray(flux, np.float64)


def _product(spectrum: Array, times: Array, images: Array) -> Array:
    return spectrum[:, np.newaxis, np.newaxis, np.newaxis] * times[:, :, np.newaxis, np.newaxis] * images[:, np.newaxis]


def pulse(scene: Scene) -> Array:
    """A dispersed pulse from the sky; the trial's DM misses its own by half a step at most."""
    scatter = bool(scene.rng.random() < 0.3)
    miss = scene.sweep(scene.rng.uniform(-1.0, 1.0) * min(2.0, 0.5 + 0.25 * scene.width))
    return _product(scene.spectrum(), scene.boxcar(miss, scatter), scene.point())


def narrow_band(scene: Scene) -> Array:
    """A transmitter: a fifth of the band at most; a point or broad."""
    flux = np.zeros(len(scene.ghz))
    wide = int(scene.rng.integers(1, max(1, len(flux) // 5) + 1))
    first = int(scene.rng.integers(0, len(flux) - wide + 1))
    flux[first : first + wide] = scene.rng.uniform(0.5, 1.0, wide)
    return _product(flux, scene.boxcar(), scene.point() if scene.rng.random() < 0.6 else _blob(scene))


def _blob(scene: Scene) -> Array:
    y, x = scene.rng.uniform(-2.5, 2.5, 2)
    return scene.beam(np.full(len(scene.ghz), y), np.full(len(scene.ghz), x), scene.rng.uniform(2.2, 8.0))


def extended(scene: Scene) -> Array:
    """Broad-band and larger than the beam: near-field transmitters, gain steps; up to the whole image."""
    return _product(scene.spectrum(), scene.boxcar(), _blob(scene))


def stripes(scene: Scene) -> Array:
    """A fringe over the image, as one bad baseline makes it; finer in higher channels."""
    angle, phase = scene.rng.uniform(0, 2 * np.pi, 2)
    pixel = np.arange(SIZE) - SIZE // 2
    along = np.cos(angle) * pixel[:, np.newaxis] + np.sin(angle) * pixel[np.newaxis, :]
    turns = along / scene.rng.uniform(3.0, 9.0)
    grows = (scene.ghz / scene.ghz.mean())[:, np.newaxis, np.newaxis]
    fringe = np.cos(2 * np.pi * turns[np.newaxis] * grows + 0.2 * phase)
    return _product(scene.spectrum(), scene.boxcar(), fringe)


def edge(scene: Scene) -> Array:
    """A bright row or column, or a step in time that stays: what borders of images and of gulps leave."""
    if scene.rng.random() < 0.5:
        line = np.zeros((SIZE, SIZE))
        place = SIZE // 2 + int(scene.rng.integers(-1, 2))
        line[place] = scene.rng.uniform(0.5, 1.0, SIZE)
        line = line if scene.rng.random() < 0.5 else line.T
        return _product(scene.spectrum(), scene.boxcar(), np.broadcast_to(line, (len(scene.ghz), SIZE, SIZE)))
    step = (np.arange(SAMPLES) >= scene.start)[np.newaxis, :] * np.ones((len(scene.ghz), 1))
    return _product(scene.spectrum(), step, _blob(scene))


def sidelobe(scene: Scene) -> Array:
    """The lobe of a strong source elsewhere: nearer to it in higher channels, by an eighth over the band."""
    angle, away_px = scene.rng.uniform(0, 2 * np.pi), scene.rng.uniform(35.0, 120.0)
    moves = away_px * (scene.ghz.mean() / scene.ghz - 1.0)
    return _product(scene.spectrum(), scene.boxcar(), scene.beam(moves * np.sin(angle), moves * np.cos(angle)))


def drifting(scene: Scene) -> Array:
    """A satellite or an aircraft: passes through the image while it is seen."""
    scene.width = scene.rng.uniform(5.0, 20.0)
    scene.start = 0.5 * (SAMPLES - scene.width)
    angle, path_px = scene.rng.uniform(0, 2 * np.pi), scene.rng.uniform(4.5, 12.0)
    place = path_px * ((np.arange(SAMPLES) - SAMPLES // 2) / scene.width)
    channel = np.ones(len(scene.ghz))
    images = np.stack([scene.beam(p * np.sin(angle) * channel, p * np.cos(angle) * channel) for p in place])
    covered = scene.boxcar() * scene.spectrum()[:, np.newaxis]
    return np.asarray(covered[:, :, np.newaxis, np.newaxis] * images.transpose(1, 0, 2, 3), np.float64)


def wrong_sweep(scene: Scene) -> Array:
    """Not dispersed, or not by the law of plasma: found at a trial that is not its own, it is slanted."""
    scene.width = float(np.exp2(scene.rng.uniform(0.0, 2.0)))
    scene.start = 0.5 * (SAMPLES - scene.width)
    slant = (2.0 * scene.width + scene.rng.uniform(2.0, 12.0)) * scene.rng.choice([-1.0, 1.0])
    line = scene.rng.random() < 0.3
    delay = np.linspace(slant, 0.0, len(scene.ghz)) if line else scene.sweep(float(slant))
    return _product(scene.spectrum(), scene.boxcar(delay - 0.5 * slant), scene.point())


RFI: Final[dict[str, Callable[[Scene], Array]]] = {
    "narrow band": narrow_band,
    "extended": extended,
    "stripes": stripes,
    "edge": edge,
    "side lobe": sidelobe,
    "drifting": drifting,
    "wrong sweep": wrong_sweep,
}


def simulate(count: int, seed: int, snr: tuple[float, float] = (7.0, 60.0), rfi_share: float = 0.5) -> Events:
    """``count`` events; the same ones for the same seed.

    Args:
        snr: least and greatest significance, sigma; their logarithms are drawn evenly.
        rfi_share: part of the events that is interference, all its kinds alike.
    """
    rng = np.random.default_rng(seed)
    cutouts = np.empty((count, CHANNELS, SAMPLES, SIZE, SIZE), np.float32)
    kinds, strengths, widths = [], np.empty(count), np.empty(count, np.int64)
    for index in range(count):
        name = str(rng.choice(list(RFI))) if rng.random() < rfi_share else "pulse"
        strengths[index] = np.exp(rng.uniform(*np.log(snr)))
        cutouts[index], widths[index] = _event(rng, RFI.get(name, pulse), float(strengths[index]))
        kinds.append(name)
    return Events(cutouts, np.array([kind != "pulse" for kind in kinds], np.bool_), tuple(kinds), strengths, widths)


def _event(rng: np.random.Generator, make: Callable[[Scene], Array], snr: float) -> tuple[NDArray[np.float32], int]:
    channels = int(rng.choice([4, 8, 16], p=[0.08, 0.08, 0.84]))
    scene = Scene(rng, channels)
    signal = make(scene)
    correlation_px = rng.uniform(0.6, 1.2) if rng.random() < 0.5 else 0.0
    found, width = _found(signal, correlation_px)
    cutout = np.asarray(signal * (snr / found), np.float32)
    noise = rng.standard_normal(cutout.shape, np.float32)
    if correlation_px:
        root = _noise_root(correlation_px)
        noise = np.asarray(root @ noise @ root.T, np.float32)
    cutout += noise
    present = rng.random(channels) > (rng.uniform(0.0, 0.3) if rng.random() < 0.3 else 0.0)
    if rng.random() < 0.3 and width <= 8:
        # numpy's median takes ten times as long as sorting.
        cutout -= np.sort(cutout, axis=1)[:, SAMPLES // 2 : SAMPLES // 2 + 1]
    cutout[~present] = 0.0
    _cut_edges(rng, scene, cutout)
    return np.repeat(cutout, CHANNELS // channels, axis=0), width


def _found(signal: Array, correlation_px: float) -> tuple[float, int]:
    """Significance in noise of 1 and the width that gives it.

    Where the pixels' noise is white the search weights them by the beam, else the pixel itself is the best estimate.
    0.3 of its energy at least, so that what the search would hardly find does not become immense.
    """
    pixel = np.arange(SIZE) - SIZE // 2
    weight = np.exp(-4.0 * np.log(2.0) * (pixel / float(np.mean(FWHM_PX))) ** 2)
    beam = image = np.outer(weight, weight)
    if correlation_px:
        image = np.zeros((SIZE, SIZE))
        image[SIZE // 2, SIZE // 2] = 1.0
    series = np.einsum("ctyx,yx->t", signal, image) / np.sqrt(len(signal) * np.sum(image**2))
    best, width = max((float(np.max(np.convolve(series, np.ones(w), "valid"))) / np.sqrt(w), w) for w in WIDTHS)
    energy = np.sqrt(np.sum(np.einsum("ctyx,ctyx->yx", signal, signal) * beam))
    return max(best, 0.3 * float(energy)), width


def _noise_root(correlation_px: float) -> NDArray[np.float32]:
    """A matrix that makes white noise along an axis into that of images whose beam has this standard deviation."""
    pixel = np.arange(SIZE)
    covariance = np.exp(-0.25 * ((pixel[:, np.newaxis] - pixel) / correlation_px) ** 2)
    return np.asarray(np.linalg.cholesky(covariance + 1e-6 * np.eye(SIZE)), np.float32)


def _cut_edges(rng: np.random.Generator, scene: Scene, cutout: NDArray[np.float32]) -> None:
    """0 where there are no data: beyond the image, before the first sample that is kept, after the gulp's last."""
    if rng.random() < 0.1:
        lost = int(rng.integers(1, SIZE // 2))
        rows = cutout if rng.random() < 0.5 else cutout.swapaxes(2, 3)
        rows[:, :, slice(0, lost) if rng.random() < 0.5 else slice(SIZE - lost, SIZE)] = 0.0
    if rng.random() < 0.5:
        lead = scene.sweep(rng.uniform(0.0, 19.0))
        last = scene.start + scene.width + rng.uniform(0.0, 12.0) + (lead if rng.random() < 0.5 else 0.0 * lead)
        cutout[np.arange(SAMPLES)[np.newaxis, :] >= last[:, np.newaxis]] = 0.0
