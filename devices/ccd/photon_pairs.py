"""The last two biases and two equal flats, of which gain and read noise are made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from devices.pipelines.ccd.detector import Geometry

Pair = tuple[NDArray[Any], NDArray[Any]]
#: A flat with a larger share of saturated pixels tells no gain.
MOST_SATURATED = 0.01


@dataclass(frozen=True, eq=False)
class Frame:
    """A bias or a flat.

    Attributes:
        image_type: zero or flat. seconds: of exposure. name: of its file.
        sample: (amp, row, column), adu.
    """

    image_type: str
    seconds: float
    geometry: Geometry
    name: str
    sample: NDArray[Any]


class PhotonPairs:
    """Keeps what is needed, and says what is missing; another window, binning or detector begins anew."""

    def __init__(self) -> None:
        self._zeros: deque[Frame] = deque(maxlen=2)
        self._flats: deque[Frame] = deque(maxlen=2)

    def add(self, frame: Frame) -> None:
        """Take a frame; flats of another exposure time than the last one's begin anew."""
        for kept in (self._zeros, self._flats):
            if kept and kept[-1].geometry != frame.geometry:
                kept.clear()
        if frame.image_type == "flat":
            if self._flats and self._flats[-1].seconds != frame.seconds:
                self._flats.clear()
            self._flats.append(frame)
        else:
            self._zeros.append(frame)

    def pairs(self) -> tuple[Pair, Pair] | None:
        """Two flats and two biases; None: some are missing."""
        if len(self._flats) < 2 or len(self._zeros) < 2:
            return None
        return _samples(self._flats), _samples(self._zeros)

    @property
    def text(self) -> str:
        """What gain and noise are of, or what is missing."""
        if self.pairs() is None:
            wanted = [
                f"{2 - len(kept)} {what}{'' if len(kept) == 1 else 's'}"
                for kept, what in ((self._zeros, "zero"), (self._flats, self._flat))
                if len(kept) < 2
            ]
            return "missing: " + ", ".join(wanted)
        return "of " + ", ".join(each.name for each in (*self._flats, *self._zeros))

    @property
    def _flat(self) -> str:
        return f"flat of {self._flats[-1].seconds:g} s" if self._flats else "flat"


def _samples(kept: deque[Frame]) -> Pair:
    return kept[0].sample, kept[1].sample
