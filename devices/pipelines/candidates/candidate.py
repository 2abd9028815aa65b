"""A candidate: one pulse that the search found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """One pulse that the search found; everything that files, tables and panels show of it.

    Attributes:
        name: yymmdd and four letters, unique in a day and a results folder: ``261121aaab``.
        isot: of the gulp, the text that nodes sent: ``2026-11-21T03:12:04.215``.
        mjd: arrival of the pulse's first sample at the lowest centre frequency, days UTC, topocentric.
        y, x: pixel of the greatest significance.
        dm_index, width_index: its trial; sample: its first sample, counted from the gulp's first (negative: it began in
            the gulp before).
        snr: significance, sigma.
        dm: dispersion measure, pc/cm3. width_s: of the boxcar, s.
        ra_deg, dec_deg: J2000; NaN where the nodes gave no pointing.
        members: voxels that were clustered to it (1: alone).
        rfi_probability: of the classifier, 0 to 1; NaN: not classified.
        injected: whether it lies where a synthetic pulse was injected.
        complete: whether no part of it can lie in the gulp to come (a later revision may be stronger).
        revision: 0; raised when the next gulp shows more of the same pulse.
        kind: "base", "slow" (bins of 5 samples) or "image_difference".
    """

    name: str
    isot: str
    mjd: float
    y: int
    x: int
    dm_index: int
    width_index: int
    sample: int
    snr: float
    dm: float
    width_s: float
    ra_deg: float
    dec_deg: float
    members: int
    rfi_probability: float
    injected: bool
    complete: bool
    revision: int = 0
    kind: str = "base"
