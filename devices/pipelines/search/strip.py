"""A strip of rows: what the search of its pixels needs, so that it can be done anywhere, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.engine import Significances


@dataclass(frozen=True)
class Strip:
    """Some rows of a gulp and of the gulps that it looks back to; arguments of the kernel, which says what they are.

    Attributes:
        gulps: from the oldest to the one that is searched; axes (gulp, channel, sample, y, x).
        alive: axes (gulp, channel).
        doubt, pixel_noise: of these rows.
    """

    gulps: NDArray[np.float32]
    alive: NDArray[np.bool_]
    channels: NDArray[np.intp]
    delay: NDArray[np.int64]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    widths: NDArray[np.int64]
    variance: NDArray[np.float32]
    doubt: NDArray[np.float32]
    pixel_noise: NDArray[np.float32]
    threshold: np.float32


class StripWorkers(Protocol):
    """Other processes that search strips."""

    @property
    def count(self) -> int:
        """How many strips at once; 0: none now."""

    def search(self, strips: Sequence[Strip]) -> list[Significances] | None:
        """What the strips give, in their order; None: not all could be searched."""


def search_strip(strip: Strip) -> Significances:
    """All trials of the pixels of a strip; its first row is row 0."""
    from devices.pipelines.search.kernel import search_block  # numba takes seconds

    rows, columns = size = strip.gulps.shape[3:]
    snr, sample = np.zeros(size, np.float32), np.zeros(size, np.int16)
    dm, width = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    voxels, voxel_snr = search_block(
        strip.gulps,
        np.arange(len(strip.gulps)),
        strip.alive,
        strip.channels,
        strip.delay,
        strip.near,
        strip.far,
        strip.widths,
        strip.variance,
        strip.doubt,
        strip.pixel_noise,
        strip.threshold,
        0,
        rows,
        0,
        columns,
        snr,
        dm,
        width,
        sample,
    )
    return Significances(snr, dm, width, sample, voxels, voxel_snr)


def joined(found: Sequence[Significances]) -> Significances:
    """Strips from top to bottom as one."""
    rows = 0
    voxels = []
    for strip in found:
        voxels.append(strip.voxels + np.array([rows, 0, 0, 0, 0], strip.voxels.dtype))
        rows += len(strip.snr)
    return Significances(
        np.concatenate([strip.snr for strip in found]),
        np.concatenate([strip.dm for strip in found]),
        np.concatenate([strip.width for strip in found]),
        np.concatenate([strip.sample for strip in found]),
        np.concatenate(voxels),
        np.concatenate([strip.voxel_snr for strip in found]),
    )
