"""Start a real Tango server for a test, without a database, and talk to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tango

#: What PyTango prints when a server serves.
READY = "Ready to accept request"

ROOT = Path(__file__).resolve().parents[2]


def wait_until(true: Callable[[], Any], seconds: float = 10.0, what: str = "") -> Any:
    """Wait until a condition holds, and return what it gave; fails with the last exception or value at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        last: Any
        try:
            last = true()
            if last:
                return last
        except (tango.DevFailed, OSError, AssertionError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last: {last!r})")
        time.sleep(0.01)


def wait_for_server(process: subprocess.Popen[bytes], log: Path, seconds: float = 60.0) -> None:
    """Wait until a Tango server serves: a client that asks too early is refused for a second more, again and again."""
    wait_until(lambda: process.poll() is not None or READY in log.read_text(), seconds, "the server starts")
    assert process.poll() is None, log.read_text()


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    device: str
    log: Path

    @property
    def address(self) -> str:
        return f"tango://127.0.0.1:{self.port}/{self.device}#dbase=no"

    def proxy(self) -> tango.DeviceProxy:
        return tango.DeviceProxy(self.address)


@contextmanager
def serving(
    device_class: str, device: str, properties: Mapping[str, Any] | None = None, *, folder: Path, port: int = 0
) -> Iterator[Server]:
    """A server process with one device of ``module:Class``; ends it and demands a clean end."""
    folder.mkdir(parents=True, exist_ok=True)
    log, said = folder / f"server-{len(list(folder.glob('server*.log')))}.log", folder / "port"
    said.unlink(missing_ok=True)
    arguments = [f"{key}={value}" for key, value in (properties or {}).items()]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve", device_class, device, str(folder), str(port), *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={**os.environ, "TANGO_HOST": ""},
        )
    try:
        wait_for_server(process, log)
        server = Server(process, int(said.read_text()), device, log)
        server.proxy().ping()
        yield server
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10.0) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
