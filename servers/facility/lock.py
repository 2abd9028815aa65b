"""One facility per state directory: a lock that the kernel releases however its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from devices.core.errors import BusyError


@contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a state directory, which is made when it is missing.

    Raises:
        BusyError: another process holds it; the text names its pid.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("a+") as file:
        if not _take(file):
            raise BusyError(
                f"{state_dir} is in use by the facility of pid {holder(state_dir)}; end that one (Ctrl-C, or kill its "
                f"pid), or start this one with another --state-dir and a --port-offset"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _take(file: TextIO) -> bool:
    # `is_held` of another command may look at the lock just now, for some microseconds.
    for attempt in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02 * attempt)
    return False


def is_held(state_dir: Path) -> bool:
    """Whether a facility runs on this state directory."""
    try:
        with (state_dir / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(state_dir: Path) -> str:
    """The pid that last took the lock, as text."""
    return (state_dir / "lock").read_text().strip() or "?"
