"""One frame of an image and the views of it that pages see: crop, reduction, statistics, and the bytes of the answer.

Everything here is mathematics on numpy arrays of (rows, columns); docs/panel-sockets.md has the layout of the header.
"""

from __future__ import annotations

import functools
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from p4p import Value

from devices.core.errors import BadValueError, RangeError

Array = NDArray[Any]
Reduce = Literal["max", "mean"]

MAGIC: Final = b"DIMG"
VERSION: Final = 1
HEADER: Final = struct.Struct("<4sBBBBHHIdIIIIIIddd")
EXACT, MASKED = 1, 2
DTYPES: Final = {"u1": 1, "u2": 2, "i4": 3, "f4": 4}
#: What is sent instead of a type that the page cannot draw.
SENT_AS: Final = {"b1": "u1", "u1": "u1", "u2": "u2", "i1": "i4", "i2": "i4", "i4": "i4", "f4": "f4"}
WIDENED: Final = ("b1", "i1", "i2")  # sent in a wider type, still exact
REDUCTIONS: Final = {"none": 0, "max": 1, "mean": 2}
LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
PERCENTILE_PERIOD: Final = 0.5  # s
PERCENTILE_SAMPLES: Final = 250_000  # pixels at most, evenly spaced
MAX_BINS: Final = 1024
LUMINANCE: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class View:
    """The rectangle that a page shows, in image pixels, and how many pixels it has room for."""

    x: int
    y: int
    width: int
    height: int
    canvas_width: int
    canvas_height: int
    reduce: Reduce = "max"


