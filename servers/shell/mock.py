"""A simulated camera for a shell: a facility of its own, on free ports, which ends with the shell."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devices.core.errors import DiptychError, TimeoutError, UnknownNameError
from servers.facility import record
from servers.facility.facility_file import Facility, read_facility
from servers.facility.place import default_facility
from servers.facility.port_check import is_taken, needed
from servers.facility.process import PYTHON

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 15.0
#: Shifts of all ports that are tried one after the other.
OFFSETS: Final = range(0, 20_000, 400)


@contextmanager
def mock_camera(state_dir: Path) -> Iterator[record.Running]:
    """Run the simulated camera of ``dbconfig/ccd-mock.json``.

    Raises:
        DiptychError: it does not start; its log is in ``up.log`` of the state directory.
    """
    path = default_facility().parent / "ccd-mock.json"
    if not path.exists():
        raise UnknownNameError(f"there is no {path}, which describes the simulated camera")
    offset = _free_offset(path, state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    words = ["up", str(path), "--state-dir", str(state_dir), "--port-offset", str(offset)]
    log = state_dir / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*PYTHON, "servers.facility.leash", *PYTHON, "servers.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the shell is not for it
        )
    try:
        yield _ready(process, state_dir, log)
    finally:
        _end(process)


def _ready(process: subprocess.Popen[bytes], state_dir: Path, log: Path) -> record.Running:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = record.running(state_dir)
        if found is not None and found.ready:
            return found
        if process.poll() is not None:
            raise DiptychError(f"the simulated camera has ended: {log.read_text().strip()[-500:]}")
        time.sleep(0.05)
    raise TimeoutError(f"the simulated camera is not ready within {START_SECONDS:g} s; see {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_offset(path: Path, state_dir: Path) -> int:
    for offset in OFFSETS:
        facility: Facility = read_facility(path, state_dir=state_dir, offset=offset)
        if not any(is_taken(facility.ports[name], kind) for name, kind in needed(facility, own_database=True)):
            return offset
    raise DiptychError("no ports are free for a simulated camera")
