"""The embedded history: true extremes whatever was recorded, nothing lost by a kill, a ring in time and room."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.history.sqlite_file import BLOCK_NS, HOUR_NS
from servers.history.sqlite_history import SqliteHistory
from servers.history.sqlite_store import SqliteStore
from servers.history.store import NANOSECONDS, Sample, StoreAwayError, new_batch

NOON_S = 1_795_262_400
PV = "CRYO1:TemperatureA"
MEMORY = Path("/dev/shm")

# Steps of time as clocks make them: even, at once, days of silence, and back by an hour.
STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 900), st.just(1), st.integers(-5000, -1), st.integers(3000, 300_000)),
        st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.integers(0, 300).map(float)),
        st.sampled_from([0, 0, 0, 1, 2, 3]),
        st.sampled_from([True, True, True, False]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=120,
)


def fill(store: SqliteStore, count: int, pvs: int = 1, begin: int = 0, batch: int = 50) -> None:
    """One sample a second, of value ``n``, in batches of several seconds."""
    for first in range(begin, begin + count, batch):
        rows = [
            Sample(f"T{pv}:Value", (NOON_S + n) * NANOSECONDS, float(n))
            for n in range(first, min(first + batch, begin + count))
            for pv in range(pvs)
        ]
        store.write(new_batch(rows, NOON_S + first))


@given(STEPS, st.integers(1, 40), st.integers(0, 100), st.integers(0, 100), st.integers(0, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_decimated_extremes_are_the_true_ones(
    steps: list[tuple[int, float, int, bool, int]], points: int, low: int, high: int, reopened: int
) -> None:
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))  # each write waits for the disk
    try:
        check_extremes(folder / "history.sqlite", steps, points, low, high, reopened)
    finally:
        shutil.rmtree(folder)


def check_extremes(
    path: Path, steps: list[tuple[int, float, int, bool, int]], points: int, low: int, high: int, reopened: int
) -> None:
    times = np.cumsum([step for step, *_ in steps]) + NOON_S
    samples = [
        Sample(PV, int(t) * NANOSECONDS, value, severity, up)
        for t, (_, value, severity, up, _) in zip(times.tolist(), steps, strict=True)
    ]
    store = SqliteStore(path)
    for number in range(0, len(samples), 7):
        store.write(new_batch(samples[number : number + 7], NOON_S))
        if number // 7 == reopened:  # as after a kill: what is not in a block is read from the journal
            store.close()
            store = SqliteStore(path)
    span = np.sort(times)[[len(times) * low // 101, len(times) * high // 101]]
    from_s, to_s = float(span.min()), float(span.max())
    try:
        (trend,) = store.query([PV], from_s, to_s, points)
    finally:
        store.close()
    width_ns, times_ns = round(trend.width_s * NANOSECONDS), times * NANOSECONDS
    begin_ns = round(from_s) * NANOSECONDS
    if width_ns >= BLOCK_NS:
        begin_ns = begin_ns // width_ns * width_ns
    known = np.array([each.value if each.is_connected else np.nan for each in samples])
    severity = np.array([each.severity for each in samples])
    is_lost = np.array([not each.is_connected for each in samples])
    inside = trend.points.taken(trend.points.time_ns >= begin_ns)
    assert len(inside) <= points + 1
    assert (np.diff(trend.points.time_ns) >= 0).all()
    asked = (times_ns >= begin_ns) & (times <= to_s)
    # Ten minutes or an hour that was summed up already is shown to its end.
    step_s = 1 if width_ns < BLOCK_NS else 600 if width_ns < HOUR_NS else 3600
    shown = (times_ns >= begin_ns) & (times // step_s <= to_s // step_s)
    assert (asked & ~np.isnan(known)).sum() <= inside.count.sum() <= (shown & ~np.isnan(known)).sum()
    for start in np.unique(inside.time_ns).tolist():
        # Without a width several samples may be of one time.
        point = inside.taken(inside.time_ns == start)
        end = (start // width_ns + 1) * width_ns if width_ns else start + 1
        least, most = asked & (times_ns >= start) & (times_ns < end), shown & (times_ns >= start) & (times_ns < end)
        low, high = np.fmin.reduce(point.low), np.fmax.reduce(point.high)
        assert smallest(known[most]) <= (np.inf if np.isnan(low) else low) <= smallest(known[least])
        assert -smallest(-known[most]) >= (-np.inf if np.isnan(high) else high) >= -smallest(-known[least])
        assert severity[least].max(initial=0) <= point.severity.max() <= severity[most].max(initial=0)
        assert is_lost[least].any() <= (not point.is_connected.all()) <= is_lost[most].any()


def smallest(values: Any) -> float:
    """Infinity where there is none."""
    return float(np.fmin.reduce(values, initial=np.inf))


def test_days_of_one_pv_are_answered_from_samples_blocks_and_hours_alike(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "history.sqlite")) as store:
        fill(store, 3 * 86400 // 30, batch=5000)
        for points in (20_000, 700, 30, 2):
            (trend,) = store.query(["T0:Value"], NOON_S, NOON_S + 8639, points)
            assert trend.points.count.sum() == 8640
            assert (np.nanmin(trend.low), np.nanmax(trend.high)) == (0.0, 8639.0)
            assert trend.mean @ trend.points.count / 8640 == pytest.approx(4319.5)


def test_a_recorder_that_is_killed_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    program = f"""
from pathlib import Path
from servers.history.sqlite_store import SqliteStore
from tests.history.test_sqlite_store import fill
import os, signal
store = SqliteStore(Path({str(path)!r}))
fill(store, 2500, pvs=3)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, timeout=60).returncode == -9
    with closing(SqliteStore(path)) as store:
        fill(store, 100, pvs=3, begin=2500)
        for trend in store.query(["T0:Value", "T1:Value", "T2:Value"], NOON_S, NOON_S + 3000, 5000):
            assert trend.last.tolist() == [float(n) for n in range(2600)]


