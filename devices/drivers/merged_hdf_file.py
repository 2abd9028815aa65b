"""Images merged with logs, as one HDF5 file: the table, and perhaps the images and their curves.

``/LogData`` has a dataset for each column and ``time``, s since 1970. ``/Images/h<key>`` is the frame of an image,
``/Graphs/<kind>/h<key>/CHI`` a curve of it, (3, bins), and ``JSON`` beside it what it was integrated with. The key is
the SHA-224 of the image's path without suffix, in hexadecimal; of the whole path when two images differ by it only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.drivers.log_cells import unique_names
from devices.pipelines.saxs_merge import TimeTable


@dataclass(frozen=True, eq=False)
class ImageCurve:
    """A curve of an image.

    Args:
        image: the path of the image.
        kind: ``Radial0``, ``Slice1``.
        columns: (3, bins): x, intensity, sigma.
        settings: JSON.
    """

    image: str
    kind: str
    columns: NDArray[np.float64]
    settings: str


def image_key(path: str) -> str:
    """What an image is called in the file."""
    return _hashed(os.path.splitext(path)[0])


def _hashed(text: str) -> str:
    return "h" + hashlib.sha224(text.encode(errors="surrogateescape")).hexdigest()


def _free_key(group: h5py.Group, image: str) -> str:
    key = image_key(image)
    return key if key not in group else _hashed(image)


def write_merged_hdf(
    path: Path, table: TimeTable, images: Iterable[tuple[str, NDArray[Any]]], curves: Iterable[ImageCurve]
) -> None:
    """Let the file appear as a whole.

    Args:
        images: path and frame of each.
    Raises:
        BadValueError: it cannot be written. Besides, whatever `images` and `curves` raise: then there is no file.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            file = h5py.File(part, "w")
        except OSError as error:
            raise BadValueError(f"{path} cannot be written: {error}") from error
        with file:
            _write_table(file.create_group("LogData"), table)
            group = file.create_group("Images")
            for image, frame in images:
                dataset = group.create_dataset(
                    _free_key(group, image), data=frame, chunks=frame.shape, compression="gzip", compression_opts=1
                )
                dataset.attrs["path"] = _text(image)
            graphs = file.create_group("Graphs")
            for curve in curves:
                kind = graphs.require_group(curve.kind)
                group = kind.create_group(_free_key(kind, curve.image))
                group.attrs["path"] = _text(curve.image)
                group["CHI"] = curve.columns
                group["JSON"] = curve.settings
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_table(group: h5py.Group, table: TimeTable) -> None:
    times = group.create_dataset("time", data=table.time_us / 1e6)
    times.attrs["units"] = "s"
    times.attrs["long_name"] = "middle of the exposure, s since 1970-01-01"
    # A slash would make a group.
    names = unique_names(["time", *(name.replace("/", "_") for name in table.columns)])[1:]
    for name, (title, column) in zip(names, table.columns.items(), strict=True):
        if column.dtype == object:
            texts = [cell or "" for cell in column]
            dataset = group.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        else:
            dataset = group.create_dataset(name, data=column)
        dataset.attrs["long_name"] = title


def _text(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="replace")
