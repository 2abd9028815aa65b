"""A Tango server in a process of its own, a mirror of it, and EPICS clients that know nothing of either."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tango

from servers.epics.configuration import MirrorConfig, MirroredDevice
from servers.epics.mirror import Mirror

DEVICES = Path(__file__).with_name("tango_devices.py")


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def until(true: Callable[[], Any], what: str = "", seconds: float = 10.0) -> Any:
    """Wait until ``true()`` holds and return what it gave; fails with the last value after ``seconds`` s."""
    deadline = time.monotonic() + seconds
    while not (last := true()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} (last: {last!r})"
        time.sleep(0.01)
    return last


def until_equal(get: Callable[[], Any], expected: Any, what: str = "", seconds: float = 10.0) -> None:
    """Wait until ``get()`` gives what is expected; fails with what it gave last."""
    deadline = time.monotonic() + seconds
    while (last := get()) != expected:
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} {expected!r} (last: {last!r})"
        time.sleep(0.01)


class TangoServer:
    """The devices of ``tango_devices.py`` without a database; ``start`` after ``kill`` uses the same port."""

    plain, described = "site/plain/1", "site/described/1"

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def name(self, device: str) -> str:
        return f"tango://127.0.0.1:{self.port}/{device}#dbase=no"

    def start(self) -> None:
        # "-dlist" is for the last class of a server only, so each class has a resource of its own.
        self.process = subprocess.Popen(
            [
                sys.executable, str(DEVICES), "test", "-nodb", "-ORBendPoint", f"giop:tcp:127.0.0.1:{self.port}",
                "-dlist", f"Plain::{self.plain},Described::{self.described}",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until(self.answers, "the Tango server answers", 20.0)

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the Tango server ended"
        try:
            for device in (self.plain, self.described):
                tango.DeviceProxy(self.name(device)).ping()
        except tango.DevFailed:
            return False
        return True

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def hang(self, *, hanging: bool) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if hanging else signal.SIGCONT)

    def proxy(self, device: str) -> tango.DeviceProxy:
        return tango.DeviceProxy(self.name(device))


@contextmanager
def tango_server() -> Iterator[TangoServer]:
    server = TangoServer()
    server.start()
    try:
        yield server
    finally:
        server.hang(hanging=False)
        server.kill()


def config_of(devices: tuple[MirroredDevice, ...], **more: Any) -> MirrorConfig:
    """A mirror of these devices on free ports."""
    free = {
        "image_process": False,
        "ca_port": 0,
        "ca_repeater_port": free_port(),
        "pva_port": 0,
        "pva_broadcast_port": free_port(),
    }
    return MirrorConfig(**({"devices": devices} | free | more))


def config_for(server: TangoServer, **more: Any) -> MirrorConfig:
    """A mirror of both devices of a :class:`TangoServer`."""
    devices = (
        MirroredDevice(
            server.name(server.plain), "PLAIN1:", mirror_commands=("Double", "Reset", "SwitchTo", "Flood"), period=0.2
        ),
        MirroredDevice(server.name(server.described)),
    )
    free = {
        "image_process": False,
        "ca_port": 0,
        "ca_repeater_port": free_port(),
        "pva_port": 0,
        "pva_broadcast_port": 0,
    }
    return MirrorConfig(**({"devices": devices} | free | more))


@contextmanager
def mirror(config: MirrorConfig) -> Iterator[Mirror]:
    """A mirror whose devices are all connected."""
    running = Mirror(config)
    running.start()
    try:
        until(lambda: not any(running.statistics()["devices"].values()), "the devices are mirrored", 30.0)
        yield running
    finally:
        running.stop()


def environment(mirror: Mirror) -> dict[str, str]:
    """The environment of a client of this mirror and of nothing else."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}
    return (
        clean
        | {
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(mirror.ca.port),
            "EPICS_CA_REPEATER_PORT": str(mirror.config.ca_repeater_port),
            "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
        }
        | pva_conf(mirror)
    )


def pva_conf(mirror: Mirror) -> dict[str, str]:
    images = f" 127.0.0.1:{mirror.images.report.pva_port}" if mirror.images.report.pva_port else ""
    return {
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{mirror.pva.port}{images}",
        "EPICS_PVA_BROADCAST_PORT": str(mirror.pva.broadcast_port),
    }


def caproto(mirror: Mirror, command: str, *arguments: str, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """Run ``caproto-get`` and its like."""
    beside = shutil.which(f"caproto-{command}", path=str(Path(sys.executable).parent))
    assert beside is not None
    return subprocess.run(
        [beside, "--no-repeater", *arguments],
        env=environment(mirror), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def python(mirror: Mirror, script: str, timeout: float = 30.0) -> str:
    """Run a script in a process that has only the environment of a client; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(mirror), capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
