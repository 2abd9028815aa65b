"""Files of frames that a recorder is writing: every frame that is appended, once."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from devices.core.errors import ProtocolError
from devices.daq.frame import Frame
from devices.drivers.observing_run import ObservingData, RunFile
from devices.drivers.pff import MARK, MAX_HEADER_BYTES, Product, Splitter, product

#: The recorder's files grow in steps of 1 MiB, 412 frames.
PORTION_BYTES: Final = 1 << 20
PORTION_FRAMES: Final = 400


@dataclass
class _Known:
    """How far a file has been read."""

    inode: int
    position: int
    count: int = 0
    splitter: Splitter | None = None  # None: not looked into yet


class GrowingFiles:
    """What is new in the files below a folder.

    Args:
        put: takes each frame, in the loop.
        modules: empty: all.
    """

    def __init__(self, data: ObservingData, put: Callable[[Frame], None], modules: frozenset[int]) -> None:
        self._data = data
        self._put = put
        self._modules = modules
        #: The folder of the run that was read last; None before.
        self.run: Path | None = None
        self._known: dict[str, _Known] = {}
        self._unreadable: dict[Path, str] = {}
        self._skipped_before = 0

    @property
    def skipped_bytes(self) -> int:
        splitters = (known.splitter for known in self._known.values())
        return self._skipped_before + sum(each.skipped for each in splitters if each is not None)

    @property
    def problem(self) -> str:
        """Which file cannot be read, and why; empty when all can."""
        return next((text for path, text in self._unreadable.items() if path.exists()), "")

    def remember(self, files: Iterable[RunFile]) -> None:
        """What these files hold now is not new; blocks as long as the disk does."""
        for file in files:
            try:
                status = os.stat(file.path)
            except OSError:
                continue  # removed meanwhile
            self._known[str(file.path)] = _Known(status.st_ino, status.st_size)

    def changed(self, files: Iterable[RunFile]) -> list[RunFile]:
        """Those of the files that hold something new; blocks as long as the disk does."""
        return [file for file in files if self._is_changed(file)]

    def growing(self) -> list[RunFile]:
        """The files that have grown before."""
        paths = [path for path, known in self._known.items() if known.splitter is not None]
        return [file for path in paths if (file := self._data.file(Path(path))) is not None]

    def _is_changed(self, file: RunFile) -> bool:
        try:
            status = os.stat(file.path)
        except OSError:
            return False  # removed meanwhile
        known = self._known.get(str(file.path))
        if not stat.S_ISREG(status.st_mode):
            return False  # who opens a pipe may wait for ever
        return known is None or (known.inode, known.position) != (status.st_ino, status.st_size)

    async def read(self, files: Iterable[RunFile]) -> None:
        """Publish what is new in files, some at a time, up to where they end now."""
        portions = self._portions(files)
        while (frames := await asyncio.to_thread(next, portions, None)) is not None:
            for frame in frames:
                self._put(frame)

    def _portions(self, files: Iterable[RunFile]) -> Iterator[list[Frame]]:
        """New frames, file after file, not many more than one portion holds at once."""
        frames: list[Frame] = []
        for file in files:
            if self._modules and file.module not in self._modules:
                continue
            try:
                with open(file.path, "rb") as content:
                    for found in self._read(content, file):
                        frames += found
                        if len(frames) >= PORTION_FRAMES:
                            yield frames
                            frames = []
            except FileNotFoundError:
                self._forget(str(file.path))  # removed meanwhile
            except OSError as error:
                self._unreadable[file.path] = f"{file.path} cannot be read: {error.strerror}"
            else:
                self._unreadable.pop(file.path, None)
        if frames:
            yield frames

    def _read(self, content: BinaryIO, file: RunFile) -> Iterator[list[Frame]]:
        status, path, of = os.fstat(content.fileno()), str(file.path), product(file.product)
        known = self._known.get(path)
        if known is None or known.inode != status.st_ino or known.position > status.st_size:  # new, replaced, cut off
            self._forget(path)
            known = self._known[path] = _Known(status.st_ino, 0)
        if known.splitter is None and known.position < status.st_size:
            known.splitter = Splitter(of)
            known.count, known.position = whole_frames(content, of, known.position)
        content.seek(known.position)
        while data := content.read(min(PORTION_BYTES, status.st_size - known.position)):
            known.position += len(data)
            yield self._frames(known, file, data)

    def _frames(self, known: _Known, file: RunFile, data: bytes) -> list[Frame]:
        assert known.splitter is not None
        self.run = file.path.parent
        frames = []
        for raw in known.splitter.feed(data):
            try:
                frames.append(Frame.of(raw, file.module, file.path.name, known.count))
            except ProtocolError:  # a header that is damaged within
                known.splitter.skipped += len(raw.bytes)
            known.count += 1
        return frames

    def _forget(self, path: str) -> None:
        self._unreadable.pop(Path(path), None)
        known = self._known.pop(path, None)
        if known is not None and known.splitter is not None:
            self._skipped_before += known.splitter.skipped


def whole_frames(content: BinaryIO, of: Product, size: int) -> tuple[int, int]:
    """How many whole frames the first ``size`` bytes of a file hold, and where they end.

    A file whose frames have one length is told by its first and last one, others are read through.
    """
    count = end = 0
    content.seek(0)
    at = content.read(min(MAX_HEADER_BYTES, size)).find(MARK)
    if at >= 0:
        length = at + len(MARK) + of.image_bytes
        whole = size // length
        content.seek((max(whole, 1) - 1) * length)
        last = content.read(at + len(MARK))
        if last[:1] == b"{" and last.endswith(MARK):
            count, end = whole, whole * length
    splitter = Splitter(of)  # for the rest, or for all
    content.seek(end)
    while data := content.read(min(PORTION_BYTES, size - content.tell())):
        for raw in splitter.feed(data):
            count += 1
            end += len(raw.bytes)
    return count, end + splitter.skipped
