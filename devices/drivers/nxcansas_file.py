"""NXcanSAS files of SAXS runs: HDF5, one group of curves for each mask or slice, one row for each image.

The file is opened, added to and closed again, so that readers and a restart find it whole.

Source: NXcanSAS application definition, https://manual.nexusformat.org/classes/applications/NXcanSAS.html.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError

ROWS_OF_CHUNK: Final = 32


@dataclass(frozen=True, eq=False)
class CurveRows:
    """Curves of one kind to be added.

    Args:
        name: of the group, ``Radial0``.
        axis: ``Q`` (nm^-1) or ``phi`` (rad).
        x: (bins,); must be the same in all rows of a file.
        intensity, sigma: (images, bins), counts per pixel.
        parameters: (images, 3) integrals of I, I q and I q^2; None where there are none.
    """

    name: str
    axis: str
    x: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]
    parameters: NDArray[np.float64] | None = None


def append_curves(
    path: Path,
    title: str,
    calibration: Mapping[str, Any],
    images: Sequence[str],
    times: Sequence[float],
    curves: Sequence[CurveRows],
) -> int:
    """Add some images to a file, which is made when it is missing; returns how many images it has now.

    Args:
        title: of a new file.
        calibration: of a new file, as its process.
        images: the paths of the images.
        times: when they were taken, s since 1970.
    Raises:
        ProtocolError: the file is damaged, or of another run. OSError: it cannot be written.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with h5py.File(part, "w") as file:
            _begin(file, title, calibration, curves)
        os.replace(part, path)
    try:
        file = h5py.File(path, "r+")
    except OSError as error:
        # Of a truncated file HDF5 speaks of its "sblock".
        if not os.access(path, os.W_OK) or "unable to lock" in str(error):
            raise
        raise ProtocolError(f"{path} is damaged: {error}") from error
    with file:
        return _append(file, path, images, times, curves)


