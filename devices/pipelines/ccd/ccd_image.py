"""An image of a CCD with all that a file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from devices.pipelines.ccd.detector import Geometry
from devices.pipelines.ccd.wcs import Sky

Value = str | int | float | bool


class Card(NamedTuple):
    """A keyword of a header; the keywords COMMENT and HISTORY have a text only."""

    keyword: str
    value: Value
    comment: str = ""


@dataclass(frozen=True)
class Group:
    """Keywords of one tool, which a primary header shows below a banner with the title."""

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Measurements:
    """Numbers that are no keywords: a table behind the pixels.

    Attributes:
        title: EXTNAME of the table.
        values: name -> value, NaN where there was none.
    """

    title: str
    values: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class CcdImage:
    """An image as the amplifiers read it.

    Attributes:
        amps: (amp, y, x) in the order of reading; uint16, int16, uint32 or int32, adu.
        primary: keywords of the primary header.
        extensions: of each amplifier (GAIN, RDNOISE, EXTNAME, ...); they replace what the writer would say, except what
            describes the pixels. Fewer than amplifiers, or none, will do.
        measured: a table that FITS files get behind the pixels; None: none.
        sky: where the focal plane looks; None: no celestial coordinates are written.
    """

    amps: NDArray[Any]
    geometry: Geometry
    primary: tuple[Group, ...] = ()
    extensions: tuple[tuple[Card, ...], ...] = ()
    sky: Sky | None = None
    measured: Measurements | None = None

    def __post_init__(self) -> None:
        if self.amps.shape != self.geometry.amp_shape:
            raise ValueError(
                f"pixels of the shape {self.amps.shape} do not fit the geometry: {self.geometry.amp_shape}"
            )
        if self.amps.dtype.kind not in "iu" or self.amps.dtype.itemsize not in (2, 4):
            raise ValueError(f"pixels of the type {self.amps.dtype} are none of uint16, int16, uint32, int32")