@dataclass
class Frame:
    """One image of (rows, columns), with its number and time stamp in s since 1970."""

    pixels: Array
    seq: int
    time: float
    _cache: dict[Any, tuple[Array, int]] = field(default_factory=dict)

    def view(self, number: int, view: View, scale: tuple[float, float]) -> bytes:
        """The binary message of a view.

        Args:
            number: of the view.
            scale: (low, high) of autoscale.
        """
        x, y, width, height = self.clipped(view.x, view.y, view.width, view.height)
        factor = max(1, -(-width // max(1, view.canvas_width)), -(-height // max(1, view.canvas_height)))
        key = (x, y, width, height, factor, view.reduce)
        if key not in self._cache:
            self._cache[key] = reduced(self.pixels[y : y + height, x : x + width], factor, view.reduce), factor
        pixels, factor = self._cache[key]
        code = _code(self.pixels.dtype)
        sent = pixels.astype("<" + SENT_AS.get(code, "f4"), copy=False)
        exact = code in SENT_AS and (factor == 1 or view.reduce == "max")
        header = HEADER.pack(
            MAGIC,
            VERSION,
            DTYPES[SENT_AS.get(code, "f4")],
            EXACT * exact,
            REDUCTIONS["none" if factor == 1 else view.reduce],
            number,
            factor,
            self.seq & 0xFFFFFFFF,
            self.time,
            self.pixels.shape[1],
            self.pixels.shape[0],
            x,
            y,
            sent.shape[1],
            sent.shape[0],
            *scale,
            0.0,
        )
        return header + sent.tobytes()

    def clipped(self, x: int, y: int, width: int, height: int) -> tuple[int, int, int, int]:
        """A rectangle as far as it lies in the image; at least one pixel of it."""
        rows, columns = self.pixels.shape
        left, top = min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)
        right, bottom = min(max(x + width, left + 1), columns), min(max(y + height, top + 1), rows)
        return left, top, right - left, bottom - top

    def probe(self, x: int, y: int) -> Any:
        """The true value of a pixel; None outside and for a bad one."""
        rows, columns = self.pixels.shape
        return _number(self.pixels[y, x]) if 0 <= x < columns and 0 <= y < rows else None

    def statistics(self, x: int, y: int, width: int, height: int, bins: int) -> dict[str, Any]:
        """Of all pixels of a rectangle, without those that are not finite.

        Raises:
            RangeError: a number of bins outside [1, 1024].
        """
        if not 1 <= bins <= MAX_BINS:
            raise RangeError(f"bins = {bins} is outside [1, {MAX_BINS}]")
        x, y, width, height = self.clipped(x, y, width, height)
        region = self.pixels[y : y + height, x : x + width].astype(np.float64)
        values = region[np.isfinite(region)]
        answer: dict[str, Any] = {"x": x, "y": y, "width": width, "height": height, "count": int(values.size)}
        if not values.size:
            return answer | {"min": None, "max": None, "mean": None, "std": None, "low": 0, "high": 0, "counts": []}
        low, high = float(values.min()), float(values.max())
        counts, edges = np.histogram(values, bins, (low, high if high > low else low + 1.0))
        return answer | {
            "min": low,
            "max": high,
            "mean": float(values.mean()),
            "std": float(values.std()),
            "low": float(edges[0]),
            "high": float(edges[-1]),
            "counts": counts.tolist(),
        }

    def profile(self, x1: int, y1: int, x2: int, y2: int) -> dict[str, Any]:
        """The nearest pixels along a line, both ends included, about one pixel apart."""
        length = float(np.hypot(x2 - x1, y2 - y1))
        steps = int(min(max(round(length), 1), sum(self.pixels.shape)))
        columns = np.rint(np.linspace(x1, x2, steps + 1)).astype(int)
        rows = np.rint(np.linspace(y1, y2, steps + 1)).astype(int)
        values = [self.probe(int(column), int(row)) for column, row in zip(columns, rows, strict=True)]
        return {"values": values, "step": length / steps}


def frame_of(value: Value, seq: int) -> Frame | None:
    """The frame of an NTNDArray; None without pixels. Colour becomes luminance.

    Raises:
        BadValueError: it is compressed, or its dimensions are not those of its data.
    """
    if value.codec.name:
        raise BadValueError(f"images compressed with {value.codec.name} are not shown")
    data, sizes = value.value, [int(dimension.size) for dimension in value.dimension]
    if data is None or not np.size(data):
        return None
    pixels = np.asarray(data)
    if pixels.size != int(np.prod(sizes)) or len(sizes) not in (2, 3):
        raise BadValueError(f"an image of {pixels.size} pixels has the dimensions {sizes}")
    pixels = pixels.reshape(sizes[::-1])  # dimension 0 varies fastest
    if pixels.ndim == 3:
        pixels = _luminance(pixels, sizes.index(3) if 3 in sizes else 0)
    stamp = value.dataTimeStamp if value.dataTimeStamp.secondsPastEpoch else value.timeStamp
    return Frame(pixels, seq, stamp.secondsPastEpoch + 1e-9 * stamp.nanoseconds)


def reduced(pixels: Array, factor: int, how: Reduce) -> Array:
    """Blocks of ``factor`` x ``factor`` pixels as one each; those at the right and lower edge may be smaller."""
    if factor == 1:
        return np.ascontiguousarray(pixels)
    rows, columns = pixels.shape
    operation = np.maximum if how == "max" else np.add
    tall = _every(pixels if how == "max" else pixels.astype(np.float32), factor, operation)
    # Columns are slices with a stride: to reduce a few neighbours at a time takes numpy a hundred times as long.
    result: Array = functools.reduce(operation, (tall[:, first::factor] for first in range(columns % factor or factor)))
    for first in range(columns % factor or factor, factor):
        operation(result[:, : columns // factor], tall[:, first::factor], out=result[:, : columns // factor])
    if how == "mean":
        heights = np.minimum(factor, rows - np.arange(0, rows, factor))[:, None]
        widths = np.minimum(factor, columns - np.arange(0, columns, factor))[None, :]
        result = result / (heights * widths).astype(np.float32)
    return result


def _every(pixels: Array, factor: int, operation: np.ufunc) -> Array:
    """Each ``factor`` rows as one."""
    rows, columns = pixels.shape
    whole = rows - rows % factor
    parts = [operation.reduce(pixels[:whole].reshape(-1, factor, columns), axis=1)]
    if whole < rows:
        parts.append(operation.reduce(pixels[whole:], axis=0)[None])
    return np.concatenate(parts)


class Autoscale:
    """Where the colours of an image begin and end: percentiles, at most twice a second anew."""

    def __init__(self) -> None:
        self._scale = (0.0, 1.0)
        self._next = 0.0

    def of(self, frame: Frame) -> tuple[float, float]:
        """(low, high) for a frame."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PERCENTILE_PERIOD
            step = max(1, frame.pixels.size // PERCENTILE_SAMPLES)
            sample = frame.pixels.reshape(-1)[::step].astype(np.float64)
            sample = sample[np.isfinite(sample)]
            if sample.size:
                low, high = np.percentile(sample, [LOW_PERCENT, HIGH_PERCENT])
                self._scale = float(low), float(high if high > low else low + 1.0)
        return self._scale


def _code(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"


def _number(value: Any) -> int | float | None:
    number: int | float = value.item()
    return None if isinstance(number, float) and not np.isfinite(number) else number


def _luminance(pixels: Array, color_dimension: int) -> Array:
    """(..) with colours in one axis as (rows, columns); ``color_dimension`` counts from the fastest one."""
    axis = pixels.ndim - 1 - color_dimension
    grey = np.tensordot(pixels.astype(np.float32), np.asarray(LUMINANCE, np.float32), axes=([axis], [0]))
    result: Array = np.rint(grey).astype(pixels.dtype) if pixels.dtype.kind in "ui" else grey
    return result
