"""A process that stands still ends by itself; one that merely gets no processor does not."""

import subprocess
import sys
import time

import pytest

from servers import standstill
from servers.standstill import Standstill

HANGS = """
import ctypes
from servers import standstill
standstill.STANDSTILL = 0.5
standstill.Standstill(0.05).turn()
ctypes.PyDLL(None).sleep(60)  # a call of a library that keeps the interpreter's lock
"""


class Clock:
    """The clock of the watch, and what it has armed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.armed: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(standstill.faulthandler, "dump_traceback_later", lambda s, exit: self.armed.append(s))

    def turns(self, watch: Standstill, seconds: float, period: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += period
            watch.turn()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_process_whose_interpreter_stands_still_writes_its_stacks_and_ends() -> None:
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30.0, check=False)
    assert ended.returncode == 1
    assert time.monotonic() - began < 30.0
    assert "Timeout (0:00:00.500000)!" in ended.stderr
    assert 'File "<string>", line 6' in ended.stderr


def test_a_loop_that_turns_in_time_is_waited_for_20_seconds(clock: Clock) -> None:
    clock.turns(Standstill(0.05), 10.0, 0.05)
    assert len(clock.armed) == pytest.approx(10, abs=1)
    assert clock.armed == pytest.approx([20.0] * len(clock.armed))


def test_a_machine_without_time_to_give_makes_it_wait_longer(clock: Clock) -> None:
    watch = Standstill(0.05)
    clock.turns(watch, 20.0, 2.05)
    assert clock.armed[-1] == pytest.approx(20.0 + 20.0 * 2.0)


def test_lateness_is_forgotten_within_a_minute(clock: Clock) -> None:
    watch = Standstill(0.05)
    clock.turns(watch, 20.0, 5.05)
    clock.turns(watch, 60.0, 0.05)
    assert clock.armed[-1] < 20.5
