"""Files of a CCD image: FITS with one extension for each amplifier, FITS with one picture, and pixels alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.drivers.ccd_header import extension_cards, picture_cards, primary_cards
from devices.drivers.fits_cards import BLOCK, header, signed, unsigned_header
from devices.drivers.fits_measurements import measurement_table
from devices.drivers.fits_pixels import type_cards, write_pixels
from devices.drivers.new_file import NewFile
from devices.pipelines.ccd.ccd_image import Card, CcdImage
from devices.pipelines.ccd.deinterlace import assemble_rows, assembled, assembled_shape

Kind = Literal["FITS", "MEF", "BIN", "ASM"]
KINDS: Final[tuple[Kind, ...]] = ("FITS", "MEF", "BIN", "ASM")
#: Rows of a picture that are put together at once.
_BAND_BYTES: Final = 1 << 18


def write_image(
    path: str | Path, image: CcdImage, kind: Kind = "MEF", overwrite: bool = False, compress: bool = False
) -> None:
    """Write an image; the file appears when all of it is on the disk.

    Args:
        path: the file's name.
        image: what to write.
        kind: MEF: an extension for each amplifier, in the order of reading. FITS: one picture, as it is shown, with
            underscan and overscan. ASM: the same without them. BIN: the pixels of the FITS picture alone, the lowest
            row first, little-endian.
        overwrite: replace a file of this name.
        compress: without loss, by RICE in tiles (as fpack); BIN never is.

    Raises:
        BadValueError: there is such a file; an unknown kind; a keyword that FITS cannot hold.
        StorageError: the disk is full, the folder is not there, and so on; nothing is left behind.
    """
    if kind not in KINDS:
        raise BadValueError(f"kind = {kind!r} is none of {', '.join(KINDS)}")
    with NewFile(path, overwrite) as file:
        if kind == "BIN":
            _write_raw(file, image)
        elif compress:
            _write_compressed(file, image, kind, Path(path).name)
        elif kind == "MEF":
            _write_extensions(file, image, Path(path).name)
        else:
            _write_picture(file, image, kind == "ASM", Path(path).name)
        if kind != "BIN" and image.measured is not None:
            file.write(measurement_table(image.measured), file.size)


def _write_extensions(file: NewFile, image: CcdImage, name: str) -> None:
    offset = _write_primary(file, primary_cards(image, name, image.geometry.amps + _tables(image)))
    rows, columns = image.amps.shape[1:]
    bits, scale = type_cards(image.amps.dtype)
    for amp, pixels in enumerate(image.amps):
        cards = [
            Card("XTENSION", "IMAGE", "an amplifier's image, in the order of reading"),
            *(bits, *_axes(columns, rows)),
            Card("PCOUNT", 0, "no parameters"),
            Card("GCOUNT", 1, "one image"),
            *(*scale, *extension_cards(image, amp)),
        ]
        offset = _write_unit(file, cards, _rows_of(pixels), offset)


def _write_primary(file: NewFile, cards: list[Card]) -> int:
    """A primary header without pixels; returns the offset behind it."""
    begin = [Card("SIMPLE", True, "FITS 4.0"), Card("BITPIX", 8, "no pixels here"), Card("NAXIS", 0, "no pixels here")]
    extend = Card("EXTEND", True, "pixels are in the extensions")
    return file.write(signed(unsigned_header([*begin, extend, *cards]), 0), 0)


def _write_picture(file: NewFile, image: CcdImage, trim: bool, name: str) -> None:
    rows, columns = assembled_shape(image.geometry, trim)
    bits, scale = type_cards(image.amps.dtype)
    extend = [Card("EXTEND", True, "a table follows")] if _tables(image) else []
    start = [Card("SIMPLE", True, "FITS 4.0"), bits, *_axes(columns, rows), *extend, *scale]
    _write_unit(file, [*start, *_picture_header(image, trim, name)], _bands(image, trim), 0)


def _write_unit(file: NewFile, cards: list[Card], parts: Iterator[NDArray[Any]], offset: int) -> int:
    """A header and its pixels; the header comes last, when their sum is known. Returns the offset behind."""
    head = unsigned_header(cards)
    behind, total = write_pixels(file, parts, offset + len(head))
    file.write(signed(head, total), offset)
    return behind


def _write_raw(file: NewFile, image: CcdImage) -> None:
    offset = 0
    for band in _bands(image, trim=False):
        little = band.astype(band.dtype.newbyteorder("<"), copy=False)
        offset = file.write(little.reshape(-1).view(np.uint8).data, offset)


def _write_compressed(file: NewFile, image: CcdImage, kind: Kind, name: str) -> None:
    if kind == "MEF":
        offset = _write_primary(file, primary_cards(image, name, image.geometry.amps + _tables(image)))
        for amp, pixels in enumerate(image.amps):
            offset = file.write(_compressed(pixels, extension_cards(image, amp)), offset)
    else:
        trim = kind == "ASM"
        offset = _write_primary(file, primary_cards(image, name, 1 + _tables(image)))
        file.write(_compressed(assembled(image.amps, image.geometry, trim), picture_cards(image, trim)), offset)


def _compressed(pixels: NDArray[Any], cards: list[Card]) -> memoryview:
    """An extension; made in memory, as astropy's handling of full disks fails for files that are open already."""
    from astropy.io import fits  # it costs half a second of every process that imports it

    unit = fits.CompImageHDU(pixels, fits.Header.fromstring(header(cards)), compression_type="RICE_1")
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(content, checksum=True)
    return content.getbuffer()[BLOCK:]


def _picture_header(image: CcdImage, trim: bool, name: str) -> list[Card]:
    """What is said of the picture goes before the tools' keywords and is said once."""
    primary, picture = primary_cards(image, name, _tables(image)), picture_cards(image, trim)
    said = {card.keyword for card in primary}
    at = next((n for n, card in enumerate(primary) if card.keyword == "COMMENT"), len(primary))
    return [*primary[:at], *(card for card in picture if card.keyword not in said), *primary[at:]]


def _rows_of(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """An amplifier's image, some rows at once where they do not lie one behind the other."""
    if pixels.flags.c_contiguous:
        yield pixels
        return
    most = max(_BAND_BYTES // (pixels.shape[1] * pixels.itemsize) // 2 * 2, 2)
    for first in range(0, len(pixels), most):
        yield pixels[first : first + most]


def _bands(image: CcdImage, trim: bool) -> Iterator[NDArray[Any]]:
    """The picture, some rows at once, always in the same memory; an even number of rows until the last ones."""
    rows, columns = assembled_shape(image.geometry, trim)
    most = max(_BAND_BYTES // (columns * image.amps.itemsize) // 2 * 2, 2)
    band = np.empty((min(most, rows), columns), image.amps.dtype)
    for first in range(0, rows, most):
        part = band[: min(most, rows - first)]
        assemble_rows(image.amps, image.geometry, trim, first, part)
        yield part


def _tables(image: CcdImage) -> int:
    return int(image.measured is not None)


def _axes(columns: int, rows: int) -> list[Card]:
    return [Card("NAXIS", 2, "columns, rows"), Card("NAXIS1", columns, "columns"), Card("NAXIS2", rows, "rows")]
