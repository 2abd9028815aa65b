"""The Tango server of ``image_devices.py`` in a process of its own, and what a test asks of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tango

from servers.epics.configuration import MirroredDevice
from tests.epics.mirroring import free_port, until

DEVICES = Path(__file__).with_name("image_devices.py")
DEVICE = "site/camera/1"


class Camera:
    """One camera without a database; ``start`` after ``kill`` uses the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.name = f"tango://127.0.0.1:{self.port}/{DEVICE}#dbase=no"
        self.mirrored = MirroredDevice(self.name)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        endpoint = f"giop:tcp:127.0.0.1:{self.port}"
        command = [sys.executable, str(DEVICES), "test", "-nodb", "-ORBendPoint", endpoint, "-dlist", DEVICE]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers, "the camera answers", 20.0)
        self.proxy = tango.DeviceProxy(self.name)

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the camera ended"
        try:
            tango.DeviceProxy(self.name).ping()
        except tango.DevFailed:
            return False
        return True

    def publish(self, name: str, rows: int, columns: int, **more: Any) -> None:
        self.proxy.Publish(json.dumps({"name": name, "rows": rows, "columns": columns} | more))

    def flood(self, name: str, count: int, rate: float) -> None:
        self.proxy.Flood(json.dumps({"name": name, "count": count, "rate": rate}))

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def camera_server() -> Iterator[Camera]:
    camera = Camera()
    camera.start()
    try:
        yield camera
    finally:
        camera.kill()
