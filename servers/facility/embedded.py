"""The embedded database of a state directory by itself, while its facility does not run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devices.core.errors import NotConnectedError, UnknownNameError
from servers.facility import database, lock, readiness
from servers.facility.address import LOOPBACK
from servers.facility.log_file import LogFile
from servers.facility.port_check import free_port
from servers.facility.process import PYTHON

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0


@contextmanager
def embedded_database(state_dir: Path, *, create: bool = False) -> Iterator[str]:
    """HOST:PORT of the database, which ends with the block; nobody else can start the facility meanwhile.

    Args:
        create: make an empty one where there is none.

    Raises:
        BusyError: the facility runs.
        NotConnectedError: the database does not start; the text has the last line of its log.
        UnknownNameError: the state directory has none.
    """
    if not create and not (state_dir / database.FILE_NAME).exists():
        raise UnknownNameError(f"{state_dir} has no embedded database ({database.FILE_NAME}): name its --state-dir")
    with lock.state_lock(state_dir):
        port, log = free_port(LOOPBACK), LogFile.of(state_dir, "database")
        words = ["servers.facility.database", "--port", str(port), "--state-dir", str(state_dir)]
        with log.path.open("ab") as output:
            child = subprocess.Popen([*PYTHON, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        host = f"{LOOPBACK}:{port}"
        try:
            readiness.wait_until(lambda: child.poll() is not None or readiness.database_answers(host), START_SECONDS)
            if child.poll() is not None or not readiness.database_answers(host):
                raise NotConnectedError(f"the embedded database of {state_dir} does not start: {log.last_line()}")
            yield host
        finally:
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
