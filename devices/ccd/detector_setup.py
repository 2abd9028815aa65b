"""The detector of a camera: format, focal plane, window, and what headers say of its amplifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from devices.core.errors import BadValueError, RangeError
from devices.core.json_text import read_json_text
from devices.pipelines.ccd.ccd_image import Card
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.wcs import Placement, Sky

Pairs = tuple[tuple[float, float], ...]

#: Names of azcam's set_detpars, and of its tools, for what is called otherwise here.
SYNONYMS: Final = {
    "ref_pixel": "reference_pixel",
    "focalplane": "focal_plane",
    "ext_position": "positions",
    "ext_name": "extension_names",
    "extname": "extension_names",
    "ext_number": "extension_numbers",
    "extnum": "extension_numbers",
    "det_number": "detector_numbers",
    "det_position": "detector_positions",
    "det_gap": "detector_gaps",
    "ctype": "axes",
    "data_order": "order",
    "rdnoises": "read_noises",
}


@dataclass(frozen=True)
class DetectorSetup:
    """A detector as it is read.

    Attributes:
        format, focal_plane, roi: see there.
        reference_pixel: column and row of the focal plane where the telescope points; (0, 0): its middle.
        scale_arcsec: of an unbinned pixel along columns and rows. rotation_degrees: of the sky against the pixels.
        axes: CTYPE1 and CTYPE2.
        extension_names, extension_numbers, jpg_order, detector_numbers: of each amplifier; empty: counted.
        detector_positions: column and row of each amplifier's detector, from 1; empty: as the focal plane has it.
        detector_gaps: before each detector (or each amplifier's detector), columns and rows, unbinned, added up.
        gains: electron/adu. read_noises: electron. Of each amplifier; empty: not known.
        order: the n-th amplifier of the controller's stream is amplifier order[n]; empty: as they are.
    """

    format: Format = field(default_factory=lambda: Format(1024, 0, 0, 32, 1024))
    focal_plane: FocalPlane = field(default_factory=FocalPlane)
    roi: Roi = field(default_factory=lambda: Roi(1, 1024, 1, 1024))
    reference_pixel: tuple[float, float] = (0.0, 0.0)
    scale_arcsec: tuple[float, float] = (1.0, 1.0)
    rotation_degrees: float = 0.0
    axes: tuple[str, str] = ("RA---TAN", "DEC--TAN")
    extension_names: tuple[str, ...] = ()
    extension_numbers: tuple[int, ...] = ()
    jpg_order: tuple[int, ...] = ()
    detector_numbers: tuple[int, ...] = ()
    detector_positions: Pairs = ()
    detector_gaps: Pairs = ()
    gains: tuple[float, ...] = ()
    read_noises: tuple[float, ...] = ()
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        amps = self.focal_plane.amps
        for name in (
            *("extension_names", "extension_numbers", "jpg_order", "detector_numbers", "detector_positions"),
            *("gains", "read_noises", "order"),
        ):
            found = len(getattr(self, name))
            if found not in (0, amps):
                raise RangeError(f"{name} has {found} values for {amps} amplifiers")
        if self.order and sorted(self.order) != list(range(amps)):
            raise RangeError(f"order = {list(self.order)} does not name each of {amps} amplifiers, from 0, once")
        if len(self.detector_gaps) not in (0, self.detectors, amps):
            raise RangeError(f"detector_gaps has {len(self.detector_gaps)} values for {self.detectors} detectors")

    @property
    def detectors(self) -> int:
        return self.focal_plane.detectors_x * self.focal_plane.detectors_y

    def geometry(self) -> Geometry:
        """What the controller is to read.

        Raises:
            RangeError: numbers that fit no detector, or each other.
        """
        try:
            return make_geometry(self.format, self.focal_plane, self.roi)
        except ValueError as error:
            raise RangeError(str(error)) from error

    def changed(self, words: Mapping[str, Any]) -> DetectorSetup:
        """The same detector with some things said otherwise, by the names of the fields or those of azcam.

        A new format or focal plane without a window of its own is read as a whole.

        Raises:
            BadValueError, RangeError: what cannot be; nothing is changed.
        """
        known = {each.name: each for each in fields(self)}
        given: dict[str, Any] = {}
        positions: Any = None
        for key, value in words.items():
            name = SYNONYMS.get(key.casefold(), key.casefold())
            try:
                if name == "focal_plane" and isinstance(value, Mapping):
                    value = {**dataclasses.asdict(self.focal_plane), **value}
                    positions = value.pop("positions")
                    positions = paired(positions) if positions else None
                if name == "positions":
                    positions = paired(value)
                elif name in known:
                    given[name] = _converted(name, value, getattr(self, name))
                    if key.casefold() == "data_order":
                        given[name] = inverted(given[name])
                else:
                    raise BadValueError(f"{key} is none of {', '.join([*known, *SYNONYMS])}")
            except (TypeError, ValueError) as error:
                if isinstance(error, BadValueError):
                    raise
                raise BadValueError(f"{key} = {value!r:.80}: {error}") from error
        if "focal_plane" in given and given["focal_plane"].amps != self.focal_plane.amps:
            # What was said of other amplifiers holds no more.
            for name, each in known.items():
                if each.default == () and name not in given:
                    given[name] = ()
        if positions is not None:
            places = tuple((int(x), int(y)) for x, y in positions)
            given["focal_plane"] = replace(given.get("focal_plane", self.focal_plane), positions=places)
        if "format" in given and "roi" not in given:
            given["roi"] = whole(given["format"], self.roi.col_bin, self.roi.row_bin)
        changed = replace(self, **given)
        changed.geometry()
        return changed

    def sky(self, ra_degrees: float, dec_degrees: float) -> Sky:
        """Where it looks when the telescope points to a place."""
        middle = (self.format.columns + 1) / 2, (self.format.rows + 1) / 2
        plane, gaps = self.focal_plane, self.detector_gaps
        if gaps and len(gaps) != self.detectors:
            first = {plane.detector(amp): gaps[amp] for amp in reversed(range(plane.amps))}
            gaps = tuple(first[x, y] for y in range(plane.detectors_y) for x in range(plane.detectors_x))
        return Sky(
            ra_degrees,
            dec_degrees,
            middle if self.reference_pixel == (0.0, 0.0) else self.reference_pixel,
            self.scale_arcsec,
            self.rotation_degrees,
            self.axes,
            placements=tuple(Placement(x, y) for x, y in gaps),
        )

    def extension_cards(self) -> tuple[tuple[Card, ...], ...]:
        """What the header of each amplifier's image says of it."""
        told: list[list[Card]] = [[] for _ in range(self.focal_plane.amps)]
        lists: tuple[tuple[Sequence[str | int | float], str, str], ...] = (
            (self.extension_names, "EXTNAME", "name of this extension"),
            (self.extension_numbers, "EXT-NUM", "number of this extension"),
            (self.jpg_order, "JPG-EXT", "place in a picture of all"),
            (self.detector_numbers, "DET-NUM", "number of the detector"),
            ([int(x) for x, _ in self.detector_positions], "DET-POSX", "column of the detector"),
            ([int(y) for _, y in self.detector_positions], "DET-POSY", "row of the detector"),
            (self.gains, "GAIN", "[electron/adu] of this amplifier"),
            (self.read_noises, "RDNOISE", "[electron] of this amplifier"),
        )
        for values, keyword, comment in lists:
            for amp, value in enumerate(values):
                told[amp].append(Card(keyword, value, comment))
        return tuple(map(tuple, told))

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)