def test_a_reader_in_another_process_sees_each_sample_once_while_blocks_are_made(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "history.sqlite")) as store:
        fill(store, 50)
        with closing(SqliteHistory(tmp_path / "history.sqlite")) as reader:
            for begin in range(50, 3000, 50):
                fill(store, 50, begin=begin)
                (trend,) = reader.query(["T0:Value"], NOON_S, NOON_S + 5000, 10_000)
                assert len(trend.points) == begin + 50


def test_what_is_older_than_a_day_of_recording_goes_and_its_hours_stay(tmp_path: Path) -> None:
    clock = Clock()
    with closing(SqliteStore(tmp_path / "history.sqlite", keep_s=86400.0, clock_s=clock)) as store:
        for hour in range(60):
            fill(store, 3600, begin=3600 * hour, batch=600)
            clock.pass_s(3600.0)
        for _ in range(150):  # each PV has its turn
            clock.pass_s(7.0)
            store.write(new_batch([], NOON_S))
        (recent,) = store.query(["T0:Value"], NOON_S + 40 * 3600, NOON_S + 60 * 3600, 100_000)
        assert recent.points.count.sum() == 20 * 3600 + 1  # and the one before
        (old,) = store.query(["T0:Value"], NOON_S, NOON_S + 20 * 3600 - 1, 100_000)
        assert old.width_s > 0
        assert (np.nanmin(old.low), np.nanmax(old.high)) == (0.0, 20 * 3600.0 - 1)
        assert len(old.points) <= 21
        blocks = store._writer.execute("SELECT min(from_ns) FROM block").fetchone()[0]
        assert blocks / NANOSECONDS > NOON_S + 30 * 3600


def test_a_clock_that_jumps_a_year_ahead_drops_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with closing(SqliteStore(tmp_path / "history.sqlite", keep_s=3600.0, clock_s=clock)) as store:
        fill(store, 1200)
        store.write(new_batch([Sample("T0:Value", (NOON_S + 365 * 86400) * NANOSECONDS, 5.0)], NOON_S + 365 * 86400))
        for _ in range(120):
            clock.pass_s(7.0)
            store.write(new_batch([], NOON_S + 365 * 86400))
        (trend,) = store.query(["T0:Value"], NOON_S, NOON_S + 1200, 5000)
        assert len(trend.points) == 1200


