"""A log as it grows: files that begin, are set aside, are cut off, and lines that come in pieces."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from servers.log.entry import Entry, Level
from servers.log.folder import Series, series_of
from servers.log.parser import Parser

READ_BYTES: Final = 1 << 20  # of one file at once
BEHIND_BYTES: Final = 8 << 20  # who is behind by more begins anew near the end
CONTEXT_BYTES: Final = 16_384
HEAD_BYTES: Final = 64
SETTLED_S: Final = 0.3  # an entry is complete when no line came for so long


class Follower:
    """What is added to a folder of logs from now on; for one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _File] = {}
        for series in series_of(folder):
            self._files[series.path] = _File(series, from_start=False)

    def take(self) -> list[Entry]:
        """What is new since the last time, oldest first."""
        for series in series_of(self._folder):
            if series.path not in self._files:
                self._files[series.path] = _File(series, from_start=True)
        entries = [entry for file in self._files.values() for entry in file.take()]
        for path in [path for path, file in self._files.items() if file.is_gone]:
            self._files.pop(path).close()
        entries.sort(key=lambda entry: entry.time_s)
        return entries

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()


class _File:
    def __init__(self, series: Series, *, from_start: bool) -> None:
        self._series = series
        self._file: BinaryIO | None = None
        self._parser = self._new_parser(0)
        self._heard_s = 0.0
        self._head = b""
        self.is_gone = False
        self._open()
        if self._file is not None and not from_start:
            self._go_to_end(self._file)
            self._is_cut(self._file)  # remembers how it begins

    def take(self) -> Iterator[Entry]:
        if self._file is None:
            self._open()
        if self._file is None:
            self.is_gone = True
            return
        head = self._head
        if self._is_cut(self._file):
            yield from self._after_cut(self._file, head)
        yield from self._read(self._file)
        if not self._is_current(os.fstat(self._file.fileno()).st_ino):
            yield from self._parser.finish()
            self._file.close()
            self._open()
            if self._file is not None:
                yield from self._read(self._file)
        if not self._parser.is_idle and time.monotonic() - self._heard_s > SETTLED_S:
            yield from self._parser.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _new_parser(self, offset: int) -> Parser:
        return Parser(self._series.server, offset=offset, time_s=time.time(), is_audit=self._series.is_audit)

    def _open(self) -> None:
        try:
            self._file = self._series.path.open("rb")
        except OSError:
            self._file = None
        self._parser, self._head = self._new_parser(0), b""

    def _go_to_end(self, file: BinaryIO) -> None:
        """Behind the last whole line; what is above it says to what the next lines belong."""
        begin = max(0, os.fstat(file.fileno()).st_size - CONTEXT_BYTES)
        file.seek(begin)
        above = file.read()
        end = above.rfind(b"\n") + 1
        self._parser = self._new_parser(begin)
        for _ in self._parser.feed(above[:end]):
            pass
        for _ in self._parser.flush():
            pass
        file.seek(begin + end)

    def _read(self, file: BinaryIO) -> Iterator[Entry]:
        behind = os.fstat(file.fileno()).st_size - file.tell()
        if behind > BEHIND_BYTES:
            before = file.tell()
            self._go_to_end(file)
            text = f"{(file.tell() - before) / 1e6:.1f} MB of {self._series.path.name} came too fast to be shown here"
            now = time.time()
            yield Entry(f"{self._series.server}@{now}", now, self._series.server, Level.WARNING, "log", text)
        if data := file.read(READ_BYTES):
            self._heard_s, self._parser.time_s = time.monotonic(), time.time()
            yield from self._parser.feed(data)

    def _after_cut(self, file: BinaryIO, head: bytes) -> Iterator[Entry]:
        """The file was copied to ``.1`` and begins anew: what was added before the copy was made is there."""
        before = file.tell()
        aside = self._series.path.with_name(f"{self._series.path.name}.1")
        try:
            with aside.open("rb") as old:
                if old.read(len(head)) == head:  # and not of another time
                    old.seek(before)
                    yield from self._parser.feed(old.read(READ_BYTES))
        except OSError:
            pass  # it was cut off and not kept
        yield from self._parser.finish()
        file.seek(0)
        self._parser = self._new_parser(0)

    def _is_cut(self, file: BinaryIO) -> bool:
        """Whether the file was emptied; it may have grown again since, and then it begins with another time."""
        head, self._head = self._head, os.pread(file.fileno(), HEAD_BYTES, 0)
        return not self._head.startswith(head) or os.fstat(file.fileno()).st_size < file.tell()

    def _is_current(self, inode: int) -> bool:
        try:
            return self._series.path.stat().st_ino == inode
        except OSError:
            return False
