"""How a search is done; what it tries stands in `trials`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class SearchSettings:
    """How gulps are searched.

    Attributes:
        threshold: voxels of at least this significance are reported, sigma.
        most_voxels: at most so many per gulp, the strongest.
        spatial_filter: correlate every image with the point-spread function (if the search is given one).
        use_fft: by Fourier transforms; otherwise directly, which is faster for functions below some 15 pixels only.
        psf_energy: the point-spread function is cropped to this part of its energy; a source loses as much, at most.
        append_frame: look back into the gulps before; without, pulses that cross a border are cut.
        rows, columns: sub-images that an image is divided into; each is searched by one thread. Results do not depend
            on them.
        threads: of the processor engine.
        same_noise: one noise per channel for all pixels; otherwise pixels differ, as they did in earlier gulps.
        weighted: channels are summed by signal over noise squared, otherwise as they are.
        baseline_gulps: the constant sky is a mean over so many gulps, old ones are forgotten.
        noise_gulps: so is the noise.
        dm_batches: the graphics engine treats the dispersion measures in so many parts: less memory, more time.
    Raises:
        ValueError: a number out of its bounds.
    """

    threshold: float = 7.0
    most_voxels: int = 100_000
    spatial_filter: bool = True
    use_fft: bool = True
    psf_energy: float = 0.999
    append_frame: bool = True
    rows: int = 4
    columns: int = 2
    threads: int = 2
    same_noise: bool = True
    weighted: bool = False
    baseline_gulps: int = 32
    noise_gulps: int = 32
    dm_batches: int = 1

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise ValueError("threshold = nan sigma: a number is needed")
        if not 0.0 < self.psf_energy <= 1.0:
            raise ValueError(f"psf_energy = {self.psf_energy}: from 0 to 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and value < 1:
                raise ValueError(f"{field.name} = {value}: at least 1")
