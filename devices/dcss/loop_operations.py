"""The operations that collect the pictures of a rotation, and give what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from devices.core.errors import BadValueError
from devices.dcss.loop_collection import LoopCollection
from devices.dcss.loop_frames import CameraFrame
from devices.dcss.loop_rows import LoopRow, fitted, fraction, packed
from devices.dcss.operation import OperationCall, OperationFailed, Work
from devices.drivers.dcs_text import MAX_TEXT_BYTES, word
from devices.pipelines.loop.series import RotationFit

COLLECT: Final = "collectLoopImages"
Tell = Callable[[CameraFrame | None, LoopRow], None]
#: Opens a collection of the device: key, what is told of each row, what stops it.
Open = Callable[[str, Tell, asyncio.Event], AbstractAsyncContextManager[LoopCollection]]


class CollectOperations:
    """``collectLoopImages`` and what belongs to it.

    Args:
        opened: a collection of the device.
        rows: of the newest collection. fit: waits for the sines through them.
        as_list: rows are told in lists at the end, not one by one.
    """

    def __init__(
        self,
        opened: Open,
        rows: Callable[[], Sequence[LoopRow]],
        fit: Callable[[], Awaitable[RotationFit | None]],
        *,
        as_list: bool,
    ) -> None:
        self._opened, self._rows, self._fit, self._as_list = opened, rows, fit, as_list
        self._running: set[asyncio.Event] = set()

    @property
    def works(self) -> dict[str, Work]:
        """What does each operation."""
        return {
            COLLECT: self.collect,
            "stopCollectLoopImages": self.stop,
            "getLoopResults": self.results,
            "getLoopFace": self.face,
        }

    async def collect(self, call: OperationCall) -> str:
        """``collectLoopImages [HINT]``: says ``start_oscillation``, then a row for each picture until it is stopped."""

        def tell(_: CameraFrame | None, row: LoopRow) -> None:
            if not self._as_list:
                call.update(*fitted(row.words(), _before(call)))

        self._running.add(call.stop_requested)
        try:
            async with self._opened(f"{call.name}:{call.handle}", tell, call.stop_requested) as collection:
                call.update("start_oscillation")
                rows = await collection.run()
        finally:
            self._running.discard(call.stop_requested)
        if self._as_list:
            _tell_lists(call, rows)
        return "done"

    async def stop(self, call: OperationCall) -> Sequence[object]:
        """``stopCollectLoopImages``: no more pictures come."""
        self.stop_all()
        return ("flag", "set")

    def stop_all(self) -> None:
        """Collections end when what has arrived is answered."""
        for stop in self._running:
            stop.set()

    async def results(self, call: OperationCall) -> Sequence[object]:
        """``getLoopResults``: the rows of the newest collection in lists of nine words each; their number."""
        rows = self._rows()
        if not rows:
            raise BadValueError("getLoopResults: nothing has been collected")
        _tell_lists(call, rows)
        return (len(rows),)

    async def face(self, call: OperationCall) -> Sequence[object]:
        """``getLoopFace``: angles at which the loop shows its face and its edge, and its mean width.

        Right after a rotation it waits until that one is fitted.
        """
        fit = await self._fit()
        if fit is None or not fit.found:
            raise OperationFailed("failed", "no_rotation")
        return (*(f"{each:.2f}" for each in (fit.face_deg, fit.edge_deg)), fraction(fit.width_mean))


def _tell_lists(call: OperationCall, rows: Sequence[LoopRow]) -> None:
    for text in packed(rows, _before(call)):
        call.update(rest=text)


def _before(call: OperationCall) -> int:
    """Length of what stands before the words of an update, byte."""
    length = len(f"htos_operation_update {word(call.name)} {word(call.handle)} ")
    assert length < MAX_TEXT_BYTES
    return length
