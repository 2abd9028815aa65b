"""The pictures of collections as files, for those who want to look at them later."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import time
from pathlib import Path
from typing import Final

from devices.dcss.loop_frames import PNG, CameraFrame
from devices.dcss.loop_rows import LoopRow

#: Pictures that wait for the disk; more are lost, not the collection.
MOST_WAITING: Final = 256
OURS: Final = re.compile(r"\d{8}T\d{6}-[\w.-]*")


class SavedCollection:
    """One folder: ``0000.jpg``, ``0001.jpg`` ..., and ``rows.jsonl`` with what was found in each.

    Args:
        root: of all folders. name: of the caller, put behind the time.
        keep: so many folders stay below the root.
    Attributes:
        path: of this folder. lost: pictures that are not in it.
    """

    def __init__(self, root: Path, name: str, keep: int, log: logging.Logger) -> None:
        # A handle comes from a client: nothing of it may lead elsewhere.
        word = re.sub(r"[^\w-]+", "-", name)[:60]
        self.path = root / f"{time.strftime('%Y%m%dT%H%M%S')}-{word}"
        self.lost = 0
        self._keep, self._log = keep, log
        self._queue: asyncio.Queue[tuple[CameraFrame | None, LoopRow] | None] = asyncio.Queue(MOST_WAITING + 1)
        self._task = asyncio.create_task(self._write(), name=f"saving {word}")

    def add(self, frame: CameraFrame | None, row: LoopRow) -> None:
        """A picture and its row; None: there is no picture."""
        if self._queue.qsize() >= MOST_WAITING or self._task.done():
            self.lost += 1
        else:
            self._queue.put_nowait((frame, row))

    async def close(self, seconds: float = 5.0) -> None:
        """Write what waits."""
        if not self._task.done():
            self._queue.put_nowait(None)
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self._make)
            while (item := await self._queue.get()) is not None:
                await asyncio.to_thread(self._one, *item)
        except OSError as error:
            self.lost += 1 + self._queue.qsize()
            self._log.error("pictures are not written to %s: %s", self.path, error)

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        older = sorted(each for each in self.path.parent.iterdir() if OURS.fullmatch(each.name) and each.is_dir())
        for each in older[: max(0, len(older) - self._keep)]:
            if each != self.path:
                shutil.rmtree(each)

    def _one(self, frame: CameraFrame | None, row: LoopRow) -> None:
        if frame is not None:
            suffix = "png" if frame.packed.startswith(PNG) else "jpg"
            (self.path / f"{row.index:04d}.{suffix}").write_bytes(frame.packed)
        when = None if frame is None else frame.time
        with (self.path / "rows.jsonl").open("a") as file:
            file.write(json.dumps({"time": when, "row": [str(word) for word in row.words()[1:]]}) + "\n")
