"""The embedded history: values a second, a day of eight PVs, the share of a core and the room of 10 000 PVs at 1 Hz.

The peer is what one writes first: a table of rows with an index, in SQLite too. ``python -m benchmarks history``.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure
from servers.history.sqlite_history import SqliteHistory
from servers.history.sqlite_store import SqliteStore
from servers.history.store import NANOSECONDS, Sample, new_batch

BEGIN_S = 1_795_219_200
DAY_S = 86_400
PVS = 8
MANY = 10_000
SECONDS = 700  # of many PVs: a block of each is made
POINTS = 2000
ROUNDS = 5


def run() -> list[Figure]:
    """The figures; some minutes, and 300 MB of disk."""
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        return [*day(Path(folder)), *many(Path(folder))]


def day(folder: Path) -> list[Figure]:
    """24 h of 8 thermometers at 1 Hz: written in batches of 10 s, and asked for."""
    values, times = thermometers(DAY_S, PVS)
    names = [f"T{pv}:Temperature" for pv in range(PVS)]
    with closing(SqliteStore(folder / "day.sqlite")) as store, closing(plain_rows(folder / "plain.sqlite")) as plain:
        ours = theirs = 0.0
        for first in range(0, DAY_S, 10):
            rows = [
                Sample(name, time_ns, value)
                for second in range(first, first + 10)
                for name, time_ns, value in zip(names, times[second], values[second], strict=True)
            ]
            began = time.perf_counter()
            store.write(new_batch(rows, BEGIN_S + first))
            ours += time.perf_counter() - began
            began = time.perf_counter()
            with plain:
                plain.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", [row[:4] for row in rows])
            theirs += time.perf_counter() - began
        count = DAY_S * PVS
        figures = [Figure("history: values written (peer: plain rows)", count / ours, "values/s", count / theirs)]
        store._pack(1 << 30)
        size, peer_size = store.size_bytes / count, (folder / "plain.sqlite").stat().st_size / count
    figures.append(Figure("history: bytes of a value (peer: plain rows)", size, "B", peer_size))
    with (
        closing(SqliteHistory(folder / "day.sqlite")) as history,
        closing(sqlite3.connect(folder / "plain.sqlite")) as plain,
    ):
        turns: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            trends = history.query(names, BEGIN_S, BEGIN_S + DAY_S, POINTS)
            between = time.perf_counter()
            extremes = [plain_trend(plain, name) for name in names]
            turns.append((between - began, time.perf_counter() - between))
            for trend, rows in zip(trends, extremes, strict=True):
                assert np.nanmax(trend.high) == max(row[2] for row in rows)
    mine, others = (1000 * float(np.median(column)) for column in zip(*turns, strict=True))
    figures.append(Figure("history: trend of 24 h of 8 PVs (peer: GROUP BY)", mine, "ms", others, below=300.0))
    return figures


def many(folder: Path) -> list[Figure]:
    """10 000 PVs at 1 Hz, batch by batch as the recorder's writer gives them, as fast as they are taken."""
    names = [f"T{pv}:Temperature" for pv in range(MANY)]
    values, times = thermometers(SECONDS, MANY)
    clock = [0.0]
    with closing(SqliteStore(folder / "many.sqlite", clock_s=lambda: clock[0])) as store:
        used, worst = 0.0, 0.0
        for second in range(SECONDS):
            readings = zip(names, times[second], values[second], strict=True)
            row = [Sample(name, time_ns, value) for name, time_ns, value in readings]
            clock[0] += 1.0
            began, cpu = time.perf_counter(), time.process_time()
            store.write(new_batch(row, BEGIN_S + second))
            used += time.process_time() - cpu
            worst = max(worst, time.perf_counter() - began)
        began = time.perf_counter()
        store.query(names[:8], BEGIN_S, BEGIN_S + SECONDS, POINTS)
        tail_ms = 1000 * (time.perf_counter() - began)
        store._pack(1 << 30)
        per_sample = store._writer.execute("SELECT total(length(data)) / total(samples) FROM block").fetchone()[0]
    return [
        Figure("history: storing 10 000 PVs at 1 Hz, share of a core", 100 * used / SECONDS, "%", below=20.0),
        Figure("history: longest write of 10 000 values", 1000 * worst, "ms"),
        Figure("history: 8 of 10 000 PVs, the last 12 min", tail_ms, "ms", below=300.0),
        Figure("history: 10 000 PVs at 1 Hz, a day", per_sample * MANY * DAY_S / 1e9, "GB"),
    ]


def thermometers(seconds: int, pvs: int) -> tuple[list[list[float]], list[list[int]]]:
    """Readings to a millikelvin that drift, [second][pv], and their times in ns, some milliseconds off the second."""
    generator = np.random.default_rng(11)
    values = np.round(77.0 + np.cumsum(generator.normal(0.0, 0.005, (seconds, pvs)), axis=0), 3)
    jitter = generator.integers(0, 5000, (seconds, pvs)) * 1000
    times = (BEGIN_S + np.arange(seconds, dtype=np.int64))[:, None] * NANOSECONDS + jitter
    return values.tolist(), times.tolist()


def plain_rows(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE sample (pv TEXT, time_ns INTEGER, value REAL, severity INTEGER)")
    connection.execute("CREATE INDEX sample_time ON sample (pv, time_ns)")
    return connection


def plain_trend(connection: sqlite3.Connection, name: str) -> list[Any]:
    width = DAY_S * NANOSECONDS // POINTS
    query = """SELECT time_ns / ? AS bucket, min(value), max(value), avg(value), max(severity) FROM sample
        WHERE pv = ? GROUP BY bucket"""
    return connection.execute(query, (width, name)).fetchall()


if __name__ == "__main__":
    for figure in run():
        print(figure.line(), flush=True)
