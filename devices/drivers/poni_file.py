"""Geometry files of pyFAI, ``.poni``: read in versions 1, 2, 2.1 and 3, written in version 2.1.

The point of normal incidence and three rotations there are beam centre, distance, tilt and tilt rotation here. Let n be
the direction of the beam in the detector's own axes (1: rows downwards, 2: columns to the right, 3: away from the
sample). pyFAI turns the detector by rot1, rot2, rot3, so n = (sin rot2, -cos rot2 sin rot1, cos rot1 cos rot2); rot3,
about the beam, is not in it. Here n = (-sin tilt sin rot, sin tilt cos rot, cos tilt). The beam hits the detector at
L n / n3 from the point of normal incidence, L being pyFAI's distance, after the way L / n3.

Source: pyFAI documentation, "Geometry", https://pyfai.readthedocs.io/en/stable/geometry.html, and
``pyFAI.io.ponifile.PoniFile`` on the versions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.saxs_calibration import Calibration
from devices.pipelines.saxs_geometry import ANGSTROM_STAR_NM

#: What version 2 calls by name: rows, columns and pixel size, um. The detectors of small-angle scattering.
_KNOWN: Final[Mapping[str, tuple[int, int, float]]] = {
    "pilatus100k": (195, 487, 172.0),
    "pilatus200k": (407, 487, 172.0),
    "pilatus300k": (619, 487, 172.0),
    "pilatus300kw": (195, 1475, 172.0),
    "pilatus900k": (619, 1475, 172.0),
    "pilatus1m": (1043, 981, 172.0),
    "pilatus2m": (1679, 1475, 172.0),
    "pilatus6m": (2527, 2463, 172.0),
    "eiger500k": (514, 1030, 75.0),
    "eiger1m": (1065, 1030, 75.0),
    "eiger4m": (2167, 2070, 75.0),
    "eiger9m": (3269, 3110, 75.0),
    "eiger16m": (4371, 4150, 75.0),
    "eiger2500k": (512, 1028, 75.0),
    "eiger21m": (1062, 1028, 75.0),
    "eiger24m": (2162, 2068, 75.0),
    "eiger29m": (3262, 3108, 75.0),
    "eiger216m": (4362, 4148, 75.0),
}
#: Which axes (1, 2) count from the far edge, by pyFAI's numbers for orientations.
_FLIPPED: Final = {0: (False, False), 1: (True, True), 2: (True, False), 3: (False, False), 4: (False, True)}
_NORMAL_ORIENTATION: Final = 3


@dataclass(frozen=True)
class Poni:
    """What a file says.

    Args:
        distance_m: sample to the plane of the detector, along its normal.
        poni_m: the point of normal incidence on axes 1 (rows) and 2 (columns), from the corner of the first pixel.
        rotations: rot1, rot2, rot3, rad.
        wavelength_m: None when the file does not say.
        pixel_um: (rows, columns); None when the file does not say.
        shape: (rows, columns); None when the file does not say.
        orientation: of the frame on the axes, 1 to 4; 0 is 3.
    """

    distance_m: float
    poni_m: tuple[float, float]
    rotations: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wavelength_m: float | None = None
    pixel_um: tuple[float, float] | None = None
    shape: tuple[int, int] | None = None
    orientation: int = _NORMAL_ORIENTATION

    @property
    def beam(self) -> tuple[float, float, float]:
        """The direction of the beam in the detector's axes."""
        rot1, rot2, _ = self.rotations
        return math.sin(rot2), -math.cos(rot2) * math.sin(rot1), math.cos(rot1) * math.cos(rot2)

    @property
    def twist(self) -> float:
        """By how much the detector is turned about the beam, besides its tilt, rad."""
        n1, n2, n3 = self.beam
        twist = self.rotations[2] - _untwisted(n1, n2, n3)
        return math.remainder(twist, 2.0 * math.pi)


def decode_poni(text: str, subject: str) -> Poni:
    """What the text of a file says; a later line replaces an earlier one, as pyFAI has it.

    Raises:
        ProtocolError: it is no such file, or of a kind that has no place here (distorted detectors, parallax).
    """
    lines = (line.partition(":") for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = {key.strip().lower(): value.strip() for key, separator, value in lines if separator}
    try:
        config = json.loads(found.get("detector_config", "{}"))
        if not isinstance(config, dict):
            raise ValueError("Detector_config is no JSON object")
        if found.get("parallax", "false").lower() == "true":
            raise ValueError("Parallax: a correction for the sensor's thickness has no place in a calibration")
        for key, place in (("splinefile", found), ("splineFile", config), ("splinefile", config)):
            if str(place.get(key) or "none").lower() != "none":
                raise ValueError(f"{key}: a distorted detector has no place in a calibration")
        known = _KNOWN.get(re.sub(r"[\s_-]", "", found.get("detector", "")).lower())
        given = [_number(config, f"pixel{axis}") or _number(found, f"pixelsize{axis}") for axis in (1, 2)]
        pixel = (known[2], known[2]) if known else None
        if given[0] is not None and given[1] is not None:
            pixel = given[0] * 1e6, given[1] * 1e6
        shape = config.get("max_shape") or config.get("shape") or (known[:2] if known else None)
        orientation = int(_number(config, "orientation") or 0)
        if orientation not in _FLIPPED:
            raise ValueError(f"orientation = {orientation} is outside [0, 4]")
        return Poni(
            distance_m=_required(found, "distance", "dist"),
            poni_m=(_required(found, "poni1"), _required(found, "poni2")),
            rotations=(_required(found, "rot1"), _required(found, "rot2"), _required(found, "rot3")),
            wavelength_m=_number(found, "wavelength"),
            pixel_um=pixel,
            shape=None if shape is None else (int(shape[0]), int(shape[1])),
            orientation=orientation or _NORMAL_ORIENTATION,
        )
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"{subject}: not a PONI file: {error}") from error


