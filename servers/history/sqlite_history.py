"""The embedded history as trends and scripts read it, from any number of processes while one writes."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from devices.core.errors import RangeError, UnknownNameError
from servers.facility.spelling import did_you_mean
from servers.history.block import unpacked
from servers.history.decimation import decimated
from servers.history.sqlite_file import (
    BLOCK_NS,
    HOUR_NS,
    first_id,
    journal_id,
    row_of,
    samples_of,
    shard_of,
    summaries,
)
from servers.history.store import MAX_POINTS, NANOSECONDS, Columns, Facts, Sample, StoreAwayError, Trend

_POINT = "count, low, high, total, last, severity, is_connected"


class SqliteHistory:
    """Reads the file of a `SqliteStore`.

    Args:
        path: of the file.

    Raises:
        StoreAwayError: there is no such file yet, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
                                       check_same_thread=False)  # fmt: skip
            self._db.execute("SELECT count(*) FROM state")
        except sqlite3.Error as error:
            raise StoreAwayError(f"{path}: {error}") from error

    def close(self) -> None:
        self._db.close()

    def pvs(self) -> dict[str, Facts]:
        with self._snapshot():
            rows = self._db.execute("SELECT name, facts FROM pv ORDER BY name").fetchall()
        return {name: Facts.from_dict(json.loads(facts)) for name, facts in rows}

    def query(self, pvs: Sequence[str], from_s: float, to_s: float, max_points: int = MAX_POINTS) -> list[Trend]:
        if not from_s <= to_s:
            raise RangeError(f"to_s = {to_s} s is before from_s = {from_s} s")
        if max_points < 1:
            raise RangeError(f"max_points = {max_points} is below 1")
        from_ns, to_ns = round(from_s * NANOSECONDS), round(to_s * NANOSECONDS)
        with self._snapshot():
            found = [self._pv(name) for name in pvs]
            tails = self._tails([pv for pv, _ in found])
            return [
                self._trend(name, pv, facts, tails[pv], from_ns, to_ns, max_points)
                for name, (pv, facts) in zip(pvs, found, strict=True)
            ]

    def latest(self, pvs: Sequence[str]) -> list[Sample | None]:
        with self._snapshot():
            found = [self._pv(name)[0] for name in pvs]
            tails = self._tails(found)
            return [self._latest(name, pv, tails[pv]) for name, pv in zip(pvs, found, strict=True)]

    def alive_s(self) -> float | None:
        """The time of the last write, s since 1970; None before the first."""
        with self._snapshot():
            row = self._db.execute("SELECT value FROM state WHERE key = 'alive_s'").fetchone()
        return row[0] if row else None

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All reads within see the same moment, whatever is written meanwhile."""
        try:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StoreAwayError(f"{self.path}: {error}") from error

    def _pv(self, name: str) -> tuple[int, Facts]:
        row = self._db.execute("SELECT id, facts FROM pv WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = [each for (each,) in self._db.execute("SELECT name FROM pv")]
            raise UnknownNameError(f"nothing is recorded of {name}{did_you_mean(name, known)}")
        return row[0], Facts.from_dict(json.loads(row[1]))

    def _tails(self, pvs: Sequence[int]) -> dict[int, Columns]:
        """What is in the journal only, PV -> points in the order in which they came."""
        wanted: dict[int, dict[int, tuple[int, int]]] = {}
        for pv in pvs:
            start = self._db.execute("SELECT open_row, open_skip FROM pv WHERE id = ?", (pv,)).fetchone()
            wanted.setdefault(shard_of(pv), {})[pv] = start
        found: dict[int, list[Any]] = {pv: [] for pv in pvs}
        for shard, starts in wanted.items():
            first = min(row for row, _ in starts.values())
            query = "SELECT id, samples FROM journal WHERE id >= ? AND id < ? ORDER BY id"
            for number, data in self._db.execute(query, (journal_id(shard, first), journal_id(shard + 1, 0))):
                row, samples = row_of(number), samples_of(data)
                ids = samples["pv"]
                for pv, (open_row, open_skip) in starts.items():
                    if row < open_row:
                        continue
                    begin, end = np.searchsorted(ids, (pv, pv + 1))
                    begin += open_skip if row == open_row else 0
                    if begin < end:
                        found[pv].append(samples[begin:end])
        return {pv: _columns(np.concatenate(parts)) if parts else Columns.none() for pv, parts in found.items()}

    def _trend(
        self, name: str, pv: int, facts: Facts, tail: Columns, from_ns: int, to_ns: int, max_points: int
    ) -> Trend:
        width_ns = max(1, math.ceil((to_ns - from_ns) / max_points))
        begin_ns, is_plain = from_ns, False
        if width_ns < BLOCK_NS:
            stored, gone = self._samples(pv, from_ns, to_ns), self._gone(pv, from_ns, to_ns)
        else:
            # Blocks and hours begin at whole multiples, so that none reaches into two widths.
            step_ns = BLOCK_NS if width_ns < HOUR_NS else HOUR_NS
            width_ns = -(-width_ns // step_ns) * step_ns
            begin_ns = from_ns // width_ns * width_ns
            if step_ns == HOUR_NS:
                stored, gone = self._hours(pv, begin_ns, to_ns), Columns.none()
            else:
                stored, gone = self._blocks(pv, begin_ns, to_ns), self._gone(pv, begin_ns, to_ns)
        points = Columns.together([gone, stored, tail])
        before = np.searchsorted(points.time_ns, begin_ns)
        held, inside = points.taken(slice(max(0, before - 1), before)), points.taken(points.time_ns >= begin_ns)
        inside = inside.taken(inside.time_ns <= to_ns)
        is_plain = not len(gone) and width_ns < BLOCK_NS and len(inside) <= max_points
        if not is_plain:
            inside = decimated(inside, width_ns, begin_ns)
        return Trend(name, facts, Columns.together([held, inside]), 0.0 if is_plain else width_ns / NANOSECONDS)

    def _samples(self, pv: int, from_ns: int, to_ns: int) -> Columns:
        """The samples of all blocks that have any within, and of the one before."""
        return _together(self._rows("data", "block", "from_ns", "to_ns", pv, from_ns, to_ns))

    def _blocks(self, pv: int, from_ns: int, to_ns: int) -> Columns:
        start = f"from_ns / {BLOCK_NS} * {BLOCK_NS}"
        rows = self._rows(f"{start}, {_POINT}", "block", start, start, pv, from_ns, to_ns)
        return summaries(sorted(rows))

    def _hours(self, pv: int, from_ns: int, to_ns: int) -> Columns:
        start = f"(id & 0xffffffff) * {HOUR_NS}"
        return summaries(self._rows(f"{start}, {_POINT}", "hour", start, start, pv, from_ns, to_ns))

    def _gone(self, pv: int, from_ns: int, to_ns: int) -> Columns:
        """The hours of which samples were dropped."""
        gone_ns = self._db.execute("SELECT gone_ns FROM pv WHERE id = ?", (pv,)).fetchone()[0]
        if gone_ns is None or gone_ns < from_ns // HOUR_NS * HOUR_NS:
            return Columns.none()
        return self._hours(pv, from_ns // HOUR_NS * HOUR_NS, min(to_ns, gone_ns))

    def _rows(
        self, what: str, table: str, first: str, last: str, pv: int, from_ns: int, to_ns: int
    ) -> list[tuple[Any, ...]]:
        """Rows of a PV that reach into some time, and before them the newest one that does not."""
        own = f"SELECT {what} FROM {table} WHERE id >= ? AND id < ?"
        ids = (first_id(pv), first_id(pv + 1))
        before = self._db.execute(f"{own} AND {last} < ? ORDER BY {last} DESC LIMIT 1", (*ids, from_ns)).fetchall()
        within = f"{own} AND {last} >= ? AND {first} <= ? ORDER BY id"
        return before + self._db.execute(within, (*ids, from_ns, to_ns)).fetchall()

    def _latest(self, name: str, pv: int, tail: Columns) -> Sample | None:
        points = Columns.together([self._samples(pv, 1 << 62, 1 << 62), tail])
        if not len(points):
            return None
        newest = points.taken(slice(-1, None))
        value = float(newest.last[0])
        return Sample(name, int(newest.time_ns[0]), value, int(newest.severity[0]), bool(newest.is_connected[0]))


def _columns(samples: Any) -> Columns:
    return Columns.of_samples(samples["time_ns"].astype(np.int64), samples["value"].astype(float), samples["status"])


def _together(rows: Sequence[tuple[bytes]]) -> Columns:
    if not rows:
        return Columns.none()
    times, values, status = (np.concatenate(each) for each in zip(*(unpacked(data) for (data,) in rows), strict=True))
    return Columns.of_samples(times, values, status)
