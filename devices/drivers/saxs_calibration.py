"""SAXS calibration files: JSON with the geometry of the detector, the wavelength and the masks.

The keys, their bounds and defaults stand in `saxs_calibration.schema.json`; they are spelled as in existing files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.json_schema import checked, schema_of
from devices.drivers.limited_file import read_limited
from devices.pipelines.saxs_geometry import Geometry, Polarization
from devices.pipelines.saxs_slice import SliceCut

MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class CalibratedMask:
    """One integration that a calibration asks for.

    Args:
        file: None: nothing is masked.
        geometry: with the bins of this integration.
        q_start, q_stop: the band of the integral parameters, or of the curve by azimuth, nm^-1; both 0: all.
        by_azimuth: intensity against azimuth instead of q.
        settings: the entry itself, with its defaults.
    """

    name: str
    file: Path | None
    geometry: Geometry
    q_start: float = 0.0
    q_stop: float = 0.0
    by_azimuth: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CalibratedSlice:
    """One slice that a calibration asks for; `mask` is an index of its masks, or None."""

    cut: SliceCut
    mask: int | None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """What a calibration file says; `masks` has at least one entry.

    Args:
        is_gisaxs: the first mask gives no curve of its own.
        directory: the folder of the images below a base folder, by its components.
        has_live_list: a list of results grows with them.
        overwrites: images that have a result are done again.
        workers: 0: as the server likes.
        document: the file itself, as it was given.
    """

    title: str
    masks: tuple[CalibratedMask, ...]
    polarization: Polarization | None
    slices: tuple[CalibratedSlice, ...] = ()
    is_gisaxs: bool = False
    directory: tuple[str, ...] = (".",)
    has_live_list: bool = True
    overwrites: bool = True
    workers: int = 2
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def geometry(self) -> Geometry:
        return self.masks[0].geometry


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration file; relative names of mask files are looked up beside it.

    Raises:
        ConfigurationError: the file is missing, no JSON, or has wrong entries; all problems, each with its key.
    """
    try:
        text = read_limited(path, MAX_FILE_BYTES).decode()
        document = json.loads(text, parse_constant=_refuse_constant)
    except BadValueError as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(str(path), [f"not JSON: {error}"]) from error
    return parse_calibration(document, str(path), Path(path).parent)


def parse_calibration(document: object, subject: str, folder: Path) -> Calibration:
    """Check a calibration and give it its defaults.

    Args:
        document: the parsed JSON.
        subject: what errors call it.
        folder: where relative names of mask files start.
    Raises:
        ConfigurationError: all wrong entries, each with its key.
    """
    entries = checked(document, schema_of("saxs_calibration"), subject, "calibration")
    problems: list[str] = []
    masks = []
    for index, entry in enumerate(entries["Masks"]):
        try:
            file = folder / entry["MaskFile"] if entry["MaskFile"] else None
            masks.append(
                CalibratedMask(
                    name=entry["Name"],
                    file=file,
                    geometry=_geometry(entries, entry),
                    q_start=float(entry["qStart"]),
                    q_stop=float(entry["qStop"]),
                    by_azimuth=entry["Phi-mode"],
                    settings=entry,
                )
            )
        except ValueError as error:
            problems.append(f"Geometry with Masks[{index}]: {error}")
    slices = []
    for index, entry in enumerate(entries["Slices"]):
        if entry["MaskRef"] >= len(entries["Masks"]):
            problems.append(f"Slices[{index}].MaskRef: {entry['MaskRef']} of {len(entries['Masks'])} masks")
        rows, columns = entries["Geometry"]["Imagesize"]
        across, position = rows if entry["Direction"] == "x" else columns, int(entry["CutPosition"])
        if not -entry["CutMargin"] < position <= across + entry["CutMargin"]:
            problems.append(f"Slices[{index}].CutPosition: {position} px is outside [1, {across}]")
        cut = SliceCut(entry["Direction"], entry["Plane"], position, entry["CutMargin"], float(entry["IncidentAngle"]))
        slices.append(CalibratedSlice(cut, entry["MaskRef"] if entry["MaskRef"] >= 0 else None, entry))
    if entries["GISAXSmode"] and not slices and len(masks) < 2:
        problems.append("GISAXSmode: there is neither a slice nor a second mask, so nothing is left to integrate")
    if problems:
        raise ConfigurationError(subject, problems)
    polarization = entries.get("PolarizationCorrection")
    return Calibration(
        title=entries["Title"],
        masks=tuple(masks),
        polarization=Polarization(polarization["Fraction"], polarization["Angle"]) if polarization else None,
        slices=tuple(slices),
        is_gisaxs=entries["GISAXSmode"],
        directory=tuple(entries["Directory"]),
        has_live_list=entries["Live-Filelisting"],
        overwrites=entries["OverwriteFiles"],
        workers=entries["Threads"],
        document=document if isinstance(document, Mapping) else {},
    )


def _geometry(entries: Mapping[str, Any], mask: Mapping[str, Any]) -> Geometry:
    geometry = entries["Geometry"]
    y, x = geometry["BeamCenter"]
    rows, columns = geometry["Imagesize"]
    if len(set(geometry["PixelSizeMicroM"])) > 1:
        raise ValueError(f"PixelSizeMicroM = {geometry['PixelSizeMicroM']} um: pixels must be square")
    return Geometry(
        beam_center=(float(y), float(x)),
        distance_mm=float(geometry["DedectorDistanceMM"]),
        image_size=(int(rows), int(columns)),
        pixel_um=float(geometry["PixelSizeMicroM"][0]),
        tilt_degrees=float(geometry["Tilt"]["TiltAngleDeg"]),
        tilt_rotation_degrees=float(geometry["Tilt"]["TiltRotDeg"]),
        wavelength_angstrom=float(entries["Wavelength"]),
        oversampling=int(mask["Oversampling"]),
        pixels_per_bin=float(mask["PixelPerRadialElement"]),
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
