"""A gulp: the image cube of all sub-bands for one block of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GulpShape:
    """Size of a gulp's cube, axes (channel, sample, y, x), float32."""

    channels: int = 16
    samples: int = 25
    size: int = 300

    @property
    def cube(self) -> tuple[int, int, int, int]:
        return (self.channels, self.samples, self.size, self.size)

    @property
    def nbytes(self) -> int:
        return 4 * self.channels * self.samples * self.size * self.size


@dataclass(frozen=True)
class Gulp:
    """An assembled gulp; ready to be searched.

    Attributes:
        number: counts gulps that the server began, from 1.
        isot: the text that all its sub-bands bear, its key.
        mjd: of its first sample, days UTC.
        uv_diag_m: longest baseline in the uv plane, m, which sets the pixel; NaN: the nodes did not say.
        dec_deg: declination of the pointing; NaN: the nodes did not say.
        cube: axes (channel, sample, y, x), float32; a channel that did not come is NaN. It lies in a slot that is used
            again after `CubeSlots.release`.
        slot: which slot.
        present: whether the channel came; axis: channel.
        began_unix, ended_unix: when its first byte came, and when it was complete or given up, s.
    """

    number: int
    isot: str
    mjd: float
    uv_diag_m: float
    dec_deg: float
    cube: NDArray[np.float32]
    slot: int
    present: NDArray[np.bool_]
    began_unix: float
    ended_unix: float

    @property
    def missing(self) -> int:
        """How many sub-bands did not come."""
        return int(np.count_nonzero(~self.present))
