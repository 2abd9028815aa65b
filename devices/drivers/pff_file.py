"""Files of PFF frames: any frame by its number or time, without reading the others."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError, RangeError
from devices.drivers.pff import MARK, MAX_HEADER_BYTES, Product, RawFrame, Splitter, parse_header, product, stamps
from devices.drivers.white_rabbit import header_time_ns

_DP: Final = re.compile(r"\.dp_([A-Za-z0-9]+)\.")
_MODULE: Final = re.compile(r"\.module_(\d+)\.")
_SEQNO: Final = re.compile(r"\.seqno_(\d+)\.")
_PORTION_BYTES: Final = 1 << 20
_START: Final = re.compile(r"^start_([^.]+)\.")


@dataclass(frozen=True)
class PffName:
    """What the name of a file says; ``seqno`` counts the files of a run, ``started`` is empty when it is not said."""

    product: str
    module: int
    seqno: int
    started: str

    @classmethod
    def parse(cls, name: str) -> PffName | None:
        """None for a file of another kind."""
        data, module = _DP.search(name), _MODULE.search(name)
        if data is None or not name.endswith(".pff"):
            return None
        seqno, started = _SEQNO.search(name), _START.search(name)
        return cls(
            data[1],
            int(module[1]) if module else 0,
            int(seqno[1]) if seqno else 0,
            started[1] if started else "",
        )


def file_name(of: Product, module: int, seqno: int, started: str) -> str:
    """The name of a file of the recorder; ``started`` as ``2024-07-25T04:34:46Z``."""
    return f"start_{started}.dp_{of.name}.bpp_{of.bytes_per_pixel}.module_{module}.seqno_{seqno}.pff"


class PffFile:
    """The frames of one file, on a memory map; a part of a frame at its end is left out.

    Files whose frames are not all of one length are read through once, and then as quick.

    Args:
        of: the data product; None: as the name says.
    Raises:
        BadValueError: there is no such file, or its name says no product. ProtocolError: it holds no frame.
    """

    def __init__(self, path: Path, of: Product | None = None) -> None:
        self.path = path
        self.name = PffName.parse(path.name)
        if of is None:
            if self.name is None:
                raise BadValueError(f"{path}: the name says no data product (.dp_NAME.)")
            of = product(self.name.product)
        self.product = of
        try:
            size = path.stat().st_size
            self._data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
        except OSError as error:
            raise BadValueError(f"{path} cannot be read: {error.strerror}") from error
        self._view = memoryview(self._data.data)
        self._starts: Sequence[int] = self._index() if size else ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._view.release()
        self._data = np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[RawFrame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> RawFrame:
        """A frame; negative numbers count from the end.

        Raises:
            RangeError: there are not so many.
        """
        count = len(self._starts)
        if not -count <= index < count:
            raise RangeError(f"frame = {index} is outside [0, {count - 1}] of {self.path.name}")
        start = self._starts[index]
        text = bytes(self._view[start : start + MAX_HEADER_BYTES])
        at = text.index(MARK)
        pixels = start + at + len(MARK)
        return RawFrame(self.product, text[:at], bytes(self._view[pixels : pixels + self.product.image_bytes]))

    def header(self, index: int) -> dict[str, Any]:
        """The header of a frame."""
        start = self._starts[index]
        text = bytes(self._view[start : start + MAX_HEADER_BYTES])
        return parse_header(text[: text.index(MARK)])

    def time_ns(self, index: int) -> int:
        """When a frame was made, ns since 1970: by White Rabbit, or by the recorder's clock where that is of no use."""
        return frame_time_ns(self.header(index))

    def at(self, time_ns: int) -> int:
        """The first frame at or after a time; as many as there are when all are before."""
        return bisect_left(range(len(self)), time_ns, key=self.time_ns)

    def images(self) -> NDArray[Any]:
        """All images, (frames, rows, columns); a copy."""
        rows, columns = self.product.shape
        if isinstance(self._starts, range):  # all frames have one length
            length = self._starts.step
            pixels = self._data[: len(self) * length].reshape(len(self), length)[:, length - self.product.image_bytes :]
            return _typed(pixels, self.product)
        if not len(self):
            return np.empty((0, rows, columns), self.product.dtype)
        return np.stack([frame.image for frame in self])

    def _index(self) -> Sequence[int]:
        """Where the frames begin."""
        head = bytes(self._view[:MAX_HEADER_BYTES])
        at = head.find(MARK)
        if at < 0:
            raise ProtocolError(f"{self.path}: no frame begins in the first {MAX_HEADER_BYTES} bytes")
        length = at + len(MARK) + self.product.image_bytes
        count, rest = divmod(len(self._data), length)
        if count and _is_header(head[:at]) and not self._has_frame(count * length, rest):
            starts = np.arange(count, dtype=np.int64) * length
            marks = starts[:, np.newaxis] + np.arange(at, at + len(MARK))
            has_marks = (self._data[marks] == np.frombuffer(MARK, np.uint8)).all()
            if has_marks and (self._data[starts] == head[0]).all():
                return range(0, count * length, length)
        return self._scan()

    def _has_frame(self, start: int, size: int) -> bool:
        """Whether a part of the file may hold a frame that is shorter than the first one."""
        at = bytes(self._view[start : start + size]).find(MARK)
        return 0 <= at <= size - len(MARK) - self.product.image_bytes

    def _scan(self) -> list[int]:
        splitter, starts, taken = Splitter(self.product), [], 0
        for position in range(0, len(self._view), _PORTION_BYTES):
            for frame in splitter.feed(bytes(self._view[position : position + _PORTION_BYTES])):
                starts.append(taken + splitter.skipped)
                taken += len(frame.header) + len(MARK) + self.product.image_bytes
        return starts


def _is_header(text: bytes) -> bool:
    try:
        parse_header(text)
    except ProtocolError:
        return False
    return True


def _typed(pixels: NDArray[np.uint8], of: Product) -> NDArray[Any]:
    return np.ascontiguousarray(pixels).view(of.dtype).reshape(len(pixels), *of.shape)


def frame_time_ns(fields: Mapping[str, Any]) -> int:
    """The time of a header, ns since 1970; of several quabos the first that was there.

    Raises:
        ProtocolError: a field is missing.
    """
    return header_time_ns(stamps(fields))