def count_images(path: Path) -> int:
    """How many images a file has.

    Raises:
        ProtocolError: the file is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return _agreed_count(file)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ProtocolError(f"{path} is damaged: {error}") from error


def _begin(file: h5py.File, title: str, calibration: Mapping[str, Any], curves: Sequence[CurveRows]) -> None:
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry", canSAS_class="SASentry", version="1.1")
    entry["definition"] = "NXcanSAS"
    entry["title"] = title
    entry["run"] = title
    entry["start_time"] = datetime.now(UTC).isoformat()
    if curves:
        entry.attrs["default"] = curves[0].name
    process = _group(entry, "process", "NXprocess", canSAS_class="SASprocess")
    process["name"] = "Diptych azimuthal integration"
    process["note"] = json.dumps(calibration)
    _instrument(entry, calibration)
    entry.create_dataset("file", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(1024,))
    _times(entry)
    for each in curves:
        _curve_group(entry, each)


def _instrument(entry: h5py.Group, calibration: Mapping[str, Any]) -> None:
    geometry = calibration.get("Geometry", {})
    instrument = _group(entry, "instrument", "NXinstrument", canSAS_class="SASinstrument")
    detector = _group(instrument, "detector", "NXdetector", canSAS_class="SASdetector")
    detector["name"] = "SAXS detector"
    _number(detector, "SDD", geometry.get("DedectorDistanceMM"), "mm")
    pixel = geometry.get("PixelSizeMicroM") or [None]
    _number(detector, "y_pixel_size", pixel[0], "um")
    _number(detector, "x_pixel_size", pixel[-1], "um")
    center = geometry.get("BeamCenter") or [None, None]
    _number(detector, "beam_center_y", center[0], "px")
    _number(detector, "beam_center_x", center[1], "px")
    source = _group(instrument, "source", "NXsource", canSAS_class="SASsource")
    source["radiation"] = "x-ray"
    _number(source, "incident_wavelength", calibration.get("Wavelength"), "angstrom")


def _curve_group(entry: h5py.Group, curve: CurveRows) -> None:
    bins = len(curve.x)
    group = _group(entry, curve.name, "NXdata", signal="I", axes=["Time", curve.axis])
    if curve.axis == "Q":
        group.attrs.update(canSAS_class="SASdata", I_axes="Time,Q", Q_indices=[1], Time_indices=[0])
    else:
        group.attrs[f"{curve.axis}_indices"] = [1]
    x = group.create_dataset(curve.axis, data=curve.x)
    x.attrs["units"] = "1/nm" if curve.axis == "Q" else "rad"
    for name in ("I", "Idev"):
        dataset = group.create_dataset(
            name, (0, bins), "f8", maxshape=(None, bins), chunks=(ROWS_OF_CHUNK, bins), fillvalue=np.nan
        )
        dataset.attrs["units"] = "counts"
    group["I"].attrs["uncertainties"] = "Idev"
    group["Time"] = h5py.SoftLink("/entry/Time")
    if curve.parameters is not None:
        for index, name in enumerate(("I0", "I1", "I2")):
            dataset = group.create_dataset(name, (0,), "f8", maxshape=(None,), chunks=(1024,))
            dataset.attrs["long_name"] = f"integral of I q^{index} dq from qStart to qStop"


def _append(
    file: h5py.File, path: Path, images: Sequence[str], times: Sequence[float], curves: Sequence[CurveRows]
) -> int:
    try:
        entry = file["entry"]
        count = len(entry["file"])
        total = count + len(images)
        for curve in curves:
            group = entry[curve.name]
            if not np.array_equal(group[curve.axis][...], curve.x):
                raise ProtocolError(f"{path}: {curve.name} has other bins: it belongs to another calibration")
            for name in ("I", "Idev"):
                if len(group[name]) < count:
                    raise ProtocolError(
                        f"{path} is damaged: {group[name].name} has {len(group[name])} rows for {count} images"
                    )
        for curve in curves:
            group = entry[curve.name]
            columns = {"I": curve.intensity, "Idev": curve.sigma}
            if curve.parameters is not None:
                columns |= {f"I{index}": curve.parameters[:, index] for index in range(3)}
            for name, rows in columns.items():
                group[name].resize(total, axis=0)
                group[name][count:] = rows
        entry["Time"].resize(total, axis=0)
        entry["Time"][count:] = times
        # Last: who counts the files finds all that belongs to them. Rows beyond, of a crash, are written over.
        entry["file"].resize(total, axis=0)
        entry["file"][count:] = [image.encode(errors="surrogateescape").decode(errors="replace") for image in images]
    except (KeyError, RuntimeError) as error:
        raise ProtocolError(f"{path} is damaged: {error}") from error
    return total


def _agreed_count(file: h5py.File) -> int:
    entry = file["entry"]
    count = len(entry["file"])
    for group in (each for each in entry.values() if isinstance(each, h5py.Group) and "I" in each):
        if len(group["I"]) != count or len(group["Idev"]) != count:
            raise ValueError(f"{group.name} has {len(group['I'])} rows for {count} images")
    return count


def _times(entry: h5py.Group) -> None:
    times = entry.create_dataset("Time", (0,), "f8", maxshape=(None,), chunks=(1024,))
    times.attrs["units"] = "s"
    times.attrs["long_name"] = "start of the exposure, or when the file was written, s since 1970-01-01 UTC"


def _group(parent: h5py.Group, name: str, kind: str, **attributes: Any) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(NX_class=kind, **attributes)
    return group


def _number(group: h5py.Group, name: str, value: Any, unit: str) -> None:
    if isinstance(value, int | float):
        group[name] = float(value)
        group[name].attrs["units"] = unit


def free_name(path: Path) -> Path:
    """The path, or the first of ``NAME_2.h5``, ``NAME_3.h5`` ... that is not there.

    Raises:
        BadValueError: there are ten thousand.
    """
    if not path.exists():
        return path
    for number in range(2, 10_000):
        other = path.with_stem(f"{path.stem}_{number}")
        if not other.exists():
            return other
    raise BadValueError(f"{path}: no free name is left")
