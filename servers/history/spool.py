"""Batches that wait in files while the database is away, or until a recorder that was killed runs again.

A file takes batches until it has a 16th of the room; then the next one is begun, and the oldest one is dropped when the
room is used up. Each batch has a checksum: the end of a file that a power failure has cut off is passed over.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from servers.history.store import GAP, Batch, Sample

log = logging.getLogger(__name__)

SIZE_BYTES: Final = 2 << 30
PARTS: Final = 16
HEADER: Final = struct.Struct("<QdIII")  # id, now_s, samples, bytes that follow, their CRC-32
PLACE: Final = struct.Struct("<QQ")  # number of a file, and where in it the oldest batch begins


class Spool:
    """A `Backlog` in a folder, for one process.

    Args:
        folder: made where it is missing.
        size_bytes: the room; the oldest batches go when it is used up.

    Attributes:
        lost: samples that were dropped, for want of room or since the disk took them no more.
        waiting: samples that wait.
    """

    def __init__(self, folder: Path, size_bytes: int = SIZE_BYTES) -> None:
        self._folder, self._part_bytes = folder, max(HEADER.size, size_bytes // PARTS)
        folder.mkdir(parents=True, exist_ok=True)
        self._numbers = sorted(int(file.stem) for file in folder.glob("*.spool"))
        self._place_file = folder / "place"
        self._newest, self._offset = self._read_place()  # the number given last
        self._end_bytes = self._part_bytes  # of the newest file; one of an earlier process is not written any more
        self._oldest: tuple[Batch, int] | None = None  # and where the next one begins
        self.waiting = self.lost = 0
        self._is_full = False
        self.waiting = sum(self._count(number) for number in self._numbers)

    def append(self, batch: Batch) -> None:
        data = encoded(batch)
        try:
            self._write(data)
        except OSError as error:
            if not self._is_full:
                log.error("%s: %s; samples are lost while it takes none", self._folder, error.strerror)
            self._is_full = True
            self.lost += len(batch.samples)
            self._end_bytes = self._part_bytes  # what was written in part is the end of its file, and passed over
            return
        self._is_full = False
        self.waiting += len(batch.samples)

    def oldest(self) -> Batch | None:
        while self._oldest is None and self._numbers:
            self._oldest = self._read(self._numbers[0], self._offset)
            if self._oldest is None:
                self._drop_file()
        return None if self._oldest is None else self._oldest[0]

    def drop_oldest(self) -> None:
        if self.oldest() is None or self._oldest is None:
            return
        batch, self._offset = self._oldest
        self._oldest = None
        self.waiting -= len(batch.samples)
        self._write_place()

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _write(self, data: bytes) -> None:
        if self._newest not in self._numbers or self._end_bytes + len(data) > self._part_bytes:
            while len(self._numbers) >= PARTS:
                self._lose_file()
            self._newest, self._end_bytes = self._newest + 1, 0
            self._numbers.append(self._newest)
        number = os.open(self._file(self._newest), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            written = os.write(number, data)
            if written < len(data):
                raise OSError(28, "no space left on the device")
            os.fsync(number)
        finally:
            os.close(number)
        self._end_bytes += len(data)

    def _read(self, number: int, offset: int) -> tuple[Batch, int] | None:
        """The batch that begins there, and where it ends; None at the end of what is whole."""
        try:
            with self._file(number).open("rb") as file:
                file.seek(offset)
                head = file.read(HEADER.size)
                if len(head) < HEADER.size:
                    return None
                *_, length, checksum = HEADER.unpack(head)
                body = file.read(length)
        except OSError as error:
            log.error("%s: %s", self._file(number), error.strerror)
            return None
        if len(body) < length or zlib.crc32(body) != checksum:
            log.warning("%s: its end is not whole and is passed over", self._file(number))
            return None
        return decoded(head, body), offset + HEADER.size + length

    def _count(self, number: int) -> int:
        """Samples of a file that are not written yet, by the headers alone."""
        found, offset = 0, self._offset if number == self._numbers[0] else 0
        with suppress(OSError), self._file(number).open("rb") as file:
            while file.seek(offset) == offset and len(head := file.read(HEADER.size)) == HEADER.size:
                _, _, samples, length, _ = HEADER.unpack(head)
                found, offset = found + samples, offset + HEADER.size + length
        return found

    def _lose_file(self) -> None:
        number = self._numbers[0]
        count = self._count(number)
        self.lost, self.waiting = self.lost + count, self.waiting - count
        self._drop_file()

    def _drop_file(self) -> None:
        number = self._numbers.pop(0)
        self._file(number).unlink(missing_ok=True)
        self._offset, self._oldest = 0, None
        self._write_place()

    def _read_place(self) -> tuple[int, int]:
        """The newest number, and where in the oldest file the oldest batch begins."""
        try:
            number, offset = PLACE.unpack(self._place_file.read_bytes())
        except (OSError, struct.error):
            number = offset = 0
        return max(number, *self._numbers, 0), offset if self._numbers[:1] == [number] else 0

    def _write_place(self) -> None:
        place = PLACE.pack(self._numbers[0] if self._numbers else self._newest, self._offset)
        try:
            number = os.open(self._place_file, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(number, place, 0)
            finally:
                os.close(number)
        except OSError as error:
            # The store knows the batch that it wrote last; older ones would be written twice after a crash only.
            log.debug("%s: %s", self._place_file, error.strerror)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:09d}.spool"


def encoded(batch: Batch) -> bytes:
    """A batch as bytes."""
    names = sorted({sample.pv for sample in batch.samples})
    index = {name: number for number, name in enumerate(names)}
    columns = (
        np.array([index[sample.pv] for sample in batch.samples], "<u4"),
        np.array([sample.time_ns for sample in batch.samples], "<i8"),
        np.array([sample.value for sample in batch.samples], "<f8"),
        np.array([sample.severity | (0 if sample.is_connected else GAP) for sample in batch.samples], "u1"),
    )
    text = json.dumps(names).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(column.tobytes() for column in columns)
    packed = zlib.compress(body, 1)
    return HEADER.pack(batch.id, batch.now_s, len(batch.samples), len(packed), zlib.crc32(packed)) + packed


def decoded(head: bytes, packed: bytes) -> Batch:
    """The batch of a header and the bytes behind it."""
    id_, now_s, count, _, _ = HEADER.unpack(head)
    body = zlib.decompress(packed)
    (length,) = struct.unpack_from("<I", body)
    names = json.loads(body[4 : 4 + length])
    offset, columns = 4 + length, []
    for code in ("<u4", "<i8", "<f8", "u1"):
        column = np.frombuffer(body, code, count, offset)
        columns.append(column.tolist())
        offset += column.nbytes
    rows = zip(*columns, strict=True)
    samples = [Sample(names[n], time, value, status & ~GAP, status < GAP) for n, time, value, status in rows]
    return Batch(id_, now_s, samples)
