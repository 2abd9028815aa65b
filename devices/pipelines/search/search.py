"""The search of gulps for dispersed pulses."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.baseline import Baseline
from devices.pipelines.search.doubt import Doubt, variance_of_sums
from devices.pipelines.search.drift import Shift
from devices.pipelines.search.engine import Engine, Shape, Sigma, Significances, Window
from devices.pipelines.search.noise import ChannelNoise, PixelNoise
from devices.pipelines.search.psf import cropped, extent_px, unit_energy
from devices.pipelines.search.result import SearchResult, Voxels
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.strip import StripWorkers
from devices.pipelines.search.trials import Trials
from devices.pipelines.search.weights import Weights

#: A mean that is greater is no image: its square would not fit.
GREATEST: Final = 1e15
#: What less is left of the noise, when a gulp's own mean is taken away, does not tell the noise.
LEAST_TOLD: Final = 0.02


class Search:
    """Searches one gulp after the other, of any one shape; belongs to one thread.

    A gulp is freed of the constant sky, filtered, de-dispersed and summed over boxcars, with the samples of the gulps
    before: every window that ends in the gulp is tried, and none twice. Noise is that of channels; the noise of
    every trial follows from it, and significances are true ones: sigma.

    Args:
        band: sub-bands, in the order of the cubes' channels, and the length of a sample.
        trials: dispersion measures and widths.
        settings: how.
        psf: what a point source looks like; axes (channel, y, x) or (y, x), the source at ``size // 2``; None: images
            are not filtered.
        device: "cpu" (a processor, compiled), or where torch is to do it: "cuda", "cuda:1", "torch:cpu".
        workers: of "cpu": other processes that try the trials; results are the same.
    Raises:
        ValueError: a psf that does not fit the band.
    """

    def __init__(
        self,
        band: Band,
        trials: Trials,
        settings: SearchSettings | None = None,
        psf: NDArray[np.floating] | None = None,
        device: str = "cpu",
        workers: StripWorkers | None = None,
    ) -> None:
        self._workers = workers
        self.band, self.trials, self.settings, self.device = band, trials, settings or SearchSettings(), device
        self._weights = Weights.of(band, trials)
        self._psf, self._gain = None, np.ones(len(band.frequencies_mhz))
        if psf is not None and self.settings.spatial_filter:
            self._psf, self._gain = unit_energy(cropped(psf, self.settings.psf_energy), len(band.frequencies_mhz))
        self._noise = ChannelNoise(len(band.frequencies_mhz), self.settings.noise_gulps)
        self._raw_noise = ChannelNoise(len(band.frequencies_mhz), self.settings.noise_gulps)
        self._engine: Engine | None = None
        self._shape: Shape = (0, 0, 0, 0)

    @property
    def recent(self) -> NDArray[np.float32]:
        """The last gulp and the samples before that the search looked back to, without the constant sky, unfiltered.

        Axes (channel, look-back and gulp's samples, y, x); what did not come is NaN. A copy.
        """
        return self._recent((slice(None), slice(None)))

    def recent_about(self, y: int, x: int, reach_px: int) -> tuple[NDArray[np.float32], int, int]:
        """The part of `recent` that is within this reach of a pixel, in y and in x, and the pixel (y, x) in it."""
        top, left = max(0, y - reach_px), max(0, x - reach_px)
        return self._recent((slice(top, y + reach_px + 1), slice(left, x + reach_px + 1))), y - top, x - left

    def _recent(self, window: Window) -> NDArray[np.float32]:
        if self._engine is None:
            raise ValueError("recent: no gulp was searched yet")
        return self._engine.recent(self.trials.look_back(self.band) + self._shape[1], window)

    def reset_noise(self) -> None:
        """Forget the noise: the next gulp decides."""
        self._noise.forget()
        self._raw_noise.forget()
        if self._engine is not None:
            self._pixel_noise.forget()

    def set_threshold(self, sigma: float) -> None:
        """Report voxels of at least this significance from the next gulp on; nothing is forgotten."""
        self.settings = replace(self.settings, threshold=sigma)
        if self._engine is not None:
            self._engine.settings = self.settings

    def close(self) -> None:
        """End the threads."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __call__(
        self,
        cube: NDArray[np.floating | np.integer],
        present: NDArray[np.bool_],
        shift_px: Shift = (0.0, 0.0),
        follows: bool = True,
    ) -> SearchResult:
        """Search a gulp.

        Args:
            cube: axes (channel, sample, y, x); not kept. A channel with a value that is not finite, or whose values
                are all the same, is left out.
            present: which channels came; axis: channel.
            shift_px: by how many pixels (y, x) the sky moved since the gulp before.
            follows: whether the gulp before this one was the last; otherwise the samples and the sky are forgotten.
        Raises:
            ValueError: the cube's channels are not those of the band.
        """
        stage = _Stages()
        images: NDArray[np.float32] = np.ascontiguousarray(cube, np.float32)
        engine = self._prepared(images.shape)
        complete = follows and self.settings.append_frame and engine.full
        if not follows:
            self._baseline.forget()
            self._doubt.forget()
        if not (follows and self.settings.append_frame):
            engine.forget()
        if follows and any(shift_px):
            self._baseline.move(shift_px, engine.each)
            self._doubt.move(shift_px)
            self._pixel_noise.move(shift_px)
            engine.move(shift_px)
        stage.ended("drift")

        means, varies = engine.take(images)
        with np.errstate(invalid="ignore"):
            sound = (np.abs(means) < GREATEST).all(axis=(1, 2))
        alive = np.asarray(present, np.bool_) & sound & varies
        means[~alive] = 0.0
        level, doubt = self._baseline.level(means)
        stage.ended("baseline")

        slot = engine.begin(alive)
        raw, filtered = engine.store(slot, level)
        stage.ended("filter")
        # The noise of a sample, without what the baseline, in which it takes part or not, did to it.
        spread = 1.0 + np.median(doubt[:, ::4, ::4], axis=(1, 2))
        spread[~(alive & (spread > LEAST_TOLD))] = np.nan
        sigma = self._noise.track(_positive(filtered / np.sqrt(spread)))
        raw_sigma = self._raw_noise.track(_positive(raw / np.sqrt(spread)))
        self._baseline.learn(means, raw_sigma, alive)
        alive = np.isfinite(sigma) & np.isfinite(raw_sigma)
        engine.alive[slot] = alive
        sigma = np.where(alive, sigma, np.nan)
        weight = self._channel_weights(sigma)
        of_channel = np.nan_to_num(weight * sigma) ** 2
        variance = self._weights.variance(of_channel)
        power = np.float32(of_channel.sum() or 1.0)
        doubt_of_sum = power * self._doubt.track(np.einsum("c,cyx->yx", of_channel.astype(np.float32) / power, doubt))
        pixel_noise = np.ones(self._shape[2:], np.float32)
        if not self.settings.same_noise and alive.any():
            pixel_noise = self._pixel_noise.track(engine.pixel_power(slot, weight) / power)
        stage.ended("noise")

        found = engine.search(weight, variance, doubt_of_sum, pixel_noise) if alive.any() else _nothing(self._shape)
        stage.ended("search")
        usual = variance_of_sums(variance, np.asarray(self.trials.widths), np.median(doubt_of_sum, axis=(1, 2)))
        return SearchResult(
            snr=np.where(np.isfinite(found.snr), found.snr, np.float32(0.0)),
            best_dm=found.dm,
            best_width=found.width,
            best_sample=found.sample,
            voxels=_strongest(found, self.settings.most_voxels),
            sigma=np.sqrt(usual),
            channel_sigma=sigma,
            present=alive,
            complete=complete,
            seconds=stage.seconds,
        )

    def _prepared(self, shape: tuple[int, ...]) -> Engine:
        """The engine for cubes of this shape."""
        if self._engine is not None and shape == self._shape:
            return self._engine
        if len(shape) != 4 or shape[0] != len(self.band.frequencies_mhz):
            raise ValueError(f"cube: shape {shape}, not ({len(self.band.frequencies_mhz)}, samples, y, x)")
        self.close()
        self._shape = channels, samples, rows, columns = shape
        self._baseline = Baseline(
            (channels, rows, columns), samples, max(self.trials.widths), self.settings.baseline_gulps
        )
        self._pixel_noise = PixelNoise((rows, columns), self.settings.noise_gulps)
        self._engine = _engine(self.device, self._shape, self._weights, self.settings, self._psf, self._workers)
        beam_px = 1 if self._psf is None else extent_px(self._psf)
        looked_back = [-(-self._weights.reach_of(width) // samples) for width in self.trials.widths]
        self._doubt = Doubt(looked_back, -1.0 / samples, beam_px)
        return self._engine

    def _channel_weights(self, sigma: Sigma) -> Sigma:
        """Of channels, mean 1; 0: left out."""
        alive = np.isfinite(sigma)
        if not self.settings.weighted or not alive.any():
            return alive.astype(np.float64)
        weight = np.where(alive, self._gain / sigma**2, 0.0)
        return np.asarray(weight / weight[alive].mean(), np.float64)


class _Stages:
    """Times the stages of a search."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def ended(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._began = now - self._began, now


def _engine(
    device: str,
    shape: Shape,
    weights: Weights,
    settings: SearchSettings,
    psf: NDArray[np.float32] | None,
    workers: StripWorkers | None,
) -> Engine:
    # Each is imported where it is used: torch and numba take seconds.
    if device == "cpu":
        from devices.pipelines.search.processor import ProcessorEngine

        return ProcessorEngine(shape, weights, settings, psf, workers)
    from devices.pipelines.search.graphics import GraphicsEngine

    return GraphicsEngine(shape, weights, settings, psf, device.removeprefix("torch:"))


def _positive(sigma: Sigma) -> Sigma:
    return np.where(sigma > 0.0, sigma, np.nan)


def _nothing(shape: Shape) -> Significances:
    size = shape[2:]
    index = np.zeros(size, np.uint8)
    voxels = np.zeros((0, 5), np.int32)
    return Significances(
        np.zeros(size, np.float32), index, index, index.astype(np.int16), voxels, np.zeros(0, np.float32)
    )


def _strongest(found: Significances, most: int) -> Voxels:
    places, snr = found.voxels, found.voxel_snr
    cut = max(0, len(snr) - most)
    if cut:
        kept = np.argpartition(snr, cut)[cut:]
        places, snr = places[kept], snr[kept]
    y, x, dm, width, sample = (np.ascontiguousarray(column) for column in places.T)
    order = np.lexsort((width, dm, x, y, -snr))
    return Voxels(y[order], x[order], dm[order], width[order], sample[order], snr[order], cut)
