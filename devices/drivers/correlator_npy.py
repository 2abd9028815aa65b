"""The body of a message: an array with a header like that of a ``.npy`` file, axes (y, x, sample)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, DiptychError, RangeError
from devices.drivers.correlator_message import Receipt

MAGIC: Final = b"\x93NUMPY"
#: Bytes of an element -> its type where the header cannot be trusted; an odd number n is an integer of n - 1 bytes.
TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {1: "i1", 2: "f2", 3: "i2", 4: "f4", 5: "i4", 8: "f8", 9: "i8", 16: "f16"}
)
DEFAULT_HEADER_BYTES: Final = 128
MAX_HEADER_BYTES: Final = 65536
#: Pixels that are turned at a time: what they take stays in the cache of a core (2 ms for 300 x 300 x 25 float64).
BLOCK: Final = 1024

_DESCR: Final = re.compile(rb"'descr'\s*:\s*'([<>|=]?[biuf][0-9]{1,2})'")
_ORDER: Final = re.compile(rb"'fortran_order'\s*:\s*(True|False)")
_SHAPE: Final = re.compile(rb"'shape'\s*:\s*\(([0-9,\s]{0,80})\)")


class ArrayError(DiptychError):
    """A body is not the array that is wanted; ``receipt`` says in which way."""

    def __init__(self, receipt: Receipt, text: str) -> None:
        self.receipt = receipt
        super().__init__(text)

    def __reduce__(self) -> tuple[type[ArrayError], tuple[Receipt, str]]:
        return type(self), (self.receipt, str(self))


@dataclass(frozen=True)
class BodyFormat:
    """What a body looks like.

    Attributes:
        size: pixels on each side.
        samples: of a gulp.
        datasize: bytes of an element, one of `TYPES`, in bodies whose header has no length of its own. Their header
            says ``<f8`` whatever follows it; genuine ``.npy`` headers are believed.
        header_bytes: length of headers that do not tell it; 0: bodies may have none.
    Raises:
        RangeError, BadValueError: a value that cannot be.
    """

    size: int = 300
    samples: int = 25
    datasize: int = 8
    header_bytes: int = DEFAULT_HEADER_BYTES

    def __post_init__(self) -> None:
        if self.datasize not in TYPES:
            raise BadValueError(f"datasize = {self.datasize} byte is none of {', '.join(map(str, TYPES))}")
        if not 0 <= self.header_bytes <= MAX_HEADER_BYTES:
            raise RangeError(f"headersize = {self.header_bytes} byte is outside [0, {MAX_HEADER_BYTES}] byte")
        if self.size < 1 or self.samples < 1:
            raise RangeError(f"size = {self.size}, samples = {self.samples}: at least 1")

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the elements of a body whose header does not tell it."""
        return np.dtype(TYPES[self.datasize]).newbyteorder("<")

    @property
    def elements(self) -> int:
        return self.size * self.size * self.samples

    @property
    def most_bytes(self) -> int:
        """Of any body that could be right."""
        return MAX_HEADER_BYTES + self.elements * max(self.dtype.itemsize, 8)


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of a body says."""

    nbytes: int
    dtype: np.dtype[np.generic]
    fortran_order: bool
    shape: tuple[int, ...]

    @classmethod
    def parse(cls, body: memoryview, wanted: BodyFormat) -> ArrayHeader:
        """The header of ``.npy`` versions 1 to 3, and the one of the nodes: version 1 without the length.

        Raises:
            ArrayError: it cannot be read.
        """
        start = bytes(body[:12])
        if not wanted.header_bytes and not start.startswith(MAGIC):
            return cls(0, wanted.dtype, False, (wanted.size, wanted.size, wanted.samples))
        if not start.startswith(MAGIC) or len(start) < 12:
            raise ArrayError(Receipt.PARSE_ERROR, "the body does not begin as an array of numpy does")
        begin = {1: 10, 2: 12, 3: 12}.get(start[6])
        if begin is None or start[7]:
            raise ArrayError(Receipt.PARSE_ERROR, f"version {start[6]}.{start[7]} of .npy is not known")
        genuine = start[9:11] != b"{'"
        end = begin + int.from_bytes(start[8:begin], "little") if genuine else wanted.header_bytes
        if not 0 < end <= min(MAX_HEADER_BYTES, len(body)):
            raise ArrayError(Receipt.PARSE_ERROR, f"a header of {end} byte; at most {MAX_HEADER_BYTES} byte")
        text = bytes(body[9:end])
        descr, order, shape = _DESCR.search(text), _ORDER.search(text), _SHAPE.search(text)
        if descr is None or order is None or shape is None:
            raise ArrayError(Receipt.PARSE_ERROR, "the header of the array has no descr, fortran_order or shape")
        try:
            dtype = np.dtype(descr[1].decode()) if genuine else wanted.dtype
            numbers = tuple(int(number) for number in shape[1].split(b",") if number.strip())
        except (TypeError, ValueError) as error:
            raise ArrayError(Receipt.PARSE_ERROR, f"the header of the array: {error}") from None
        return cls(end, dtype, order[1] == b"True", numbers)


def array_of(body: memoryview, wanted: BodyFormat) -> NDArray[np.generic]:
    """The array of a body, in place.

    Returns:
        Axes (y, x, sample), of any numeric type, byte order and memory order.
    Raises:
        ArrayError: it cannot be read, or has another size or shape; all that is wrong.
    """
    header = ArrayHeader.parse(body, wanted)
    shape = (wanted.size, wanted.size, wanted.samples)
    receipt, problems = Receipt.ACCEPTED, []
    # Only the first three numbers count: the one channel of a node may stand behind them.
    if header.shape[:3] != shape or math.prod(header.shape[3:]) != 1:
        receipt |= Receipt.SHAPE_ERROR
        problems.append(f"shape = {header.shape} is not (y, x, sample) = {shape}")
    expected = header.nbytes + wanted.elements * header.dtype.itemsize
    if len(body) != expected:
        receipt |= Receipt.DATASIZE_ERROR
        problems.append(f"{len(body)} byte; a header of {header.nbytes} and {shape} of {header.dtype} are {expected}")
    if problems:
        raise ArrayError(receipt, "; ".join(problems))
    flat = np.frombuffer(body, header.dtype, wanted.elements, header.nbytes)
    return flat.reshape(shape, order="F" if header.fortran_order else "C")


def turn(array: NDArray[np.generic], into: NDArray[np.float32]) -> None:
    """Copy an array with axes (y, x, sample) into one with axes (sample, y, x); other threads run meanwhile."""
    _, rows, columns = into.shape
    block = max(1, BLOCK // columns)
    with np.errstate(over="ignore", invalid="ignore"):  # float64 beyond float32 is infinite, and stays in its channel
        for row in range(0, rows, block):
            part = slice(row, min(row + block, rows))
            np.copyto(into[:, part], array[part].transpose(2, 0, 1), casting="unsafe")


def node_header(shape: tuple[int, ...], header_bytes: int = DEFAULT_HEADER_BYTES) -> bytes:
    """The header as the nodes write it: two bytes of its length are missing, and the type is always ``<f8``."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    return (MAGIC + b"\x01\x00\x00" + text.encode()).ljust(header_bytes - 1) + b"\n"


def npy_header(array: NDArray[np.generic]) -> bytes:
    """The header of a genuine ``.npy`` file for an array; its elements follow in memory order."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    return file.getvalue()
