"""The search for what appears for seconds to minutes: differences of images, each a mean over several gulps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.drift import Shift, shifted
from devices.pipelines.search.result import SearchResult
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.trials import WIDTHS, Trials

#: Gulps of an image: 10.07 s; widths up to 16 images are 161 s.
GULPS: Final = 3
#: Gulps of the constant sky that images are compared with: 5 min.
BASELINE_GULPS: Final = 90


class ImageDifference:
    """Averages gulps and searches the averages at no dispersion, which is far below their length.

    A channel is in an image if it came in any of its gulps. Positions are those of the image's last gulp.

    Args:
        band: of the gulps.
        samples: of a gulp.
        settings: of the search of gulps.
        psf, device: as of `Search`.
        gulps: of an image.
        widths: of the boxcars, images.
        baseline_gulps: the constant sky is a mean over so many gulps.
    """

    def __init__(
        self,
        band: Band,
        samples: int,
        settings: SearchSettings,
        psf: NDArray[np.floating] | None = None,
        device: str = "cpu",
        gulps: int = GULPS,
        widths: tuple[int, ...] = WIDTHS,
        baseline_gulps: int = BASELINE_GULPS,
    ) -> None:
        self.gulps = gulps
        self.band = replace(band, sample_s=band.sample_s * samples * gulps)
        self.trials = Trials((0.0,), widths)
        settings = replace(settings, baseline_gulps=max(1, baseline_gulps // gulps))
        self.search = Search(self.band, self.trials, settings, psf, device)
        self._begin(follows=False)

    def _begin(self, follows: bool) -> None:
        self._sum: NDArray[np.float32] | None = None
        self._count = 0
        self._moved: Shift = (0.0, 0.0)
        self._follows = follows

    def __call__(
        self, cube: NDArray[np.floating], present: NDArray[np.bool_], shift_px: Shift = (0.0, 0.0), follows: bool = True
    ) -> SearchResult | None:
        """Add a gulp; arguments as those of `Search`.

        Returns:
            The result of an image that this gulp completes, otherwise None.
        """
        if not follows:
            self._begin(follows=False)
        with np.errstate(over="ignore", invalid="ignore"):
            image = np.asarray(cube.mean(axis=1, dtype=np.float32), np.float32)
        good = np.asarray(present, np.bool_) & np.isfinite(image).all(axis=(1, 2))
        image[~good] = 0.0
        if self._sum is None:
            self._sum, self._came = np.zeros_like(image), np.zeros(len(image), np.int64)
        self._moved = (self._moved[0] + shift_px[0], self._moved[1] + shift_px[1])
        self._sum = shifted(self._sum, shift_px) + image
        self._came += good
        self._count += 1
        if self._count < self.gulps:
            return None
        mean = self._sum / np.maximum(self._came, 1).astype(np.float32)[:, None, None]
        moved, follows = self._moved, self._follows
        came = self._came > 0
        self._begin(follows=True)
        return self.search(mean[:, None], came, moved, follows)

    def close(self) -> None:
        self.search.close()
