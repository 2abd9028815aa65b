"""The band of the correlator, and what dispersion does to a pulse in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Dispersion, ms for 1 pc/cm3 between infinite frequency and 1 GHz (Lorimer & Kramer 2005, eq. 4.7).
DISPERSION_MS_GHZ2: Final = 4.148808
#: DSA-110: centres of sub-bands, MHz: sb00 is the highest, each the mean of 384 of 8192 channels of 250 MHz.
TOP_MHZ: Final = 1492.906
SPACING_MHZ: Final = 11.71875
SAMPLE_S: Final = 0.1342182159423828


@dataclass(frozen=True)
class Band:
    """Sub-bands and the length of a sample.

    Attributes:
        frequencies_mhz: centre of each sub-band, in the order of the cube's channel axis (sb00, the highest, first).
        sample_s: length of one integration, s.
    """

    frequencies_mhz: tuple[float, ...]
    sample_s: float = SAMPLE_S

    @classmethod
    def dsa110(cls, channels: int = 16, sample_s: float = SAMPLE_S) -> Band:
        """The first ``channels`` sub-bands of DSA-110."""
        return cls(tuple(TOP_MHZ - SPACING_MHZ * index for index in range(channels)), sample_s)

    @property
    def reference_mhz(self) -> float:
        """Arrival times are those at the lowest centre frequency."""
        return min(self.frequencies_mhz)

    def lead_samples(self, dm: float) -> NDArray[np.float64]:
        """By how many samples a pulse is earlier in each channel (axis: channel) than in the lowest one; all >= 0."""
        ghz = np.asarray(self.frequencies_mhz) / 1000.0
        lead_ms = DISPERSION_MS_GHZ2 * dm * ((self.reference_mhz / 1000.0) ** -2 - ghz**-2)
        return np.asarray(lead_ms / 1000.0 / self.sample_s, np.float64)
