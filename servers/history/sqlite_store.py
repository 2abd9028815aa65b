"""The embedded history as its one writer keeps it: a ring in an SQLite file.

A write appends to the journal and is safe then. What lies there is packed later, a little with each write, and dropped
when it is older than what is to be kept. Age is time of recording: neither a clock that jumps nor a week in which
nothing ran makes the history shorter.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import sqlite3
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from servers.history.block import packed
from servers.history.sqlite_file import (
    BLOCK_NS,
    HOUR_NS,
    PV_BITS,
    RECORD,
    SHARD_BITS,
    first_id,
    journal_id,
    number_or_none,
    opened,
    row_of,
    samples_of,
    shard_of,
)
from servers.history.sqlite_history import SqliteHistory
from servers.history.store import GAP, Batch, Columns, Facts, Sample, StoreAwayError

log = logging.getLogger(__name__)

KEEP_S: Final = 24 * 3600.0
KEEP_HOURS_S: Final = 400 * 24 * 3600.0
SIZE_BYTES: Final = 8 << 30
#: Room that is given back when the disk is full: dropping old samples needs some itself.
SPARE_BYTES: Final = 4 << 20
BLOCK_SAMPLES: Final = 8192
IDLE_S: Final = 660.0  # a block of a PV that rests is packed after so long
SWEEP_S: Final = 6.0  # between two steps of the retention; after 100 of them each PV had its turn
SWEEP_STEPS: Final = 100
NEWEST_BLOCKS: Final = f"SELECT max(id) FROM block GROUP BY id >> {PV_BITS}"  # of each PV
FILLED: Final = 0.95  # of its size: from then on the oldest samples go
DROP_PART: Final = 50  # of all blocks, one in so many is dropped at a time for want of room


@dataclass
class Open:
    """Samples of a PV that are in no block yet, all of one width of 10 minutes.

    Attributes:
        row, skip: the write that its first one came with, and how many of the PV were before it in that write.
        since: monotonic time of the first one, s.
        is_closed: whether it waits to be packed, and takes no more.
    """

    row: int
    skip: int
    since: float
    is_closed: bool = False
    time_ns: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("B"))


class SqliteStore(SqliteHistory):
    """Writes a history, and reads it.

    Args:
        path: of the file; ``PATH.spare`` beside it is room for when the disk is full.
        keep_s: for how long samples are kept, s of recording; `describe` may say otherwise for some PVs.
        keep_hours_s: for how long the extremes of each hour are kept, s of recording.
        size_bytes: the file does not grow beyond; the oldest samples go.
        clock_s: counts the time of recording, s; never backwards.

    Raises:
        ConfigurationError: the file is of another version.
        StoreAwayError: it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_s: float = KEEP_S,
        keep_hours_s: float = KEEP_HOURS_S,
        size_bytes: int = SIZE_BYTES,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock_s = clock_s
        self._keep_s, self._keep_hours_s, self._size_bytes = keep_s, keep_hours_s, size_bytes
        self._spare = path.with_name(f"{path.name}.spare")
        try:
            self._writer = opened(path)
            self._writer.execute(f"PRAGMA max_page_count = {max(64, size_bytes // self._pragma('page_size'))}")
        except (sqlite3.Error, OSError) as error:
            raise StoreAwayError(f"{path}: {error}") from error
        super().__init__(path)
        self._ids: dict[str, int] = dict(self._writer.execute("SELECT name, id FROM pv"))
        state = dict(self._writer.execute("SELECT key, value FROM state"))
        self._age_s, self._last_row = state.get("age_s", 0.0), state.get("row", 0)
        self._last_batch = state.get("batch")
        self._told = clock_s()
        self._chains: dict[int, deque[Open]] = {}
        self._closed: deque[int] = deque()  # PVs, once for each block that is to be packed
        self._next: dict[int, int] = {
            newest >> PV_BITS: newest + 1 for (newest,) in self._writer.execute(NEWEST_BLOCKS)
        }
        self._swept, self._step = self._told, 0
        self._read_journal()
        self._make_spare()

    def close(self) -> None:
        super().close()
        with suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()

    @property
    def size_bytes(self) -> int:
        """What is in use of the file."""
        return (self._pragma("page_count") - self._pragma("freelist_count")) * self._pragma("page_size")

    def write(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except sqlite3.Error as error:
            if not _is_full(error):
                raise StoreAwayError(f"{self.path}: {error}") from error
            self._make_room(error)
            try:
                self._write(batch)
            except sqlite3.Error as again:
                raise StoreAwayError(f"{self.path}: {again}") from again
        try:
            self._pack(max(8, len(self._closed) // 120))
            self._sweep()
        except sqlite3.Error as error:
            # What was to be packed stays in the journal, and the next write tries it again.
            log.debug("%s: %s", self.path, error)
            if _is_full(error):
                self._make_room(error)

    def describe(self, facts: Mapping[str, Facts], keep_s: Mapping[str, float]) -> None:
        rows = [(name, json.dumps(each.as_dict()), keep_s.get(name)) for name, each in facts.items()]
        try:
            with self._transaction():
                self._add_pvs([name for name, _, _ in rows])
                self._writer.executemany(
                    "UPDATE pv SET facts = ?2, keep_s = ?3 WHERE name = ?1 AND (facts != ?2 OR keep_s IS NOT ?3)", rows
                )
        except sqlite3.Error as error:
            raise StoreAwayError(f"{self.path}: {error}") from error

    def _write(self, batch: Batch) -> None:
        if batch.id == self._last_batch:
            return
        samples = batch.samples
        now, row = self._clock_s(), self._last_row + 1
        age_s = self._age_s + now - self._told
        with self._transaction():
            if any(sample.pv not in self._ids for sample in samples):
                self._add_pvs(sorted({sample.pv for sample in samples}))
            records = self._records(samples)
            shards, first = np.unique(records["pv"] >> SHARD_BITS, return_index=True)
            parts = zip(shards.tolist(), np.split(records, first[1:]) if len(records) else [], strict=True)
            self._writer.executemany(
                "INSERT INTO journal VALUES (?, ?)",
                [(journal_id(shard, row), part.tobytes()) for shard, part in parts],
            )
            self._writer.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?)",
                [("age_s", age_s), ("alive_s", batch.now_s), ("row", row), ("batch", batch.id)],
            )
        self._age_s, self._told, self._last_row, self._last_batch = age_s, now, row, batch.id
        self._remember(records, row, now, {})

    def _records(self, samples: Sequence[Sample]) -> Any:
        """The samples by PV, those of each in the order in which they came."""
        ids = self._ids
        rows = [(ids[each[0]], each[3] | (0 if each[4] else GAP), each[1], each[2]) for each in samples]
        records = np.array(rows, RECORD)
        return records[np.argsort(records["pv"], kind="stable")]

    def _remember(self, records: Any, row: int, now: float, skips: Mapping[int, tuple[int, int]]) -> None:
        """Put what stands in the journal in memory, too, where it waits to be packed.

        Args:
            records: of one write, by PV.
            skips: PV -> row and number of its samples there that are packed already.
        """
        last, number = -1, 0
        numbers = records["time_ns"] // BLOCK_NS
        columns = (records["pv"], numbers, records["time_ns"], records["value"], records["status"])
        for pv, width, time_ns, value, status in zip(*(each.tolist() for each in columns), strict=True):
            number = number + 1 if pv == last else 0
            last = pv
            if pv in skips and (row, number) < skips[pv]:
                continue
            chain = self._chains.get(pv)
            if chain is None:
                chain = self._chains[pv] = deque()
            if chain and (chain[-1].time_ns[0] // BLOCK_NS != width or len(chain[-1].time_ns) >= BLOCK_SAMPLES):
                self._close_block(pv, chain[-1])
            if not chain or chain[-1].is_closed:
                chain.append(Open(row, number, now))
            samples = chain[-1]
            samples.time_ns.append(time_ns)
            samples.value.append(value)
            samples.status.append(status)

    def _close_block(self, pv: int, samples: Open) -> None:
        if not samples.is_closed:
            samples.is_closed = True
            self._closed.append(pv)

    def _read_journal(self) -> None:
        """What the last writer left in the journal."""
        rows = self._writer.execute("SELECT id, open_row, open_skip FROM pv").fetchall()
        skips = {pv: (row, skip) for pv, row, skip in rows}
        for number, data in self._writer.execute("SELECT id, samples FROM journal ORDER BY id"):
            self._remember(samples_of(data), row_of(number), self._told, skips)

    def _add_pvs(self, names: Sequence[str]) -> None:
        new = [name for name in names if name not in self._ids]
        ids = range(max(self._ids.values(), default=0) + 1, max(self._ids.values(), default=0) + 1 + len(new))
        facts = json.dumps(Facts().as_dict())
        self._writer.executemany(
            "INSERT INTO pv VALUES (?, ?, ?, NULL, ?, 0, NULL)",
            [(number, name, facts, self._last_row + 1) for number, name in zip(ids, new, strict=True)],
        )
        self._ids.update(zip(new, ids, strict=True))

    def _pack(self, limit: int) -> None:
        """Make blocks of what is complete, at most so many, and forget the journal that nobody needs any more."""
        turn = [self._closed[n] for n in range(min(limit, len(self._closed)))]
        if not turn:
            return
        seen: dict[int, int] = {}
        with self._transaction():
            for pv in turn:
                nth = seen[pv] = seen.get(pv, -1) + 1
                chain = self._chains[pv]
                self._add_block(pv, self._next.get(pv, first_id(pv) + 1) + nth, chain[nth])
                rest = chain[nth + 1] if nth + 1 < len(chain) else None
                row, skip = (rest.row, rest.skip) if rest else (self._last_row + 1, 0)
                self._writer.execute("UPDATE pv SET open_row = ?, open_skip = ? WHERE id = ?", (row, skip, pv))
        for pv in turn:
            self._closed.popleft()
            self._chains[pv].popleft()
            self._next[pv] = self._next.get(pv, first_id(pv) + 1) + 1

    def _add_block(self, pv: int, number: int, samples: Open) -> None:
        time_ns, value = np.array(samples.time_ns, np.int64), np.array(samples.value)
        status = np.array(samples.status, np.uint8)
        points = Columns.of_samples(time_ns, value, status)
        newest = int(np.argmax(time_ns[::-1]))  # of equal times the one that came last
        last_ns, last = int(time_ns[-1 - newest]), number_or_none(points.last[-1 - newest])
        some = points.count > 0
        count = int(points.count.sum())
        extremes = (float(points.low[some].min()), float(points.high[some].max())) if count else (None, None)
        total = float(points.total[some].sum()) if count else None
        point = (count, *extremes, total if total is None or math.isfinite(total) else None, last)
        worst, is_connected = int(points.severity.max()), bool(points.is_connected.all())
        self._writer.execute(
            "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, int(self._age_s), int(time_ns.min()), last_ns, len(time_ns), *point, worst, is_connected,
             packed(time_ns, value, status)),
        )  # fmt: skip
        hour = first_id(pv) + min(max(0, last_ns // HOUR_NS), (1 << PV_BITS) - 1)
        self._writer.execute(
            """INSERT INTO hour VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
            age_s = excluded.age_s, count = count + excluded.count,
            low = min(ifnull(low, excluded.low), ifnull(excluded.low, low)),
            high = max(ifnull(high, excluded.high), ifnull(excluded.high, high)),
            total = ifnull(total, 0) + ifnull(excluded.total, 0),
            last = iif(excluded.last_ns >= last_ns, excluded.last, last), last_ns = max(last_ns, excluded.last_ns),
            severity = max(severity, excluded.severity), is_connected = min(is_connected, excluded.is_connected)""",
            (hour, int(self._age_s), *point, last_ns, worst, is_connected),
        )

    def _sweep(self) -> None:
        """Drop what is too old, of a few PVs at a time, and what the journal no longer needs."""
        if self._told - self._swept < SWEEP_S:
            return
        self._swept = self._told
        self._step = (self._step + 1) % SWEEP_STEPS
        for pv, chain in self._chains.items():
            if chain and self._told - chain[-1].since > IDLE_S:
                self._close_block(pv, chain[-1])
        with self._transaction():
            for pv in [each for each in self._ids.values() if each % SWEEP_STEPS == self._step]:
                self._drop_old(pv)
            needed = min((chain[0].row for chain in self._chains.values() if chain), default=self._last_row + 1)
            for shard in range(shard_of(max(self._ids.values(), default=0)) + 1):
                span = (journal_id(shard, 0), journal_id(shard, needed))
                self._writer.execute("DELETE FROM journal WHERE id >= ? AND id < ?", span)
        if self.size_bytes > FILLED * self._size_bytes:
            self._drop_oldest()
        self._make_spare()

    def _drop_old(self, pv: int) -> None:
        """What of a PV is older than what is kept, but for one block: its last value may hold until now."""
        ids = (first_id(pv), first_id(pv + 1))
        keep_s = self._writer.execute("SELECT keep_s FROM pv WHERE id = ?", (pv,)).fetchone()[0]
        oldest = self._age_s - (self._keep_s if keep_s is None else keep_s)
        old = "SELECT max(id) FROM block WHERE id >= ? AND id < ? AND age_s < ?"
        self._drop(f"id >= ? AND id < ({old})", (ids[0], *ids, oldest))
        self._writer.execute(
            "DELETE FROM hour WHERE id >= ? AND id < ? AND age_s < ?", (*ids, self._age_s - self._keep_hours_s)
        )

    def _drop_oldest(self) -> None:
        """A part of all blocks, the oldest ones; the newest of each PV stays."""
        with self._transaction():
            count = self._writer.execute("SELECT count(*) FROM block").fetchone()[0]
            query = "SELECT age_s FROM block ORDER BY age_s LIMIT 1 OFFSET ?"
            if row := self._writer.execute(query, (count // DROP_PART,)).fetchone():
                self._drop(f"age_s <= ? AND id NOT IN ({NEWEST_BLOCKS})", row)

    def _drop(self, which: str, values: Sequence[float]) -> None:
        gone = f"SELECT max(to_ns), id >> {PV_BITS} FROM block WHERE {which} GROUP BY id >> {PV_BITS}"
        self._writer.executemany(
            "UPDATE pv SET gone_ns = max(ifnull(gone_ns, 0), ?) WHERE id = ?",
            self._writer.execute(gone, values).fetchall(),
        )
        self._writer.execute(f"DELETE FROM block WHERE {which}", values)

    def _make_room(self, error: sqlite3.Error) -> None:
        """The disk is full: give the spare room back, and drop the oldest samples."""
        log.debug("%s: %s", self.path, error)
        self._spare.unlink(missing_ok=True)
        try:
            self._drop_oldest()
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as still:
            raise StoreAwayError(f"{self.path}: {still}") from still

    def _make_spare(self) -> None:
        """Take the room again as soon as there is much of it."""
        with suppress(OSError):
            if not self._spare.exists() and shutil.disk_usage(self.path.parent).free > 4 * SPARE_BYTES:
                self._spare.write_bytes(bytes(SPARE_BYTES))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; a name that was not kept has no number."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._ids = dict(self._writer.execute("SELECT name, id FROM pv"))
            raise

    def _pragma(self, name: str) -> int:
        return int(self._writer.execute(f"PRAGMA {name}").fetchone()[0])


def _is_full(error: sqlite3.Error) -> bool:
    """Whether room is missing; what fails while it grows may say so only as a fault of the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
