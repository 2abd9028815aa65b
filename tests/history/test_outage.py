"""The database is away, or hangs, or the recorder is killed: nothing is lost, nothing is there twice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servers.history import postgres_history
from servers.history.backlog import MemoryBacklog
from servers.history.postgres_history import PostgresHistory
from servers.history.postgres_store import PostgresStore
from servers.history.spool import Spool
from servers.history.state import State
from servers.history.store import NANOSECONDS, Batch, Sample, Store, StoreAwayError, new_batch
from servers.history.writer import Writer
from tests.facility.running import wait_for
from tests.history.postgres import Postgres

NOON_S = 1_795_262_400
OUTAGE_S = 300


def batch_of(second: int, pvs: int = 10) -> Batch:
    return new_batch(
        [Sample(f"T{pv}:Value", (NOON_S + second) * NANOSECONDS, second + pv / 10) for pv in range(pvs)],
        NOON_S + second,
    )


def replay(spool: Spool) -> Iterator[Batch]:
    while (batch := spool.oldest()) is not None:
        yield batch
        spool.drop_oldest()


def test_what_waits_comes_back_in_order_also_after_a_restart(tmp_path: Path) -> None:
    batches = [batch_of(second) for second in range(OUTAGE_S)]
    spool = Spool(tmp_path, 1 << 20)
    for batch in batches[:200]:
        spool.append(batch)
    first = [spool.oldest()]
    spool.drop_oldest()
    spool = Spool(tmp_path, 1 << 20)
    assert spool.waiting == 199 * 10
    for batch in batches[200:]:
        spool.append(batch)
    assert first + list(replay(spool)) == batches
    assert (spool.waiting, spool.lost) == (0, 0)
    assert not list(tmp_path.glob("*.spool"))


def test_the_end_of_a_file_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for second in range(3):
        spool.append(batch_of(second))
    (file,) = tmp_path.glob("*.spool")
    file.write_bytes(file.read_bytes()[:-5])
    spool = Spool(tmp_path)
    spool.append(batch_of(3))
    assert [batch.now_s - NOON_S for batch in replay(spool)] == [0, 1, 3]


def test_a_spool_without_room_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 16 * 1024)
    for second in range(500):
        spool.append(batch_of(second))
    rest = [round(batch.now_s - NOON_S) for batch in replay(spool)]
    assert rest == list(range(500 - len(rest), 500))
    assert 0 < len(rest) < 500
    assert spool.lost == 10 * (500 - len(rest))


class Fickle:
    """A store that fails as told, and says no before or after it wrote."""

    size_bytes = 0

    def __init__(self, failures: list[str]) -> None:
        self.failures, self.written, self._last = failures, list[Batch](), 0

    def write(self, batch: Batch) -> None:
        how = self.failures.pop(0) if self.failures else ""
        if how == "before":
            raise StoreAwayError("away")
        if batch.id != self._last:
            self.written.append(batch)
        self._last = batch.id
        if how == "after":
            raise StoreAwayError("the answer was lost")

    def describe(self, *_: object) -> None: ...

    def alive_s(self) -> None:
        return None

    def close(self) -> None: ...


def test_a_store_that_fails_before_or_after_writing_has_each_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.history.writer.PERIOD_S", 0.01)
    store = Fickle(["", "before", "after", "before", "", "after", "after", "before"])
    states: list[State] = []
    writer = Writer(lambda: store, MemoryBacklog(), states.append)  # type: ignore[arg-type,return-value]
    writer.start()
    for second in range(60):
        writer.put(batch_of(second).samples)
        seen = len(states)
        wait_for(lambda seen=seen: len(states) > seen, 20.0, "a turn")
    writer.stop()
    samples = [sample for batch in store.written for sample in batch.samples]
    assert [sample.time_ns // NANOSECONDS - NOON_S for sample in samples[::10]] == list(range(60))
    assert [state.is_recording for state in states].count(False) == 6


@pytest.mark.timeout(240)
def test_five_minutes_without_postgresql_lose_nothing(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The seconds of the outage pass as fast as the machine can: what counts is how many samples had to wait.
    monkeypatch.setattr("servers.history.writer.PERIOD_S", 0.02)
    monkeypatch.setattr("servers.history.writer.RETRY_S", (0.1,))
    url = postgres.url(postgres.new_database())
    states: list[State] = []
    writer = Writer(lambda: PostgresStore(url, "site"), Spool(tmp_path / "spool"), states.append)
    writer.start()

    def record(first: int, last: int) -> None:
        for second in range(first, last):
            writer.put(batch_of(second).samples)
            if second % 10 == 9:
                seen = len(states)
                wait_for(lambda seen=seen: len(states) > seen, 30.0, "a turn")

    try:
        record(0, 50)
        wait_for(lambda: states[-1].is_recording, 30.0, "PostgreSQL takes samples")
        postgres.stop()
        record(50, 50 + OUTAGE_S)
        assert not states[-1].is_recording
        assert states[-1].waiting >= 10 * (OUTAGE_S - 20)
        postgres.start()
        record(50 + OUTAGE_S, 400)
        wait_for(lambda: states[-1].is_recording and not states[-1].waiting, 60.0, "nothing waits any more")
    finally:
        if not postgres.is_running:
            postgres.start()
        writer.stop()
    with closing(PostgresHistory(url, "site")) as history:
        for pv, trend in enumerate(history.query([f"T{pv}:Value" for pv in range(10)], NOON_S, NOON_S + 1000)):
            assert trend.last.tolist() == [second + pv / 10 for second in range(400)]
    pauses = [record for record in caplog.records if "pauses" in record.message]
    assert len(pauses) == 1, "one line for one outage"
    assert "hinge" not in caplog.text, "the password is in no log"


@pytest.mark.timeout(120)
def test_a_database_that_hangs_is_left_and_found_again(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_history, "ANSWER_S", 1.0)
    monkeypatch.setattr(postgres_history, "CONNECT_S", 2)
    with closing(PostgresStore(postgres.url(postgres.new_database()), "site")) as store:
        store.write(batch_of(0))
        postgres.signal(signal.SIGSTOP)
        try:
            batch = batch_of(1)
            with pytest.raises(StoreAwayError):
                store.write(batch)
        finally:
            postgres.signal(signal.SIGCONT)
        store.write(batch)
        (trend,) = store.query(["T3:Value"], NOON_S, NOON_S + 10)
        assert trend.last.tolist() == [0.3, 1.3]


def test_after_a_kill_the_time_that_nobody_recorded_is_no_line(tmp_path: Path, open_store: Callable[[], Store]) -> None:
    with closing(open_store()) as store:
        store.write(batch_of(0))
        store.write(new_batch([], NOON_S + 40))  # and then it was killed
    writer = Writer(open_store, MemoryBacklog())
    writer.start()
    writer.stop([Sample("T0:Value", (NOON_S + 900) * NANOSECONDS, 5.0)])
    with closing(open_store()) as store:
        (trend,) = store.query(["T0:Value"], NOON_S, NOON_S + 1000)
        assert (trend.time_s - NOON_S).tolist() == [0.0, 40.0, 900.0]
        assert trend.is_connected.tolist() == [True, False, True]