def test_a_set_point_that_never_changes_is_known_after_any_time(tmp_path: Path) -> None:
    clock = Clock()
    with closing(SqliteStore(tmp_path / "history.sqlite", keep_s=3600.0, clock_s=clock)) as store:
        store.write(new_batch([Sample(PV, NOON_S * NANOSECONDS, 77.5)], NOON_S))
        for _ in range(300):
            clock.pass_s(700.0)
            store.write(new_batch([], NOON_S))
        (trend,) = store.query([PV], NOON_S + 2e5, NOON_S + 2.1e5)
        assert trend.last.tolist() == [77.5]


def test_the_file_stays_within_its_room_and_the_oldest_samples_go(tmp_path: Path) -> None:
    clock = Clock()
    generator = np.random.default_rng(3)
    size, highest = 3_000_000, -np.inf
    with closing(SqliteStore(tmp_path / "history.sqlite", size_bytes=size, clock_s=clock)) as store:
        for minute in range(300):
            noise = generator.normal(size=(20, 60))
            highest = max(highest, noise[7].max()) if minute < 60 else highest
            rows = [
                Sample(f"T{pv}:Noise", (NOON_S + 60 * minute + n) * NANOSECONDS, float(noise[pv, n]))
                for n in range(60)
                for pv in range(20)
            ]
            store.write(new_batch(rows, NOON_S))
            clock.pass_s(60.0)
        assert store.size_bytes <= size
        (newest,) = store.query(["T7:Noise"], NOON_S + 240 * 60, NOON_S + 300 * 60, 100_000)
        assert (newest.width_s, newest.points.count.sum()) == (0.0, 60 * 60 + 1)
        (oldest,) = store.query(["T7:Noise"], NOON_S, NOON_S + 60 * 60, 100_000)
        assert oldest.width_s > 0
        assert np.nanmax(oldest.high) == highest


def test_a_full_disk_pauses_the_recording_and_room_lets_it_go_on(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        path, ballast = tmp_path / "history.sqlite", tmp_path / "ballast"
        with closing(SqliteStore(path)) as store:
            fill(store, 2000, pvs=4, batch=500)
            take_all(ballast)
            with pytest.raises(StoreAwayError, match=r"full|I/O"):
                for number in range(20):
                    batch = new_batch([Sample(f"X{n}:Noise", n, number / 7) for n in range(20_000)], NOON_S)
                    store.write(batch)
                    take_all(ballast)  # whoever filled the disk takes what the store gave back, too
            (trend,) = store.query(["T0:Value"], NOON_S, NOON_S + 10_000, 10_000)
            assert trend.last[-1] == 1999
            ballast.unlink()
            store.write(batch)
            assert store.latest(["X19999:Noise"]) == [batch.samples[-1]]
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def take_all(file: Path) -> None:
    """Fill the disk."""
    with suppress(OSError), file.open("ab", buffering=0) as ballast:
        while ballast.write(bytes(4096)) == 4096:
            pass


class Clock:
    """The clock by which a store knows how long it has recorded; a test lets it pass."""

    def __init__(self) -> None:
        self._now = 1000.0

    def __call__(self) -> float:
        return self._now

    def pass_s(self, seconds: float) -> None:
        self._now += seconds


@pytest.mark.parametrize("damaged", [b"no database at all " * 1000, b"SQLite format 3\0" + bytes(range(256)) * 64])
def test_a_damaged_file_is_set_aside_and_recording_goes_on(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "history.sqlite"
    file.write_bytes(damaged)
    with closing(SqliteStore(file)) as store:
        fill(store, 10)
    (aside,) = tmp_path.glob("history.sqlite.damaged-*")
    assert aside.read_bytes() == damaged
    with closing(SqliteStore(file)) as store:
        (newest,) = store.latest(["T0:Value"])
        assert newest is not None
        assert newest.value == 9.0
