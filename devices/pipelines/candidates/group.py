"""A group: voxels that one pulse put over the threshold; and when two groups are one pulse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

from devices.pipelines.search.psf import unit_energy

#: Within so many beams two groups of the same time are one: half way between their maxima still shines the stronger.
SAME_PLACE_BEAMS: Final = 1.5


@dataclass(frozen=True)
class Group:
    """Voxels that one pulse put over the threshold.

    Attributes:
        y, x, dm_index, width_index, sample, snr: of the strongest voxel, as in `search.result.Voxels`.
        dm: of the trial, pc/cm3; width: of the trial, samples.
        begins: when the trial begins in each channel, samples from the gulp's first; axis: channel.
        members: how many voxels.
        reach_px: distance of the farthest local maximum of its cluster, pixels; large: no point source.
    """

    y: int
    x: int
    dm_index: int
    width_index: int
    sample: int
    snr: float
    dm: float
    width: int
    begins: tuple[float, ...]
    members: int
    reach_px: float = 0.0

    def complete(self, samples: int) -> bool:
        """Whether its window ends before the gulp's last sample: none of it can lie in the gulp to come."""
        return self.sample + self.width < samples


class SideLobes:
    """How strong a source appears beside its place.

    Args:
        psf: point-spread function, axes (channel, y, x) or (y, x), the source at ``size // 2``; None: not known.
        channels: of the band.
        filtered: whether images were correlated with it before the search.
        unknown_level: what is assumed anywhere without a function, and outside of it; of the source's significance.
    """

    def __init__(
        self, psf: NDArray[np.floating] | None, channels: int, filtered: bool = True, unknown_level: float = 0.2
    ) -> None:
        self._unknown_level = unknown_level
        self._levels: NDArray[np.float64] | None = None
        if psf is not None:
            unit, gain = unit_energy(psf, channels)
            # Noise is the same in all channels, so those with more signal weigh more.
            summed = np.zeros(1)
            for plane, weight in zip(unit.astype(np.float64), gain, strict=True):
                height, width = plane.shape
                at_source = plane[height // 2, width // 2]
                part = fftconvolve(plane, plane[::-1, ::-1]) if filtered else plane / (at_source or 1.0)
                summed = summed + weight * part
            # With a border, as the greatest within a pixel is wanted.
            self._levels = maximum_filter(np.pad(np.abs(summed) / np.sum(gain), 1), 3, mode="constant")

    def level(self, dy: NDArray[np.float64], dx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Greatest level within a pixel of offsets, pixels; 0 to 1."""
        levels = np.full(np.shape(dy), self._unknown_level)
        if self._levels is not None:
            rows, columns = self._levels.shape
            y, x = np.rint(dy).astype(int) + rows // 2, np.rint(dx).astype(int) + columns // 2
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            levels[inside] = self._levels[y[inside], x[inside]]
        return levels


@dataclass(frozen=True)
class SamePulse:
    """Judges whether a weaker group shows the pulse of a stronger one.

    Attributes:
        beam_px: full width of the beam at half maximum, pixels.
        lobes: side lobes of a strong source count as itself.
        noise: by so much more than its lobe a weaker one may have, sigma.
    """

    beam_px: float
    lobes: SideLobes
    noise: float = 2.0

    def in_place(
        self, dy: NDArray[np.float64], dx: NDArray[np.float64], strong: float, weak: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """By offsets, pixels, and significances alone; one axis: weaker group."""
        expected = strong * self.lobes.level(dy, dx)
        # Only strong sources have lobes over the threshold: a second weak one is a second one.
        lobe = (expected > self.noise) & (weak <= expected + self.noise)
        return np.asarray((np.hypot(dy, dx) <= SAME_PLACE_BEAMS * self.beam_px) | lobe, np.bool_)

    def __call__(self, strong: Group, weak: Sequence[Group]) -> NDArray[np.bool_]:
        """Which groups of the same gulp show the pulse of a stronger one; axis: weaker group."""
        dy = np.array([float(group.y - strong.y) for group in weak])
        dx = np.array([float(group.x - strong.x) for group in weak])
        snr = np.array([group.snr for group in weak])
        begins = np.array([group.begins for group in weak]).reshape(len(weak), len(strong.begins))
        widths = np.array([float(group.width) for group in weak])
        at_once = overlap(np.array(strong.begins), strong.width, begins, widths, 1.0)
        # What an extended event reaches round is its own.
        around = np.hypot(dy, dx) <= strong.reach_px
        return np.asarray(at_once & (around | self.in_place(dy, dx, strong.snr, snr)), np.bool_)


def overlap(
    begins: NDArray[np.float64],
    length: float,
    others: NDArray[np.float64],
    other_lengths: NDArray[np.float64] | float,
    slack: float,
) -> NDArray[np.bool_]:
    """Whether dispersed windows share a time with another one in any channel, or miss it by less than ``slack``.

    The best trial for a part of a pulse is seldom its own, but it crosses it somewhere in the band.

    Args:
        begins: of the one, axis: channel; length: its length; others, other_lengths: axes (..., channel), (...).
    """
    ends = others + np.asarray(other_lengths)[..., np.newaxis]
    return np.asarray(((begins < ends + slack) & (others < begins + length + slack)).any(axis=-1), np.bool_)
