"""A systemd of a test's own: a user manager with its own units, sockets and cgroups, in a mount namespace.

It sees no unit of the machine; everything that it started ends with the block.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.facility.running import wait_for

PROGRAM = Path("/lib/systemd/systemd")
# Beside these no unit of the system is there; systemd wants each of them.
_BARE = ("default", "basic", "sysinit", "shutdown", "exit", "network-online", "multi-user")


class Systemd:
    """A running manager; ``units`` is the folder that it reads."""

    def __init__(self, folder: Path) -> None:
        self.units, self.log, self._run = folder / "units", folder / "systemd.log", folder / "run"
        self._environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self._run),
            "SYSTEMD_UNIT_PATH": str(self.units),
            "SYSTEMD_LOG_TARGET": "console",
        }

    def start(self) -> subprocess.Popen[bytes]:
        self.units.mkdir(parents=True)
        self._run.mkdir(mode=0o700)
        for name in _BARE:
            (self.units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
        # The manager looks into /run to see whether systemd has booted the machine.
        script = f"mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec {PROGRAM} --user"
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log, env=self._environment
            )
        wait_for(lambda: self._control("list-units").returncode == 0, 30.0, f"systemd\n{self.log.read_text()}")
        return process

    def systemctl(self, *words: str) -> str:
        done = self._control(*words)
        assert done.returncode == 0, (words, done.stderr, self.log.read_text())
        return done.stdout.strip()

    def _control(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", "--user", "--no-pager", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60.0, env=self._environment)

    def complaints(self, unit: str) -> str:
        """What systemd-analyze has to say against a unit and those that it wants."""
        command = ["systemd-analyze", "verify", "--user", "--man=no", str(self.units / unit)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, env=self._environment)
        return done.stderr.strip()

    def figure(self, unit: str, name: str) -> str:
        """A property of a unit, such as MainPID."""
        return self.systemctl("show", unit, "--property", name, "--value")


@contextmanager
def running_systemd(folder: Path) -> Iterator[Systemd]:
    """Skips the test where systemd cannot run so; fails there when CI says that it has all."""
    reasons = [
        *([] if PROGRAM.exists() and shutil.which("unshare") else ["systemd is not installed"]),
        *([] if os.geteuid() == 0 else ["a mount namespace needs root"]),
    ]
    if reasons:
        assert not (os.environ.get("CI") and os.geteuid() == 0), reasons
        pytest.skip(", ".join(reasons))
    manager = Systemd(folder)
    process = manager.start()
    try:
        yield manager
    finally:
        process.terminate()  # it stops all units first
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
