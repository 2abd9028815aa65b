"""The search for pulses that are too long for the search of gulps: the same on bins of several samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.drift import Shift
from devices.pipelines.search.result import SearchResult
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.trials import Trials

#: Samples of a bin: 671 ms.
BIN: Final = 5


class SlowSearch:
    """Searches the gulps in bins: delays and widths are those of the trials, times the length of a bin.

    Every gulp gives a result; its samples are bins, counted from the gulp's first.

    Args:
        trials: of the search of gulps; dispersion measures are multiplied by ``bin_samples``.
        settings: of the search of gulps. Its mean over gulps is made longer by the length of a bin.
        psf, device: as of `Search`.
        bin_samples: of a bin; a gulp is a whole number of bins.
    """

    def __init__(
        self,
        band: Band,
        trials: Trials,
        settings: SearchSettings,
        psf: NDArray[np.floating] | None = None,
        device: str = "cpu",
        bin_samples: int = BIN,
    ) -> None:
        self.bin_samples = bin_samples
        self.band = replace(band, sample_s=band.sample_s * bin_samples)
        self.trials = replace(trials, dms=tuple(dm * bin_samples for dm in trials.dms))
        self.search = Search(
            self.band,
            self.trials,
            replace(settings, baseline_gulps=settings.baseline_gulps * bin_samples),
            psf,
            device,
        )

    def __call__(
        self, cube: NDArray[np.floating], present: NDArray[np.bool_], shift_px: Shift = (0.0, 0.0), follows: bool = True
    ) -> SearchResult:
        """Search a gulp; arguments as those of `Search`.

        Raises:
            ValueError: the gulp is not a whole number of bins.
        """
        return self.search(binned(cube, self.bin_samples), present, shift_px, follows)

    def close(self) -> None:
        self.search.close()


def binned(cube: NDArray[np.floating], samples: int) -> NDArray[np.float32]:
    """Means over ``samples`` samples; axes (channel, sample, y, x)."""
    if cube.shape[1] % samples:
        raise ValueError(f"cube: {cube.shape[1]} samples are not a whole number of bins of {samples}")
    with np.errstate(over="ignore", invalid="ignore"):
        bins = cube.reshape(cube.shape[0], -1, samples, *cube.shape[2:])
        return np.asarray(bins.mean(axis=2, dtype=np.float32), np.float32)
