"""The search on a processor: torch's transforms and a compiled kernel, in threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.drift import Shift, shifted
from devices.pipelines.search.engine import Engine, Shape, Sigma, Significances, Window
from devices.pipelines.search.kernel import search_block
from devices.pipelines.search.noise import robust_sigma
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.spatial_filter import SpatialFilter
from devices.pipelines.search.strip import Strip, StripWorkers, joined
from devices.pipelines.search.weights import Weights


class ProcessorEngine(Engine):
    """Channels are filtered, and sub-images searched, each by one of the settings' threads.

    Args:
        psf: of unit energy, axes (channel, y, x); None: images are not filtered.
        workers: search strips instead of the threads, as long as they can; results are the same.
    """

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        settings: SearchSettings,
        psf: NDArray[np.float32] | None,
        workers: StripWorkers | None = None,
    ) -> None:
        super().__init__(shape, weights, settings)
        self._workers = workers
        self._filter = None if psf is None else SpatialFilter(psf, shape[2:], settings.use_fft)
        self._residual = np.zeros((len(self.order), *shape), np.float32)
        self._filtered = self._residual if self._filter is None else np.zeros_like(self._residual)
        self._cube = self._residual[0]
        self._threads = ThreadPoolExecutor(settings.threads, "search", _one_thread)

    def close(self) -> None:
        self._threads.shutdown()

    def each(self, work: Callable[[int], None], channels: Iterable[int]) -> None:
        list(self._threads.map(work, channels))

    def take(self, cube: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        self._cube = cube
        means = np.empty((self.shape[0], *self.shape[2:]), np.float32)
        stride = self.noise_stride()

        def take(channel: int) -> bool:
            with np.errstate(over="ignore", invalid="ignore"):
                np.mean(cube[channel], axis=0, out=means[channel])
            values = cube[channel, :, ::stride, ::stride]
            return bool((values != (values[:1] if len(values) > 1 else values[:, :1, :1])).any())

        return means, np.array(list(self._threads.map(take, range(self.shape[0]))))

    def store(self, slot: int, level: NDArray[np.float32]) -> tuple[Sigma, Sigma]:
        stride = self.noise_stride()
        residual, filtered = self._residual[slot], self._filtered[slot]

        def store(channel: int) -> tuple[float, float]:
            if not self.alive[slot, channel]:
                return np.nan, np.nan
            np.subtract(self._cube[channel], level[channel], out=residual[channel])
            raw = robust_sigma(residual[channel, :, ::stride, ::stride])
            if self._filter is None:
                return raw, raw
            filtered[channel] = self._filter(residual[channel], channel)
            return raw, robust_sigma(filtered[channel, :, ::stride, ::stride])

        sigma = np.array(list(self._threads.map(store, range(self.shape[0]))))
        return sigma[:, 0], sigma[:, 1]

    def pixel_power(self, slot: int, weight: Sigma) -> NDArray[np.float32]:
        power = np.zeros(self.shape[2:], np.float32)
        for channel in np.flatnonzero(weight):
            images = self._filtered[slot, channel]
            np.add(power, np.float32(weight[channel] ** 2) * np.mean(images * images, axis=0), out=power)
        return power

    def search(
        self, weight: Sigma, variance: Sigma, doubt: NDArray[np.float32], pixel_noise: NDArray[np.float32]
    ) -> Significances:
        channels = np.flatnonzero(weight)
        if len(channels) % 2:  # the kernel takes them by twos: another one, whose weight is 0
            channels = np.append(channels, np.flatnonzero(weight == 0.0)[0] if (weight == 0.0).any() else channels[0])
        near, far = self.weights.near * weight, self.weights.far * weight
        size = self.shape[2:]
        trials = (
            channels,
            np.ascontiguousarray(self.weights.delay[:, channels]),
            np.asarray(near[:, channels], np.float32),
            np.asarray(far[:, channels], np.float32),
            np.asarray(self.weights.widths, np.int64),
            np.asarray(variance, np.float32),
        )
        threshold = np.float32(self.settings.threshold)
        if self._workers is not None and (count := self._workers.count):
            strips = [
                Strip(
                    np.stack([self._filtered[slot, :, :, first:last] for slot in self.order]),
                    self.alive[self.order],
                    *trials,
                    np.ascontiguousarray(doubt[:, first:last]),
                    pixel_noise[first:last],
                    threshold,
                )
                for first, last in _parts(size[0], count)
            ]
            if (elsewhere := self._workers.search(strips)) is not None:
                return joined(elsewhere)
        snr, sample = np.zeros(size, np.float32), np.zeros(size, np.int16)
        dm, width = np.zeros(size, np.uint8), np.zeros(size, np.uint8)

        def search(block: tuple[tuple[int, int], tuple[int, int]]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
            found: tuple[NDArray[np.int32], NDArray[np.float32]] = search_block(
                self._filtered,
                np.asarray(self.order, np.int64),
                self.alive,
                *trials,
                doubt,
                pixel_noise,
                threshold,
                *block[0],
                *block[1],
                snr,
                dm,
                width,
                sample,
            )
            return found

        blocks = itertools.product(_parts(size[0], self.settings.rows), _parts(size[1], self.settings.columns))
        found = list(self._threads.map(search, blocks))
        voxels = np.concatenate([places for places, _ in found])
        return Significances(snr, dm, width, sample, voxels, np.concatenate([values for _, values in found]))

    def move_slot(self, slot: int, shift_px: Shift, first: int) -> None:
        def move(channel: int) -> None:
            images = self._filtered[slot, channel, first:]
            images[...] = shifted(images, shift_px)

        self.each(move, np.flatnonzero(self.alive[slot]))
        if self._filter is None:
            self.moved[slot] = (0.0, 0.0)

    def residual(self, slot: int, channels: NDArray[np.intp], window: Window) -> NDArray[np.float32]:
        return np.asarray(self._residual[slot][(slice(None), slice(None), *window)][channels], np.float32)


def _one_thread() -> None:
    """Transforms of this thread use no others."""
    import torch

    torch.set_num_threads(1)


def _parts(size: int, count: int) -> list[tuple[int, int]]:
    """Divide a side into parts that need not be equal."""
    edges = [size * index // count for index in range(count + 1)]
    return [(first, last) for first, last in itertools.pairwise(edges) if last > first]
