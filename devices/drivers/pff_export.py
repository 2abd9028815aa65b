"""The frames of a PFF file as FITS or HDF5: pixels as they are, times and stamps beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import h5py

from devices.core.errors import BadValueError
from devices.drivers.pff import FIELDS
from devices.drivers.pff_file import PffFile
from devices.drivers.pff_table import StampTable

UNITS: Final = {"pkt_num": "", "pkt_tai": "s", "pkt_nsec": "ns", "tv_sec": "s", "tv_usec": "us"}
Progress = Callable[[int], None]


def export(source: PffFile, path: Path, progress: Progress = lambda frames: None) -> None:
    """Write all frames of a file; the kind is told by the suffix: .fits, .h5, .hdf5.

    Args:
        progress: is told how many headers were read.
    Raises:
        BadValueError: another suffix, a file that is there, or no frames. ProtocolError: a header is none.
    """
    write = {".fits": _write_fits, ".h5": _write_hdf5, ".hdf5": _write_hdf5}.get(path.suffix.lower())
    if write is None:
        raise BadValueError(f"{path}: the suffix is neither .fits nor .h5 nor .hdf5")
    if path.exists():
        raise BadValueError(f"{path} is there already")
    if not len(source):
        raise BadValueError(f"{source.path} has no frames")
    table = StampTable.read(source, progress)
    part = path.with_name(f".{path.name}.part")
    try:
        write(source, table, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def iso(time_ns: int) -> str:
    """A time to the nanosecond, UTC."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09d}"


def _about(source: PffFile, table: StampTable) -> dict[str, Any]:
    name = source.name
    return {
        "product": source.product.name,
        "module": name.module if name else 0,
        "seqno": name.seqno if name else 0,
        "source": source.path.name,
        "begin": iso(int(table.time_ns.min())),
        "end": iso(int(table.time_ns.max())),
    }


def _write_hdf5(source: PffFile, table: StampTable, path: Path) -> None:
    rows, columns = source.product.shape
    with h5py.File(path, "w") as file:
        file.attrs.update(_about(source, table))
        file.create_dataset(
            "images",
            data=source.images(),
            chunks=(min(len(source), 64), rows, columns),
            compression="gzip",
            shuffle=True,
        ).attrs["axes"] = "frame, row, column"
        file.create_dataset("time_ns", data=table.time_ns).attrs["unit"] = "ns since 1970-01-01 UTC"
        file.create_dataset("wr_valid", data=table.wr_valid)
        file.create_dataset("quabo", data=table.quabo)
        for field in FIELDS:
            file.create_dataset(field, data=table.column(field)).attrs.update(axes="frame, quabo", unit=UNITS[field])


def _write_fits(source: PffFile, table: StampTable, path: Path) -> None:
    from astropy.io import fits

    about = _about(source, table)
    primary = fits.PrimaryHDU()
    for key, value, text in (
        ("PRODUCT", about["product"], "data product"),
        ("MODULE", about["module"], "module id"),
        ("SEQNO", about["seqno"], "number of the file in its run"),
        ("SOURCE", about["source"], ""),
        ("DATE-BEG", about["begin"], "first frame, UTC"),
        ("DATE-END", about["end"], "last frame, UTC"),
        ("TIMESYS", "UTC", ""),
    ):
        primary.header[key] = (value, text)
    quabos = table.stamps.shape[1]
    stamps = [
        fits.Column(field, f"{quabos}K", unit=UNITS[field] or None, array=table.column(field)) for field in FIELDS
    ]
    columns = [
        fits.Column("time_ns", "K", unit="ns", array=table.time_ns),
        fits.Column("wr_valid", "L", array=table.wr_valid),
        fits.Column("quabo", "K", array=table.quabo),
        *stamps,
    ]
    pixels = source.images()
    hdus = [
        primary,
        fits.ImageHDU(pixels.astype(pixels.dtype.newbyteorder("=")), name="IMAGES"),
        fits.BinTableHDU.from_columns(columns, name="STAMPS"),
    ]
    fits.HDUList(hdus).writeto(path)
