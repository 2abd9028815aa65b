"""Calibrations of other programs: logs of Fit2D, geometries of Nika, PONI files of pyFAI, Saxsdog's older flat JSON.

Each gives some entries of a calibration; the rest comes from a template, and at last from the defaults of the schema.

Fit2D: the lines ``INFO: Refined ...`` of its log; later ones replace earlier ones.

Nika: ``Key=value`` (also ``Key:value``) separated by semicolons or line ends, as in its wave notes, or a JSON object,
with the names of its variables: BeamCenterX and BeamCenterY (px from the centre of the top left pixel),
SampleToCCDDistance (mm), Wavelength (Angstrom) or XrayEnergy (keV), PixelSizeX and PixelSizeY (mm), HorizontalTilt and
VerticalTilt (degrees); and Rows and Columns, which it does not save.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError, ProtocolError
from devices.drivers.json_schema import checked, schema_of
from devices.drivers.limited_file import read_limited
from devices.drivers.poni_file import calibration_entries, decode_poni
from devices.drivers.saxs_calibration import MAX_FILE_BYTES, parse_calibration

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?"
_FIT2D: Final = {
    "BeamCenter": rf"Beam centre\s*(?:\(X/Y pixels\)\s*)?=\s*({_NUMBER})[\s,]+({_NUMBER})(?!.*\bmm\b)",
    "DedectorDistanceMM": rf"sample to detector distance\s*=\s*({_NUMBER})",
    "TiltRotDeg": rf"tilt plane rotation angle\s*=\s*({_NUMBER})",
    "TiltAngleDeg": rf"tilt angle\s*=\s*({_NUMBER})",
    "Wavelength": rf"wavelength\s*=\s*({_NUMBER})",
}
_NIKA: Final = (
    "BeamCenterX", "BeamCenterY", "SampleToCCDDistance", "Wavelength", "XrayEnergy", "PixelSizeX", "PixelSizeY",
    "HorizontalTilt", "VerticalTilt", "Rows", "Columns",
)  # fmt: skip
#: h c / e, keV Angstrom; CODATA 2018, exact.
_KEV_ANGSTROM: Final = 12.398419843320026

#: A degree of twist moves a curve by azimuth by a degree; less is noise of a fit.
_MOST_TWIST_RAD: Final = math.radians(0.1)


@dataclass(frozen=True)
class ImportedCalibration:
    """What a file gives.

    Args:
        format: ``Fit2D``, ``Nika``, ``PONI``, ``flat JSON`` or ``calibration``.
        entries: a part of a calibration.
        notes: what the file says and a calibration cannot.
    """

    format: str
    entries: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def import_calibration(path: str | Path, template: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], list[str]]:
    """A whole calibration from a file of any of these programs, and what could not be taken over.

    Args:
        template: a calibration, or part of one, with all that the file does not say.
    Raises:
        BadValueError: there is no such file, or it needs a template. ProtocolError: no program's file.
        ConfigurationError: the result is no calibration, with all keys that are wrong or missing.
    """
    text = read_limited(path, MAX_FILE_BYTES).decode("utf-8", errors="replace")
    found = imported(text, str(path), template or {})
    document = merged(template or {}, found.entries)
    whole = checked(document, schema_of("saxs_calibration"), str(path), "calibration")
    parse_calibration(whole, str(path), Path(path).parent)
    return whole, list(found.notes)


def imported(text: str, subject: str, template: Mapping[str, Any]) -> ImportedCalibration:
    """What a text says, its kind told from its content.

    Args:
        template: where the shape of the frame and the size of the pixels are looked up when the text needs them.
    Raises:
        ProtocolError: no program's file. BadValueError: what it needs is in no template.
    """
    if text.lstrip()[:1] == "{":
        return _json(text, subject, template)
    if re.search(r"^\s*Poni1\s*:", text, re.MULTILINE | re.IGNORECASE):
        return _poni(text, subject, template)
    if re.search(r"^\s*INFO:\s*Refined", text, re.MULTILINE):
        return _fit2d(text, subject)
    parts = (re.match(r"\s*(\w+)\s*[=:]\s*(.*?)\s*$", part) for part in re.split(r"[;\r\n]", text))
    pairs = {part[1]: part[2] for part in parts if part}
    if {"BeamCenterX", "BeamCenterY"} <= pairs.keys():
        return _nika(pairs, subject, template)
    raise ProtocolError(f"{subject}: neither JSON, a log of Fit2D, a geometry of Nika nor a PONI file")


def merged(template: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    """The template with these entries in the place of its own; groups are merged key by key, masks one by one."""
    document = dict(template)
    for key, value in entries.items():
        old = document.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            document[key] = merged(old, value)
        elif key == "Masks" and isinstance(old, list) and isinstance(value, list):
            document[key] = [
                merged(a, b) if isinstance(a, Mapping) and isinstance(b, Mapping) else b
                for a, b in zip(old, value, strict=False)
            ] + (old[len(value) :] or value[len(old) :])
        else:
            document[key] = value
    return document


def _fit2d(text: str, subject: str) -> ImportedCalibration:
    found: dict[str, tuple[float, ...]] = {}
    for line in re.findall(r"^\s*INFO:\s*Refined\s+(.*)$", text, re.MULTILINE):
        for name, pattern in _FIT2D.items():
            if match := re.match(pattern, line, re.IGNORECASE):
                found[name] = tuple(float(each.replace("D", "E").replace("d", "e")) for each in match.groups())
    if "BeamCenter" not in found:
        raise ProtocolError(f"{subject}: the log of Fit2D has no line 'INFO: Refined Beam centre = X Y (pixels)'")
    x, y = found["BeamCenter"]
    geometry: dict[str, Any] = {"BeamCenter": [y, x]}
    if "DedectorDistanceMM" in found:
        geometry["DedectorDistanceMM"] = found["DedectorDistanceMM"][0]
    if tilt := {name: found[name][0] for name in ("TiltAngleDeg", "TiltRotDeg") if name in found}:
        geometry["Tilt"] = tilt
    wavelength = {"Wavelength": found["Wavelength"][0]} if "Wavelength" in found else {}
    return ImportedCalibration("Fit2D", {"Geometry": geometry, **wavelength})


def _poni(text: str, subject: str, template: Mapping[str, Any]) -> ImportedCalibration:
    poni = decode_poni(text, subject)
    if poni.shape is None and (size := _numbers(template, "Imagesize")):
        poni = replace(poni, shape=(int(size[0]), int(size[-1])))
    if poni.pixel_um is None and (pixel := _numbers(template, "PixelSizeMicroM")):
        poni = replace(poni, pixel_um=(pixel[0], pixel[-1]))
    notes = []
    if abs(poni.twist) > _MOST_TWIST_RAD:
        notes.append(
            f"{subject}: Rot3 turns the detector about the beam by {math.degrees(poni.twist):.2f} degrees, which a "
            "calibration cannot say: q is the same, azimuths are counted in the detector's own axes"
        )
    return ImportedCalibration("PONI", calibration_entries(poni, subject), tuple(notes))


def _nika(pairs: Mapping[str, Any], subject: str, template: Mapping[str, Any]) -> ImportedCalibration:
    numbers: dict[str, float] = {}
    for key in _NIKA:
        if key in pairs:
            try:
                numbers[key] = float(pairs[key])
            except (TypeError, ValueError) as error:
                raise ProtocolError(f"{subject}: {key} = {pairs[key]!r} is not a number") from error
            if not math.isfinite(numbers[key]):
                raise ProtocolError(f"{subject}: {key} = {pairs[key]} is not finite")
    given = _numbers(template, "Imagesize")
    rows = numbers.get("Rows", given[0] if given else 0.0)
    columns = numbers.get("Columns", given[-1] if given else 0.0)
    if not rows or not columns:
        raise BadValueError(f"{subject}: says nothing of Rows and Columns, and no template of Geometry.Imagesize")
    # Nika counts centres of pixels from the top, a calibration edges from the bottom.
    geometry: dict[str, Any] = {
        "BeamCenter": [rows - numbers["BeamCenterY"] - 0.5, numbers["BeamCenterX"] + 0.5],
        "Imagesize": [int(rows), int(columns)],
    }
    if "SampleToCCDDistance" in numbers:
        geometry["DedectorDistanceMM"] = numbers["SampleToCCDDistance"]
    pixels = [numbers[key] * 1e3 for key in ("PixelSizeY", "PixelSizeX") if key in numbers]
    if pixels:
        geometry["PixelSizeMicroM"] = pixels[:1] if math.isclose(pixels[0], pixels[-1]) else pixels
    if "HorizontalTilt" in numbers or "VerticalTilt" in numbers:
        across = math.sin(math.radians(-numbers.get("HorizontalTilt", 0.0)))
        along = math.sin(math.radians(numbers.get("VerticalTilt", 0.0)))
        if math.hypot(across, along) >= 1.0:
            raise ProtocolError(f"{subject}: HorizontalTilt and VerticalTilt together turn the detector along the beam")
        geometry["Tilt"] = {
            "TiltAngleDeg": math.degrees(math.asin(math.hypot(across, along))),
            "TiltRotDeg": math.degrees(math.atan2(along, across)),
        }
    entries: dict[str, Any] = {"Geometry": geometry}
    if "Wavelength" in numbers:
        entries["Wavelength"] = numbers["Wavelength"]
    elif numbers.get("XrayEnergy"):
        entries["Wavelength"] = _KEV_ANGSTROM / numbers["XrayEnergy"]
    return ImportedCalibration("Nika", entries)


def _json(text: str, subject: str, template: Mapping[str, Any]) -> ImportedCalibration:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{subject}: not JSON: {error}") from error
    if {"BeamCenterX", "BeamCenterY"} <= document.keys():
        return _nika(document, subject, template)
    if "Geometry" in document or "BeamCenter" not in document:
        return ImportedCalibration("calibration", document)
    return _flat(document, subject)


def _flat(document: Mapping[str, Any], subject: str) -> ImportedCalibration:
    """The older form: what is in Geometry and in the first of Masks now was at the top."""
    schema: Mapping[str, Any] = schema_of("saxs_calibration")["properties"]
    entries: dict[str, Any] = {}
    geometry: dict[str, Any] = {}
    mask: dict[str, Any] = {}
    unknown = []
    for key, value in document.items():
        if key in ("TiltAngleDeg", "TiltRotDeg"):
            geometry["Tilt"] = {**geometry.get("Tilt", {}), key: value}
        elif key in schema["Geometry"]["properties"]:
            geometry[key] = value
        elif key in schema["Masks"]["items"]["properties"]:
            mask[key] = value
        elif key in schema:
            entries[key] = value
        else:
            unknown.append(key)
    if mask:
        entries["Masks"] = [mask]
    notes = [f"{subject}: {key} is not known and left out" for key in unknown]
    return ImportedCalibration("flat JSON", {**entries, "Geometry": geometry}, tuple(notes))


def _numbers(template: Mapping[str, Any], name: str) -> list[float]:
    """A list of numbers in the template's Geometry; empty when there is none."""
    geometry = template.get("Geometry")
    found = geometry.get(name) if isinstance(geometry, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(each, int | float) for each in found):
        return []
    return [float(each) for each in found]


def read_template(path: str | Path) -> dict[str, Any]:
    """A calibration file, or part of one, to be filled in.

    Raises:
        BadValueError: there is no such file. ConfigurationError: it is no JSON object.
    """
    try:
        document = json.loads(read_limited(path, MAX_FILE_BYTES))
    except BadValueError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(str(path), [f"not JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise ConfigurationError(str(path), ["not a JSON object"])
    return document


def encode_calibration(document: Mapping[str, Any]) -> str:
    """The text of a calibration file."""
    return json.dumps(document, indent=4) + "\n"
