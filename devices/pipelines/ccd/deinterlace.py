"""From the words of a controller to the amplifiers' images, and from them to one picture."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from devices.pipelines.ccd.detector import Geometry

#: The layouts of a stream, by the names of `devices.ccd.controller_link.Layout`.
LAYOUTS = ("INTERLEAVED", "TAPS", "ASSEMBLED")


def amplifiers(
    raw: NDArray[Any],
    geometry: Geometry,
    layout_name: str,
    order: tuple[int, ...] = (),
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The image of each amplifier, (amp, y, x), in the order of reading, of the same type.

    Copied once; TAPS in their own order, and without `out`, are a view of `raw`.

    Args:
        raw: all pixels, of any shape.
        layout_name: INTERLEAVED: pixel 0 of each amplifier, then pixel 1 of each. TAPS: rows of the amplifiers side by
            side. ASSEMBLED: one picture, the lowest row first, as it is shown.
        order: the n-th amplifier of the stream is amplifier order[n]; empty: as they are. A picture has none.
        out: where to put them, to use memory again.

    Raises:
        ValueError: another number of pixels, an unknown layout, or an order that does not name each amplifier once.
    """
    if layout_name not in LAYOUTS:
        raise ValueError(f"layout = {layout_name!r} is none of {', '.join(LAYOUTS)}")
    amps, rows, columns = geometry.amp_shape
    if raw.size != geometry.pixels:
        raise ValueError(
            f"the controller gave {raw.size} px; {amps} amplifiers of {columns} x {rows} px are {geometry.pixels} px"
        )
    if sorted(order or range(amps)) != list(range(amps)):
        raise ValueError(f"order = {order} does not name each of {amps} amplifiers once")
    if layout_name == "TAPS" and out is None and list(order) in ([], list(range(amps))):
        return np.moveaxis(raw.reshape(rows, amps, columns), 1, 0)
    if out is None:
        out = np.empty(geometry.amp_shape, raw.dtype)
    elif out.shape != geometry.amp_shape or out.dtype != raw.dtype:
        raise ValueError(f"room for {out.shape} {out.dtype} does not fit {geometry.amp_shape} {raw.dtype}")
    places = np.array(order or range(amps), np.intp)
    if layout_name == "INTERLEAVED":
        if raw.flags.c_contiguous and out.flags.c_contiguous:
            _part(raw.reshape(-1, amps), places, out.reshape(amps, -1))
        else:
            out[places] = np.moveaxis(raw.reshape(rows, columns, amps), 2, 0)
    elif layout_name == "TAPS":
        taps = raw.reshape(rows, amps, columns)
        for tap, amp in enumerate(places):
            out[amp] = taps[:, tap]
    else:
        picture = raw.reshape(geometry.focal_plane.amps_y * rows, geometry.focal_plane.amps_x * columns)
        for amp in range(amps):
            x, y = geometry.focal_plane.position(amp)
            tile = picture[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
            out[amp] = _turned(tile, geometry, amp)
    return out


def oriented(amps: NDArray[Any], geometry: Geometry) -> list[NDArray[Any]]:
    """The images of the amplifiers as they are shown, (y, x) each, flips undone: views, nothing is copied."""
    return [_turned(image, geometry, amp) for amp, image in enumerate(amps)]


def trimmed(amps: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """The amplifiers' images, (amp, y, x) in the order of reading, without underscan and overscan: a view."""
    rows, columns = geometry.rows, geometry.columns
    return amps[
        :,
        rows.underscan : rows.underscan + rows.data,
        columns.underscan : columns.underscan + columns.data,
    ]


def assembled(
    amps: NDArray[Any], geometry: Geometry, trim: bool = True, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """One picture of all amplifiers, (y, x), as it is shown, the lowest row first.

    Args:
        amps: (amp, y, x) in the order of reading.
        trim: leave underscan and overscan away.
        out: where to put it.
    """
    if out is None:
        out = np.empty(assembled_shape(geometry, trim), amps.dtype)
    assemble_rows(amps, geometry, trim, 0, out)
    return out


def assembled_shape(geometry: Geometry, trim: bool = True) -> tuple[int, int]:
    """Of the picture of all amplifiers, (y, x)."""
    columns, rows = (axis.data if trim else axis.read for axis in (geometry.columns, geometry.rows))
    return geometry.focal_plane.amps_y * rows, geometry.focal_plane.amps_x * columns


def assemble_rows(amps: NDArray[Any], geometry: Geometry, trim: bool, first_row: int, out: NDArray[Any]) -> None:
    """Fill `out` with rows of the picture, from `first_row` (from 0) on: for who has no room for all of it."""
    if trim:
        amps = trimmed(amps, geometry)
    rows, columns = amps.shape[1:]
    for amp, image in enumerate(oriented(amps, geometry)):
        x, y = geometry.focal_plane.position(amp)
        begin, end = max(first_row, y * rows), min(first_row + len(out), (y + 1) * rows)
        if begin < end:
            tile = image[begin - y * rows : end - y * rows]
            out[begin - first_row : end - first_row, x * columns : (x + 1) * columns] = tile


def _turned(image: NDArray[Any], geometry: Geometry, amp: int) -> NDArray[Any]:
    flip_x, flip_y = geometry.focal_plane.is_flipped(amp)
    return image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _part(stream: NDArray[Any], places: NDArray[np.intp], out: NDArray[Any]) -> None:
    """stream (pixel, amp) to out (amp, pixel). Words of four or two pixels are read at once: five times as fast."""
    amps, size = stream.shape[1], stream.dtype.itemsize
    aligned = sys.byteorder == "little" and stream.ctypes.data % 8 == 0
    if aligned and amps % 4 == 0 and size == 2:
        _part_by_4(stream.view(np.uint64), places, out.view(np.uint16))
    elif aligned and amps % 2 == 0 and size in (2, 4):
        half, word = (np.uint16, np.uint32) if size == 2 else (np.uint32, np.uint64)
        _part_by_2(stream.view(word), places, out.view(half), word(8 * size))
    else:
        _part_by_1(stream, places, out)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _part_by_4(words: NDArray[np.uint64], places: NDArray[np.intp], out: NDArray[np.uint16]) -> None:
    flat, room = words.reshape(words.size), np.empty(1024, words.dtype)
    for begin in range(0, words.shape[0], 1024):
        end = min(begin + 1024, words.shape[0])
        for k in range(words.shape[1]):
            a, b = out[places[4 * k], begin:end], out[places[4 * k + 1], begin:end]
            c, d = out[places[4 * k + 2], begin:end], out[places[4 * k + 3], begin:end]
            # Words without others between them are split by vectors.
            if words.shape[1] == 1:
                _split_4(flat[begin:end], a, b, c, d)
            else:
                for n in range(end - begin):
                    room[n] = words[begin + n, k]
                _split_4(room[: end - begin], a, b, c, d)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _split_4(words: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    for n in range(words.size):
        word = words[n]
        a[n] = np.uint16(word)
        b[n] = np.uint16(word >> np.uint64(16))
        c[n] = np.uint16(word >> np.uint64(32))
        d[n] = np.uint16(word >> np.uint64(48))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _part_by_2(words: NDArray[Any], places: NDArray[np.intp], out: NDArray[Any], bits: Any) -> None:
    flat, room = words.reshape(words.size), np.empty(1024, words.dtype)
    for begin in range(0, words.shape[0], 1024):
        end = min(begin + 1024, words.shape[0])
        for k in range(words.shape[1]):
            a, b = out[places[2 * k], begin:end], out[places[2 * k + 1], begin:end]
            if words.shape[1] == 1:
                _split_2(flat[begin:end], a, b, bits)
            else:
                for n in range(end - begin):
                    room[n] = words[begin + n, k]
                _split_2(room[: end - begin], a, b, bits)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _split_2(words: Any, a: Any, b: Any, bits: Any) -> None:
    for n in range(words.size):
        word = words[n]
        a[n] = word
        b[n] = word >> bits


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _part_by_1(stream: NDArray[Any], places: NDArray[np.intp], out: NDArray[Any]) -> None:
    for begin in range(0, stream.shape[0], 1024):
        end = min(begin + 1024, stream.shape[0])
        for n in range(stream.shape[1]):
            part, image = stream[begin:end, n], out[places[n], begin:end]
            for pixel in range(part.size):
                image[pixel] = part[pixel]
