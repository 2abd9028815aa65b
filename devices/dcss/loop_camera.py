"""The operations of a camera's hardware server that look at the present picture."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.dcss.loop_picture import Examined
from devices.dcss.loop_rows import LoopRow, fraction, result_words
from devices.dcss.operation import OperationCall, OperationFailed, Work

MOST_DIAMETERS: Final = 8
#: Pictures of a list that ``findBoundingBox`` looks through.
MOST_LISTED: Final = 360
#: ``addImageToList`` with these does something else.
STORE_MASK, CLEAR_MASK, LOAD_MASK = -1, -2, -3


class LooksAtSample(ABC):
    """What the operations need of the device."""

    mask_file: Path | None = None
    mask: bytes | None = None

    @property
    @abstractmethod
    def pin_side(self) -> str:
        """``left`` or ``right``: the edge of the picture that the pin comes from."""

    @abstractmethod
    async def look(self, key: str, *, masked: bool = False) -> Examined:
        """Examine the present picture."""

    @abstractmethod
    async def fetch(self) -> bytes:
        """The present picture as the camera packs it."""

    @property
    @abstractmethod
    def last_rows(self) -> Sequence[LoopRow]:
        """The rows of the newest collection."""


class CameraOperations:
    """Answers as scripts of Blu-Ice expect them; positions are fractions of the picture."""

    def __init__(self, device: LooksAtSample) -> None:
        self._device = device
        self._list: dict[int, Examined] = {}

    @property
    def works(self) -> dict[str, Work]:
        """What does each operation."""
        return {
            "initializeCamera": self.initialize,
            "getLoopTip": self.tip,
            "getPinDiameters": self.pin_diameters,
            "addImageToList": self.add_image,
            "findBoundingBox": self.bounding_box,
            "getVerticalCut": self.vertical_cut,
            "getLoopInfo": self.info,
            "reboxLoopImage": self.rebox,
        }

    async def initialize(self, call: OperationCall) -> None:
        """``initializeCamera WORD``: nothing is left to do."""

    async def tip(self, call: OperationCall) -> Sequence[object]:
        """``getLoopTip [FLAG]``: 0: and the size of the picture, > 0: the end of the pin, < 0: is it a micromount."""
        flag = call.number(0, math.nan)
        seen = await self._device.look(_key(call))
        x, y = self._tip(seen)
        found: list[object] = [fraction(x), fraction(y)]
        if flag == 0:
            found += [seen.columns, seen.rows]
        elif flag > 0:
            found.append(fraction(seen.result.pin_base_x))
        elif flag < 0:
            found.append(int(seen.result.is_micromount))
        return found

    async def info(self, call: OperationCall) -> Sequence[object]:
        """``getLoopInfo [HINT]``: all that is known of the loop."""
        seen = await self._device.look(_key(call))
        if not seen.result.found:
            raise OperationFailed("failed", seen.result.message or "no_loop")
        return result_words(seen.result)

    async def pin_diameters(self, call: OperationCall) -> Sequence[object]:
        """``getPinDiameters LENGTH NUMBER``: upper and lower edge each LENGTH pixels from the tip to the pin."""
        length, number = call.number(0), call.number(1)
        if not 1 <= number <= MOST_DIAMETERS or number != int(number):
            raise OperationFailed("error", "RequireTooManyDiametersOrNegativeNumber")
        if not 1.0 <= length < math.inf:
            raise OperationFailed("error", "InvalidLengthParameter")
        seen = await self._device.look(_key(call))
        columns = _columns(seen)
        if not len(columns):
            raise OperationFailed("error", "PinNotInView", "+")
        tip, towards_pin = (columns[-1], -1) if self._device.pin_side == "left" else (columns[0], 1)
        found: list[object] = [fraction((tip + 0.5) / seen.columns), int(number)]
        for step in range(1, int(number) + 1):
            column = round(tip + towards_pin * step * length)
            if not 0 <= column < seen.columns or not np.isfinite(seen.result.edges[:, column]).all():
                raise OperationFailed("error", "InvalidLengthParameter")
            found += [fraction(edge / seen.rows) for edge in seen.result.edges[:, column].tolist()]
        return found

    async def vertical_cut(self, call: OperationCall) -> Sequence[object]:
        """``getVerticalCut X1 X2 Y1 Y2``: middle and height of what lies on the pin's axis within that part.

        What the four fractions mean is written nowhere; scripts give ``0.25 0.5 0.05 1.0``.
        """
        first, last, top, bottom = (call.number(place) for place in range(4))
        if not (0.0 <= first < last <= 1.0 and 0.0 <= top < bottom <= 1.0):
            raise BadValueError(f"getVerticalCut {call.rest:.60}: X1 < X2 and Y1 < Y2 within 0 to 1 are expected")
        seen = await self._device.look(_key(call))
        upper, lower = _edges(seen, first, last)
        inside = (upper >= top) & (lower <= bottom)
        if not inside.any():
            raise OperationFailed("error", "PinNotInView", "+")
        y, height = np.median((upper + lower)[inside] / 2.0), np.median((lower - upper)[inside])
        return (fraction(float(y)), fraction(float(height)))

    async def add_image(self, call: OperationCall) -> Sequence[object]:
        """``addImageToList INDEX``: measures the loop; 0 begins a list. -1 -2 -3: a mask is kept, forgotten, loaded."""
        index = int(call.number(0))
        if index in (STORE_MASK, CLEAR_MASK, LOAD_MASK):
            await self._mask(index)
            return ()
        if not 0 <= index < MOST_LISTED:
            raise BadValueError(f"addImageToList {index}: not within -3 to {MOST_LISTED - 1}")
        if index == 0:
            self._list.clear()
        seen = await self._device.look(_key(call), masked=True)
        if not seen.result.found:
            self._tip(seen)  # says on which side it is out of view
            raise OperationFailed("error", "NoHeightInfo")
        self._list[index] = seen
        height = seen.result.loop_width
        return (round(height * seen.rows), fraction(height))

    async def bounding_box(self, call: OperationCall) -> Sequence[object]:
        """``findBoundingBox Both Both``: the highest picture of the list, and the one a quarter turn away."""
        if not self._list:
            raise OperationFailed("error", "no", "image", "list")
        listed, self._list = self._list, {}
        count = max(listed) + 1
        widest = max(listed, key=lambda index: listed[index].result.loop_width)
        # Lists cover half a turn, so a quarter is half the list.
        across = (widest + count // 2) % count
        if count < 2 or across not in listed:
            raise OperationFailed("error", "CurrentSettingsAreNotSuitableForCentering")
        found: list[object] = [widest, across]
        for index in (widest, across):
            box = listed[index].result
            found += map(fraction, (box.box_min_x, box.box_min_y, box.box_max_x, box.box_max_y))
        return found

    async def rebox(self, call: OperationCall) -> Sequence[object]:
        """``reboxLoopImage INDEX START END``: the box in the last collection between two fractions of x."""
        index = int(call.number(0))
        row = next((row for row in self._device.last_rows if row.index == index), None)
        if row is None:
            raise BadValueError(
                f"reboxLoopImage {index}: the last collection has {len(self._device.last_rows)} pictures"
            )
        if row.examined is None or not row.is_good:
            raise OperationFailed("failed", row.failure)
        found = row.result
        first, last = sorted((call.number(1, found.box_min_x), call.number(2, found.box_max_x)))
        upper, lower = _edges(row.examined, first, last)
        if not found.edges.size:  # a service tells boxes only
            return (index, *map(fraction, (found.box_min_y, found.box_max_y, found.loop_width)))
        if not len(upper):
            raise OperationFailed("failed", "nothing_there")
        top, bottom = float(upper.min()), float(lower.max())
        return (index, fraction(top), fraction(bottom), fraction(bottom - top))

    def _tip(self, seen: Examined) -> tuple[float, float]:
        """The tip of the loop, or of the bare pin.

        Raises:
            OperationFailed: it is out of view; ``+``: beyond the far edge, ``-``: nothing has come into view.
        """
        found = seen.result
        if found.found:
            return found.tip_x, found.tip_y
        columns = _columns(seen)
        if found.message != "no_loop" or not len(columns):
            raise OperationFailed("error", "TipNotInView", "+" if found.message == "tip_not_in_view" else "-")
        tip = columns[-1] if self._device.pin_side == "left" else columns[0]
        return (float(tip) + 0.5) / seen.columns, float(found.edges[:, tip].mean()) / seen.rows

    async def _mask(self, what: int) -> None:
        device = self._device
        if what == STORE_MASK:
            device.mask = await device.fetch()
            if device.mask_file is not None:
                await asyncio.to_thread(_write, device.mask_file, device.mask)
        elif what == CLEAR_MASK:
            device.mask = None
        elif device.mask_file is None:
            raise BadValueError("addImageToList -3: masks are kept in files only where save_folder is set")
        else:
            device.mask = await asyncio.to_thread(device.mask_file.read_bytes)


def _key(call: OperationCall) -> str:
    return f"{call.name}:{call.handle}:0"


def _columns(seen: Examined) -> NDArray[np.intp]:
    """The columns that have anything on the pin's axis."""
    return np.flatnonzero(np.isfinite(seen.result.edges).all(0))


def _edges(seen: Examined, first: float, last: float) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Upper and lower edges between two fractions of x, as fractions of y."""
    begin = max(0, math.floor(first * seen.columns))
    part = seen.result.edges[:, begin : max(begin + 1, math.ceil(last * seen.columns))]
    upper, lower = part[:, np.isfinite(part).all(0)] / seen.rows
    return upper, lower


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
