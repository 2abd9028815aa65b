"""The pulse of a process: that its loop turns, and how late, in a file that others look at.

``STATE/run/NAME.pulse`` is one short line of JSON, written over in place once a second: that needs no new disk space.
Times are of the kernel's monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
TURN_S: Final = 0.2
LINE_BYTES: Final = 100


@dataclass(frozen=True)
class Beat:
    """What the file says.

    Attributes:
        pid: of the process that wrote it.
        count: beats since it began.
        at_s: when, s of the monotonic clock.
        lag_s: how late the loop was at worst since the beat before.
    """

    pid: int
    count: int
    at_s: float
    lag_s: float

    @property
    def age_s(self) -> float:
        return max(0.0, time.monotonic() - self.at_s)


class Pulse:
    """The pulse of this process; for one thread.

    Args:
        name: of the process in its facility.
    """

    def __init__(self, state_dir: Path, name: str) -> None:
        self._path = _path(state_dir, name)
        self._file: int | None = None
        self._failed = False
        self._count = 0
        self._lag_s = 0.0
        self._next_s = 0.0

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat as long as a loop turns; in that loop."""
        self._turn(loop, time.monotonic())

    def beat(self, lag_s: float = 0.0) -> None:
        """Beat, if it is time; for what has a loop of its own kind."""
        now = time.monotonic()
        self._lag_s = max(self._lag_s, lag_s)
        if now >= self._next_s:
            self._next_s = now + PERIOD_S - TURN_S / 2
            self._count += 1
            self._write(Beat(os.getpid(), self._count, round(now, 3), round(self._lag_s, 4)))
            self._lag_s = 0.0

    def _turn(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        now = time.monotonic()
        self.beat(max(0.0, now - due_s))
        loop.call_later(TURN_S, self._turn, loop, now + TURN_S)

    def _write(self, beat: Beat) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._file, json.dumps(asdict(beat)).ljust(LINE_BYTES - 1).encode() + b"\n", 0)
        except OSError as error:  # a full disk is no reason to end an instrument
            if not self._failed:
                log.warning("%s: %s; the health of this process is not known to others", self._path, error.strerror)
            self._failed = True


def read_pulse(state_dir: Path, name: str) -> Beat | None:
    """The last beat of a process, also of one that has ended; None where it never had one."""
    try:
        return Beat(**json.loads(_path(state_dir, name).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _path(state_dir: Path, name: str) -> Path:
    return state_dir / "run" / f"{name.replace('/', '.')}.pulse"
