"""The pulse of a process: a loop that turns beats, a loop that is blocked says so, and files of any kind are borne."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from servers.facility import pulse as pulse_module
from servers.facility.pulse import Pulse, read_pulse


def test_a_loop_that_turns_beats_about_once_a_second(tmp_path: Path) -> None:
    async def work() -> None:
        Pulse(tmp_path, "sim/cryocon1").follow(asyncio.get_running_loop())
        await asyncio.sleep(2.5)

    asyncio.run(work())
    beat = read_pulse(tmp_path, "sim/cryocon1")
    assert beat is not None and beat.pid == os.getpid()
    assert 1 <= beat.count <= 4
    assert beat.age_s < 5.0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["sim.cryocon1.pulse"]


def test_a_loop_that_was_blocked_says_for_how_long(tmp_path: Path) -> None:
    async def work() -> None:
        Pulse(tmp_path, "a").follow(asyncio.get_running_loop())
        await asyncio.sleep(0.25)
        time.sleep(1.0)  # noqa: ASYNC251 - this is what blocks it
        await asyncio.sleep(0.25)

    asyncio.run(work())
    beat = read_pulse(tmp_path, "a")
    assert beat is not None and 0.7 <= beat.lag_s <= 3.0


def test_a_beat_that_is_not_due_is_not_written(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "a")
    for _ in range(100):
        pulse.beat()
    beat = read_pulse(tmp_path, "a")
    assert beat is not None and beat.count == 1


def test_a_long_life_needs_no_more_room_than_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "PERIOD_S", 0.0)
    pulse = Pulse(tmp_path, "a")
    pulse._count = 10**12  # more than 30 000 years
    pulse.beat(12345.6789)
    beat = read_pulse(tmp_path, "a")
    assert beat is not None and (beat.count, beat.lag_s) == (10**12 + 1, 12345.6789)
    assert (tmp_path / "run" / "a.pulse").stat().st_size == pulse_module.LINE_BYTES


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("no folder")
    pulse = Pulse(tmp_path, "a")
    for _ in range(3):
        pulse._next_s = 0.0
        pulse.beat()
    assert len(caplog.records) == 1
    assert read_pulse(tmp_path, "a") is None


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", "{", '{"pid": 3}', "\x00" * 100])
def test_a_file_of_another_kind_is_no_pulse(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.pulse").write_text(text)
    assert read_pulse(tmp_path, "a") is None
