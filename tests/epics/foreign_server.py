"""A foreign Tango server without a database, in a process of its own, and a mirror of it from a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tango

from servers.epics.configuration import MirrorConfig
from servers.epics.devices_file import read_devices
from tests.epics.mirroring import TangoServer, config_of, until

CRYOSTAT = (sys.executable, str(Path(__file__).with_name("foreign_device.py")), "test")


class ForeignServer(TangoServer):
    """One program with devices of one class; ``start`` after ``kill`` uses the same port.

    Args:
        command: of the program, without the arguments that every Tango server understands.
        devices: their Tango names.
    """

    def __init__(self, command: Sequence[str] = CRYOSTAT, *devices: str) -> None:
        super().__init__()
        self.command, self.devices = command, devices or ("site/cryostat/1",)

    @property
    def device(self) -> str:
        return self.devices[0]

    @property
    def address(self) -> str:
        return self.name(self.device)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *self.command, "-nodb", "-dlist", ",".join(self.devices),
                "-ORBendPoint", f"giop:tcp:127.0.0.1:{self.port}",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until(self.answers, "the foreign server answers", 20.0)

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the foreign server ended"
        try:
            for device in self.devices:
                self.proxy(device).ping()
        except tango.DevFailed:
            return False
        return True


@contextmanager
def foreign_server(command: Sequence[str] = CRYOSTAT, *devices: str) -> Iterator[ForeignServer]:
    server = ForeignServer(command, *devices)
    server.start()
    try:
        yield server
    finally:
        server.hang(hanging=False)
        server.kill()


def config_from(path: Path, text: str, **more: Any) -> MirrorConfig:
    """A mirror of what a devices file says; ``text`` is written there."""
    path.write_text(text)
    return config_of(read_devices(path), **more)
