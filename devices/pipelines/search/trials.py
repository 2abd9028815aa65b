"""What a search tries: dispersion measures and widths."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from devices.pipelines.search.band import SPACING_MHZ, Band

WIDTHS: Final = (1, 2, 4, 8, 16)
#: The generator's first step, its end, pc/cm3, and the loss that it allows (values of the DSA-110 search).
FIRST_DM: Final = 171.0
LAST_DM: Final = 4000.0
TOLERANCE: Final = 1.6


@dataclass(frozen=True)
class Trials:
    """The grid of trials.

    Attributes:
        dms: dispersion measures, pc/cm3, rising.
        widths: of the boxcars, samples, rising.
    Raises:
        ValueError: empty, not rising, negative or not finite; a width below 1.
    """

    dms: tuple[float, ...]
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        for name, values, least in (("dms", self.dms, 0), ("widths", self.widths, 1)):
            if not values:
                raise ValueError(f"{name}: at least one trial is needed")
            if not all(math.isfinite(value) and value >= least for value in values):
                raise ValueError(f"{name} = {values}: finite numbers from {least} up")
            if any(after <= before for before, after in itertools.pairwise(values)):
                raise ValueError(f"{name} = {values}: each has to be greater than the one before")

    def look_back(self, band: Band) -> int:
        """How many samples of the gulp before are needed, so that no pulse is cut at its beginning."""
        return math.ceil(float(np.max(band.lead_samples(self.dms[-1])))) + max(self.widths) - 1


def dm_trials(
    band: Band,
    samples: int,
    tolerance: float = TOLERANCE,
    first_dm: float = FIRST_DM,
    last_dm: float = LAST_DM,
    channel_mhz: float = SPACING_MHZ,
) -> tuple[float, ...]:
    """The recursion of L. Levin's thesis (2012), as Heimdall has it, with the units of DSA-110: 0, 213.7, 267.1, ...

    Args:
        band: its middle and its sample count.
        samples: of a gulp; trials whose sweep is not shorter are left out.
        tolerance: smearing of the next trial over that of the one before.
        first_dm: where the recursion begins, pc/cm3; the first kept trial is the next one.
        last_dm: it ends with the first trial from here up, pc/cm3.
        channel_mhz: width of a channel, MHz.
    """
    if not (tolerance > 1.0 and first_dm >= 0.0 and math.isfinite(last_dm)):
        raise ValueError(f"tolerance = {tolerance:g} (> 1), first_dm = {first_dm:g} (>= 0), last_dm = {last_dm:g}")
    channels = len(band.frequencies_mhz)
    middle_ghz = 0.5 * (min(band.frequencies_mhz) + max(band.frequencies_mhz)) / 1000.0
    alpha = 1.0 / (16.0 + channels**2)
    beta = (band.sample_s * 1000.0) ** 2
    smear = (middle_ghz**3 / 8.3 / channel_mhz) ** 2
    quadratic = 16.0 * alpha * (tolerance**2 - channels**2 * alpha)
    constant = 16.0 * alpha * beta * (tolerance**2 - 1.0) * smear
    found, dm = [0.0], first_dm
    while dm < last_dm:
        dm = channels**2 * alpha * dm + math.sqrt(quadratic * dm**2 + constant)
        if math.ceil(float(np.max(band.lead_samples(dm)))) < samples:
            found.append(dm)
    return tuple(found)