def encode_poni(poni: Poni) -> str:
    """The text of a file, version 2.1.

    Raises:
        BadValueError: it does not say which pixels the detector has.
    """
    if poni.pixel_um is None or poni.shape is None:
        raise BadValueError("a PONI file needs the size of the pixels and the shape of the detector")
    config = {
        "pixel1": poni.pixel_um[0] / 1e6,
        "pixel2": poni.pixel_um[1] / 1e6,
        "max_shape": list(poni.shape),
        "orientation": poni.orientation,
    }
    lines = [
        "# C-Order: 1 refers to rows, 2 to columns",
        "poni_version: 2.1",
        "Detector: Detector",
        f"Detector_config: {json.dumps(config)}",
        f"Distance: {poni.distance_m!r}",
        *(f"Poni{axis}: {value!r}" for axis, value in enumerate(poni.poni_m, 1)),
        *(f"Rot{axis}: {value!r}" for axis, value in enumerate(poni.rotations, 1)),
    ]
    if poni.wavelength_m is not None:
        lines.append(f"Wavelength: {poni.wavelength_m!r}")
    return "\n".join(lines) + "\n"


def calibration_entries(poni: Poni, subject: str) -> dict[str, Any]:
    """A file as entries of a calibration: Geometry and, when the file says it, Wavelength.

    Raises:
        BadValueError: pixels or shape are missing, or the detector is not in front of the sample.
    """
    if poni.pixel_um is None or poni.shape is None:
        missing = "the size of the pixels" if poni.pixel_um is None else "the shape of the detector"
        raise BadValueError(f"{subject}: says nothing of {missing}, and neither does a template")
    n1, n2, n3 = poni.beam
    if not (n3 > 1e-6 and poni.distance_m > 0.0):
        raise BadValueError(f"{subject}: Rot1, Rot2 = {poni.rotations[:2]} rad turn the detector away from the beam")
    rows, columns = poni.shape
    (pixel_row, pixel_column), (poni1, poni2) = poni.pixel_um, poni.poni_m
    row = (poni1 + poni.distance_m * n1 / n3) / (pixel_row / 1e6)
    column = (poni2 + poni.distance_m * n2 / n3) / (pixel_column / 1e6)
    flipped_rows, flipped_columns = _FLIPPED[poni.orientation]
    if flipped_rows:
        row, n1 = rows - row, -n1
    if flipped_columns:
        column, n2 = columns - column, -n2
    tilt = math.atan2(math.hypot(n1, n2), n3)
    geometry = {
        "BeamCenter": [rows - row, column],
        "DedectorDistanceMM": poni.distance_m * 1e3 / n3,
        "PixelSizeMicroM": [pixel_row] if math.isclose(pixel_row, pixel_column) else [pixel_row, pixel_column],
        "Imagesize": [rows, columns],
        "Tilt": {
            "TiltAngleDeg": math.degrees(tilt),
            "TiltRotDeg": math.degrees(math.atan2(-n1, n2)) if tilt > 0.0 else 0.0,
        },
    }
    if poni.wavelength_m is None:
        return {"Geometry": geometry}
    return {"Geometry": geometry, "Wavelength": poni.wavelength_m * 1e9 / ANGSTROM_STAR_NM}


def poni_of(calibration: Calibration) -> Poni:
    """The geometry of a calibration as a PONI file has it; tilted as Fit2D tilts it, not turned about the beam."""
    geometry = calibration.geometry
    tilt, rotation = math.radians(geometry.tilt_degrees), math.radians(geometry.tilt_rotation_degrees)
    n1, n2, n3 = -math.sin(tilt) * math.sin(rotation), math.sin(tilt) * math.cos(rotation), math.cos(tilt)
    way_m, pixel_m = geometry.distance_mm / 1e3, geometry.pixel_um / 1e6
    rows = geometry.image_size[0]
    return Poni(
        distance_m=way_m * n3,
        poni_m=(
            (rows - geometry.beam_center[0]) * pixel_m - way_m * n1,
            geometry.beam_center[1] * pixel_m - way_m * n2,
        ),
        rotations=(math.atan2(-n2, n3) + 0.0, math.asin(n1) + 0.0, _untwisted(n1, n2, n3) + 0.0),  # no -0.0
        wavelength_m=geometry.wavelength_angstrom * ANGSTROM_STAR_NM / 1e9,
        pixel_um=(geometry.pixel_um, geometry.pixel_um),
        shape=geometry.image_size,
    )


def _untwisted(n1: float, n2: float, n3: float) -> float:
    """rot3 of a detector that is turned about an axis across the beam only: then the rotation that takes n to the
    beam has the element -n1 n2 / (1 + n3), which in pyFAI's angles is cos rot2 sin rot3."""
    cosine = math.hypot(n2, n3)
    return math.asin(max(-1.0, min(1.0, -n1 * n2 / ((1.0 + n3) * cosine)))) if cosine > 1e-9 and n3 > -1.0 else 0.0


def _number(entries: Mapping[str, Any], name: str) -> float | None:
    value = entries.get(name)
    if value is None or value in ("", "None"):
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} = {value} is not finite")
    return number


def _required(entries: Mapping[str, Any], *names: str) -> float:
    for name in names:
        if (number := _number(entries, name)) is not None:
            return number
    raise ValueError(f"{names[0]} is missing")
