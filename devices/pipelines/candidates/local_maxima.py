"""Which voxels are greater than their neighbours, and which of these each other voxel belongs to."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from devices.pipelines.search.result import Voxels


def local_maxima(voxels: Voxels, middles: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each voxel the index of its local maximum; those that are their own are the maxima.

    Neighbours differ by one pixel, DM and width at most, and in time by less than the mean of their lengths. A voxel
    belongs to the maximum of its greatest neighbour: each step goes up, as a drop of water goes down.

    Args:
        voxels: falling significance.
        middles: of each voxel in time, at the middle of the band, samples; axis: voxel.
        lengths: for how long each is seen, samples; axis: voxel.
    """
    found = np.arange(len(voxels))
    if len(voxels):
        axes = np.stack([voxels.y, voxels.x, voxels.dm, voxels.width]).astype(np.int64)
        low = axes.min(axis=1) - 1
        grid = np.full(axes.max(axis=1) - low + 2, -1, np.int32)
        _climb(axes - low[:, np.newaxis], grid, middles, lengths, found)
    return found


@njit(cache=True, nogil=True)
def _climb(
    axes: NDArray[np.int64],
    grid: NDArray[np.int32],
    middles: NDArray[np.float64],
    lengths: NDArray[np.float64],
    found: NDArray[np.int64],
) -> None:
    """Voxels enter the empty grid in order of significance: what is there already is greater."""
    for voxel in range(axes.shape[1]):
        y, x, dm, width = axes[0, voxel], axes[1, voxel], axes[2, voxel], axes[3, voxel]
        greatest = -1
        for y1 in range(y - 1, y + 2):
            for x1 in range(x - 1, x + 2):
                for dm1 in range(dm - 1, dm + 2):
                    for width1 in range(width - 1, width + 2):
                        other = grid[y1, x1, dm1, width1]
                        if other < 0 or (greatest >= 0 and other > greatest):
                            continue
                        if abs(middles[other] - middles[voxel]) < 0.5 * (lengths[other] + lengths[voxel]) + 1.0:
                            greatest = other
        grid[y, x, dm, width] = voxel
        if greatest >= 0:
            found[voxel] = found[greatest]