def read_setup(text: str) -> DetectorSetup:
    """A detector out of a property: a JSON object as `changed` takes it, or the path of a file that has one.

    Raises:
        ValueError: it cannot be read, or be so.
    """
    if not text.strip():
        return DetectorSetup()
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text.strip()).read_text()
        except OSError as error:
            raise ValueError(f"{error.filename}: {error.strerror}") from error
    document = read_json_text(text)
    if not isinstance(document, dict):
        raise ValueError("a JSON object is expected")
    return DetectorSetup().changed(document)


def make_focal_plane(numbers: Sequence[Any]) -> FocalPlane:
    """Detectors along x and y, amplifiers along x and y (of all detectors), and the flip of each amplifier.

    Flips may be one number for all, a list, or simply follow.

    Raises:
        ValueError: too few.
    """
    if len(numbers) < 4:
        raise ValueError("detectors_x, detectors_y, amps_x, amps_y and the flips are expected")
    columns, rows, amps_x, amps_y = (whole_number(each) for each in numbers[:4])
    flips = [whole_number(each) for each in _flat(numbers[4:])]
    amps = max(1, amps_x * amps_y)
    if len(flips) <= 1:
        flips = (flips or [0]) * min(amps, 1 << 16)
    return FocalPlane(columns, rows, amps_x, amps_y, tuple(flips))


