"""A group: voxels that one pulse put over the threshold; and when two groups are one pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
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
            self._levels = np.abs(summed) / np.sum(gain)

    def level(self, dy: int, dx: int) -> float:
        """Greatest level within a pixel of an offset, 0 to 1."""
        if self._levels is None:
            return self._unknown_level
        y, x = self._levels.shape[0] // 2 + dy, self._levels.shape[1] // 2 + dx
        near = self._levels[max(y - 1, 0) : max(y + 2, 0), max(x - 1, 0) : max(x + 2, 0)]
        return float(near.max()) if near.size else self._unknown_level


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

    def in_place(self, offset_px: tuple[float, float], strong: float, weak: float) -> bool:
        """By the offset (y, x), pixels, and the significances alone."""
        if float(np.hypot(*offset_px)) <= SAME_PLACE_BEAMS * self.beam_px:
            return True
        expected = strong * self.lobes.level(round(offset_px[0]), round(offset_px[1]))
        # Only strong sources have lobes over the threshold: a second weak one is a second one.
        return expected > self.noise and weak <= expected + self.noise

    def __call__(self, strong: Group, weak: Group) -> bool:
        """Of two groups of one gulp."""
        if not overlap(np.array(strong.begins), strong.width, np.array(weak.begins), weak.width, 1.0):
            return False
        offset_px = (weak.y - strong.y, weak.x - strong.x)
        # What an extended event reaches round is its own.
        return float(np.hypot(*offset_px)) <= strong.reach_px or self.in_place(offset_px, strong.snr, weak.snr)


def overlap(
    begins: NDArray[np.float64],
    length: float,
    others: NDArray[np.float64],
    other_length: float,
    slack: float,
) -> bool:
    """Whether two dispersed windows share a time in any channel, or miss it by less than ``slack``, in their unit.

    The best trial for a part of a pulse is seldom its own, but it crosses it somewhere in the band.
    """
    return bool(np.any((begins < others + other_length + slack) & (others < begins + length + slack)))
