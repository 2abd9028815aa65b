"""A collection: the pictures of one rotation, each answered by a row in the order in which they arrived."""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

from devices.core.errors import BadValueError, BusyError, reason
from devices.dcss.loop_finder import LoopFinder
from devices.dcss.loop_frames import CameraFrame, FrameInlet
from devices.dcss.loop_picture import Examined
from devices.dcss.loop_rows import LoopRow

#: No rotation has more pictures.
MOST_FRAMES: Final = 4096
#: A camera that goes on sending does not keep a stopped collection for longer, s.
LONGEST_LINGER_S: Final = 1.0


@dataclass(frozen=True)
class CollectionSettings:
    """When a collection ends.

    Attributes:
        frames: after so many; those that are missing when it ends otherwise get failed rows. 0: not known.
        seconds: at the latest, s.
        frame_seconds: so long an answer may take from the arrival of its picture, s.
        linger_seconds: after a stop, it ends when no picture has come for so long, s.
    """

    frames: int = 0
    seconds: float = 60.0
    frame_seconds: float = 5.0
    linger_seconds: float = 0.15


class LoopCollection:
    """Takes the pictures that arrive while it is open: ``with LoopCollection(...) as open: await open.run()``.

    Args:
        key: ``operation:handle``, to which the index of the picture is added.
        tell: is given each row, in order.
        shown: whether a picture that arrives now is drawn, and how large.
    Attributes:
        stop: ends it when set.
        rows: so far, without their pictures for eyes.
        delay: from the arrival of the last picture until its row was told, s.
    """

    def __init__(
        self,
        key: str,
        inlet: FrameInlet,
        finder: LoopFinder,
        settings: CollectionSettings,
        tell: Callable[[CameraFrame | None, LoopRow], None],
        shown: Callable[[], tuple[int, int] | None] = lambda: None,
        stop: asyncio.Event | None = None,
    ) -> None:
        self.key, self._inlet, self._finder, self._settings = key, inlet, finder, settings
        self._tell, self._shown = tell, shown
        self.stop = stop or asyncio.Event()
        self.rows: list[LoopRow] = []
        self.delay = 0.0
        self._taken = 0
        self._full = asyncio.Event()
        self._arrived = time.monotonic()
        self._asked: asyncio.Queue[tuple[CameraFrame, asyncio.Future[Examined]] | None] = asyncio.Queue()
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._close = self._inlet.listen(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def run(self) -> list[LoopRow]:
        """Answer pictures until the collection ends; all rows."""
        telling = asyncio.create_task(self._tell_in_order(), name=f"rows of {self.key}")
        try:
            await self._until_the_end()
            self._close()
            self._asked.put_nowait(None)
            await telling
        finally:
            telling.cancel()
        for index in range(len(self.rows), self._settings.frames):
            self._told(None, LoopRow(index, failure="no_frame"))
        return self.rows

    def _take(self, frame: CameraFrame) -> None:
        if self._full.is_set():
            return
        self._arrived = frame.arrived
        future = self._finder.find(frame, f"{self.key}:{self._taken}", shown=self._shown())
        self._taken += 1
        self._asked.put_nowait((frame, future))
        if self._taken >= (self._settings.frames or MOST_FRAMES):
            self._full.set()

    async def _until_the_end(self) -> None:
        ends = [asyncio.create_task(event.wait()) for event in (self.stop, self._full)]
        try:
            await asyncio.wait(ends, timeout=self._settings.seconds, return_when=asyncio.FIRST_COMPLETED)
            if not self.stop.is_set():
                return
            # A picture that the camera took before the stop may still be on its way.
            stopped, linger = time.monotonic(), self._settings.linger_seconds
            while not self._full.is_set():
                now = time.monotonic()
                left = min(max(self._arrived, stopped) + linger, stopped + LONGEST_LINGER_S) - now
                if left <= 0.0:
                    return
                await asyncio.wait(ends[1:], timeout=left)
        finally:
            for task in ends:
                task.cancel()

    async def _tell_in_order(self) -> None:
        while (asked := await self._asked.get()) is not None:
            frame, future = asked
            index = len(self.rows)
            try:
                left = frame.arrived + self._settings.frame_seconds - time.monotonic()
                found = await asyncio.wait_for(asyncio.shield(future), max(left, 0.0))
            except builtins.TimeoutError:
                row = LoopRow(index, failure="timeout")
            except BusyError:
                row = LoopRow(index, failure="dropped")
            except BadValueError:
                row = LoopRow(index, failure="bad_image")
            except Exception as error:
                row = LoopRow(index, failure=reason(error))
            else:
                row = LoopRow.of(index, found)
            self._told(frame, row)
            self.delay = time.monotonic() - frame.arrived

    def _told(self, frame: CameraFrame | None, row: LoopRow) -> None:
        self._tell(frame, row)
        if row.examined is not None:
            row = replace(row, examined=replace(row.examined, picture=None, overlay=None))
        self.rows.append(row)
