"""A real ds9 on a screen that nobody sees, with an XPA name server of its own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devices.core.errors import NotConnectedError
from devices.drivers.xpa import NameServer
from tests.support.debian import program

#: No other ways in: they would be open to other hosts.
QUIET = ("-port", "none", "-unix", "none", "-fifo", "none")


@dataclass(frozen=True)
class RealDs9:
    """It runs.

    Attributes:
        name_server_port: of XPA.
        screen: of Xvfb.
        title: of the ds9.
    """

    name_server_port: int
    screen: str
    title: str

    async def press(self, key: str, x: int, y: int) -> None:
        """Move the mouse to a pixel of the screen and press a key there."""
        await asyncio.to_thread(_press, self.screen, key, x, y)


@contextmanager
def real_ds9(folder: Path, *options: str, title: str = "diptych") -> Iterator[RealDs9]:
    """A ds9 of 700 x 600 pixels; skips without the Debian packages."""
    xvfb, ds9 = program("Xvfb", "xvfb"), program("ds9", "saods9")
    xpans = program("xpans", "xpa-tools")
    port = _free_pair()
    home = folder / "home"
    home.mkdir()
    environment = {
        **os.environ, "HOME": str(home), "XPA_NSINET": f"127.0.0.1:{port}", "XPA_METHOD": "localhost",
    }  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    log = (folder / "ds9.log").open("wb")
    try:
        readable, writable = os.pipe()
        running.append(
            subprocess.Popen(
                [xvfb, "-displayfd", str(writable), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
                pass_fds=[writable],
                stdout=log,
                stderr=log,
            )
        )
        os.close(writable)
        with os.fdopen(readable) as numbers:
            number = numbers.readline().strip()
        assert number, "Xvfb did not start"
        environment["DISPLAY"] = f":{number}"
        # Ours, and no daemon that outlives the test.
        running.append(subprocess.Popen([xpans, "-p", str(port)], env=environment, stdout=log, stderr=log))
        _wait(lambda: _is_open(port), "the name server")
        command = [ds9, "-xpa", "localhost", "-title", title, "-geometry", "700x600", *QUIET, *options]
        running.append(
            subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)  # a shell script
        )
        found = RealDs9(port, environment["DISPLAY"], title)
        _wait(lambda: running[-1].poll() is None and _is_ready(found), "ds9")
        yield found
    finally:
        for process in reversed(running):
            if process.poll() is None:
                group = process.args[0] == ds9  # type: ignore[index]
                (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def _is_ready(found: RealDs9) -> bool:
    """It answers before it has a frame, and would make one more."""

    async def has_frame() -> bool:
        try:
            point = await NameServer(port=found.name_server_port).find(f"DS9:{found.title}")
            return bool((await point.get("frame")).strip())
        except NotConnectedError:
            return False

    return asyncio.run(has_frame())


def _wait(true: object, what: str, seconds: float = 60.0) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not start within {seconds:g} s"
        time.sleep(0.05)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_pair() -> int:
    """The name server takes the port behind its own, too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _press(screen: str, key: str, x: int, y: int) -> None:
    """Through the extension of X for tests."""
    xlib, xtest = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    xlib.XKeysymToKeycode.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
    display = ctypes.c_void_p(xlib.XOpenDisplay(screen.encode()))
    assert display, f"no X server at {screen}"
    code = xlib.XKeysymToKeycode(display, ord(key))
    # Two movements: ds9 looks at the second one for where the cursor is.
    for place in (x - 1, x):
        xtest.XTestFakeMotionEvent(display, -1, place, y, 0)
        xlib.XSync(display, 0)
    for is_down in (1, 0):
        xtest.XTestFakeKeyEvent(display, code, is_down, 0)
    xlib.XSync(display, 0)
    xlib.XCloseDisplay(display)
