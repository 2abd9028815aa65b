"""Files of a CCD image: FITS with one extension for each amplifier, FITS with one picture, and pixels alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.drivers.ccd_header import extension_cards, picture_cards, primary_cards
from devices.drivers.fits_cards import header, signed, unsigned_header
from devices.drivers.fits_pixels import type_cards, write_pixels
from devices.drivers.new_file import NewFile
from devices.pipelines.ccd.ccd_image import Card, CcdImage
from devices.pipelines.ccd.deinterlace import assemble_rows, assembled_shape

Kind = Literal["FITS", "MEF", "BIN", "ASM"]
KINDS: Final[tuple[Kind, ...]] = ("FITS", "MEF", "BIN", "ASM")
#: Rows of a picture that are put together at once.
_BAND_BYTES: Final = 1 << 20


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
            _compressed(file, image, kind, Path(path).name)
        elif kind == "MEF":
            _write_extensions(file, image, Path(path).name)
        else:
            _write_picture(file, image, kind == "ASM", Path(path).name)


def _write_extensions(file: NewFile, image: CcdImage, name: str) -> None:
    amps = image.geometry.amps
    begin = [Card("SIMPLE", True, "FITS 4.0"), Card("BITPIX", 8, "no pixels here"), Card("NAXIS", 0, "no pixels here")]
    primary = [*begin, Card("EXTEND", True, "pixels are in the extensions"), *primary_cards(image, name, amps)]
    offset = file.write(signed(unsigned_header(primary), 0), 0)
    rows, columns = image.amps.shape[1:]
    bits, scale = type_cards(image.amps.dtype)
    for amp in range(amps):
        cards = [
            Card("XTENSION", "IMAGE", "an amplifier's image, in the order of reading"),
            *(bits, *_axes(columns, rows)),
            Card("PCOUNT", 0, "no parameters"),
            Card("GCOUNT", 1, "one image"),
            *(*scale, *extension_cards(image, amp)),
        ]
        offset = _write_unit(file, cards, iter([image.amps[amp]]), offset)


def _write_picture(file: NewFile, image: CcdImage, trim: bool, name: str) -> None:
    rows, columns = assembled_shape(image.geometry, trim)
    bits, scale = type_cards(image.amps.dtype)
    start = [Card("SIMPLE", True, "FITS 4.0"), bits, *_axes(columns, rows), *scale]
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


def _compressed(file: NewFile, image: CcdImage, kind: Kind, name: str) -> None:
    from astropy.io import fits  # it costs half a second of every process that imports it

    def unit(pixels: NDArray[Any], cards: list[Card]) -> Any:
        lines = header(cards)
        return fits.CompImageHDU(pixels, fits.Header.fromstring(lines), compression_type="RICE_1")

    if kind == "MEF":
        primary = primary_cards(image, name, image.geometry.amps)
        units = [unit(pixels, extension_cards(image, amp)) for amp, pixels in enumerate(image.amps)]
    else:
        trim = kind == "ASM"
        primary = primary_cards(image, name, 1)
        picture = np.empty(assembled_shape(image.geometry, trim), image.amps.dtype)
        assemble_rows(image.amps, image.geometry, trim, 0, picture)
        units = [unit(picture, picture_cards(image, trim))]
    first = fits.PrimaryHDU(header=fits.Header.fromstring(header(primary)))
    with file.stream() as stream:
        fits.HDUList([first, *units]).writeto(stream, checksum=True)


def _picture_header(image: CcdImage, trim: bool, name: str) -> list[Card]:
    """What is said of the picture goes before the tools' keywords and is said once."""
    primary, picture = primary_cards(image, name, 0), picture_cards(image, trim)
    said = {card.keyword for card in primary}
    at = next((n for n, card in enumerate(primary) if card.keyword == "COMMENT"), len(primary))
    return [*primary[:at], *(card for card in picture if card.keyword not in said), *primary[at:]]


def _bands(image: CcdImage, trim: bool) -> Iterator[NDArray[Any]]:
    """The picture, some rows at once, always in the same memory; an even number of rows until the last ones."""
    rows, columns = assembled_shape(image.geometry, trim)
    most = max(_BAND_BYTES // (columns * image.amps.itemsize) // 2 * 2, 2)
    band = np.empty((min(most, rows), columns), image.amps.dtype)
    for first in range(0, rows, most):
        part = band[: min(most, rows - first)]
        assemble_rows(image.amps, image.geometry, trim, first, part)
        yield part


def _axes(columns: int, rows: int) -> list[Card]:
    return [Card("NAXIS", 2, "columns, rows"), Card("NAXIS1", columns, "columns"), Card("NAXIS2", rows, "rows")]
