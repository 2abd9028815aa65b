"""A dispersed pulse as the correlator would record it: for injections, simulations and tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band


def dispersed_pulse(band: Band, dm: float, width: float, start: float, samples: int) -> NDArray[np.float64]:
    """A pulse of height 1 that is a boxcar in time before dispersion.

    A sample's value is the part of the sample that the pulse covers: starts and widths need not be whole.

    Args:
        dm: dispersion measure, pc/cm3.
        width: of the pulse, samples.
        start: when it begins at the lowest centre frequency, samples from the first one; channels above lead.
        samples: of the result; what lies outside is cut off.
    Returns:
        Axes (channel, sample), 0 to 1.
    """
    begins = start - band.lead_samples(dm)[:, np.newaxis]
    sample = np.arange(samples, dtype=np.float64)[np.newaxis, :]
    covered = np.minimum(sample + 1.0, begins + width) - np.maximum(sample, begins)
    return np.asarray(np.clip(covered, 0.0, 1.0), np.float64)