def paired(value: Any) -> Pairs:
    """Pairs out of [[x, y], ...] or [x, y, x, y, ...].

    Raises:
        ValueError: an odd one.
    """
    numbers = [float(each) for each in _flat(value)]
    if len(numbers) % 2:
        raise ValueError("pairs are expected")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def inverted(order: Sequence[int]) -> tuple[int, ...]:
    """From azcam's data_order, where in the stream each amplifier comes, to which amplifier comes where.

    One that does not name each place once is left as it is, for who checks it.
    """
    if sorted(order) != list(range(len(order))):
        return tuple(order)
    return tuple(order.index(place) for place in range(len(order)))


def whole_number(value: Any) -> int:
    """An integer, also as text or as 3.0.

    Raises:
        ValueError: it is none.
    """
    number = float(value)
    if number != int(number):
        raise ValueError(f"{value} is not a whole number")
    return int(number)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value]
    return [item for each in value for item in _flat(each)]


def _converted(name: str, value: Any, now: Any) -> Any:
    if isinstance(value, Mapping):
        value = list({**dataclasses.asdict(now), **value}.values())
        if len(value) > len(fields(now)):
            raise ValueError(f"only {', '.join(each.name for each in fields(now))} are known")
    if name == "format":
        numbers = [whole_number(each) for each in _flat(value)]
        if not 5 <= len(numbers) <= 9:
            raise ValueError(f"5 to 9 numbers are expected, not {len(numbers)}")
        return Format(*numbers)
    if name == "focal_plane":
        return make_focal_plane(value)
    if name == "roi":
        return changed_roi(now, [whole_number(each) for each in _flat(value)])
    if name in ("detector_positions", "detector_gaps"):
        return paired(value)
    if name in ("reference_pixel", "scale_arcsec"):
        (pair,) = paired(value)
        return pair
    if name == "rotation_degrees":
        return float(value)
    if name == "axes":
        if isinstance(value, str):
            raise ValueError("two names are expected")
        first, second = map(str, value)
        return first, second
    kind = {"extension_names": str, "gains": float, "read_noises": float}.get(name, whole_number)
    return tuple(kind(each) for each in _flat(value))


def changed_roi(now: Roi, numbers: Sequence[int]) -> Roi:
    """The window with other numbers: first and last column, first and last row, binning; -1 or none: as before.

    Raises:
        ValueError: too many.
    """
    if len(numbers) > 6:
        raise ValueError(f"at most 6 numbers are expected, not {len(numbers)}")
    kept = dataclasses.astuple(now)
    given = [*numbers, *[-1] * (6 - len(numbers))]
    return Roi(*(old if new == -1 else new for old, new in zip(kept, given, strict=True)))
