"""Measured values as a FITS table: a row for each, with its name, value and unit."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices.drivers.fits_cards import BLOCK, ones_sum, signed, unsigned_header
from devices.pipelines.ccd.ccd_image import Card, Measurements

_ROW: Final = np.dtype([("name", "S40"), ("value", ">f8"), ("unit", "S8")])
#: What the last part of a name says of the unit.
_UNITS: Final = {"V": "V", "A": "A", "C": "deg C", "K": "K", "W": "W"}


def measurement_table(measured: Measurements) -> bytes:
    """A binary table extension with the columns Keyword, Value and Unit, header and checksums included."""
    rows = np.zeros(len(measured.values), _ROW)
    for row, (name, value) in zip(rows, measured.values.items(), strict=True):
        unit = _UNITS.get(name.rpartition("_")[2], "")
        row["name"] = name[:40].encode("ascii", "replace")
        row["value"], row["unit"] = value, unit.encode("ascii")
    cards = [
        Card("XTENSION", "BINTABLE", measured.title),
        Card("BITPIX", 8, "bytes"),
        Card("NAXIS", 2, "bytes of a row, rows"),
        Card("NAXIS1", _ROW.itemsize, "bytes of a row"),
        Card("NAXIS2", rows.size, "rows"),
        Card("PCOUNT", 0, "nothing follows the rows"),
        Card("GCOUNT", 1, "one table"),
        Card("TFIELDS", 3, "columns"),
        Card("TTYPE1", "Keyword", "name"),
        Card("TFORM1", "40A", "text"),
        Card("TTYPE2", "Value", "value; NaN: there was none"),
        Card("TFORM2", "1D", "number of 64 bits"),
        Card("TTYPE3", "Unit", "unit of the value"),
        Card("TFORM3", "8A", "text"),
        Card("EXTNAME", measured.title, "name of this extension"),
    ]
    content = rows.tobytes()
    content = content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")
    return signed(unsigned_header(cards), ones_sum(content)) + content
