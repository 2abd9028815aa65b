"""The demo facility, started and ended as a user does, on shifted ports and with its own state directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from servers.facility.ports import DEFAULT_PORTS
from tests.support.serving import ROOT, wait_until

BIN = Path(sys.executable).parent
START_SECONDS = 240.0  # nine servers import large libraries; other tests may have the processors meanwhile
CLAIM = 4998  # a port that no service has
SERVICES = ("tango", "ca", "ca_repeater", "ca_images", "pva", "pva_broadcast", "pva_images", "panels")
PORTS = (5000, 5001, *(DEFAULT_PORTS[service] for service in SERVICES))  # the first two are the simulator's
_claims: list[socket.socket] = []


def free_offset() -> int:
    """A shift of all ports that this process alone has, at which none of those that a facility binds is taken now.

    All ports stay below those that the system gives to clients and to port 0.
    """
    for offset in range(11000, 22700, 61):  # no two ports of a facility are a multiple of this apart
        claim = socket.socket()
        try:
            # Kept until this process ends: a facility binds its ports seconds later, and others look meanwhile.
            claim.bind(("127.0.0.1", CLAIM + offset))
            for port in PORTS:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", port + offset))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return offset
    raise AssertionError("no free ports")


@dataclass
class Facility:
    process: subprocess.Popen[bytes]
    offset: int
    state_dir: Path
    output: Path
    environment: dict[str, str]

    def run(self, *words: str, seconds: float = 40.0) -> subprocess.CompletedProcess[str]:
        """A command as somebody types it in a second shell, after ``eval "$(diptych env)"``."""
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]], env=self.environment, capture_output=True, text=True, timeout=seconds
        )

    def get(self, pv: str) -> str:
        """What ``caproto-get`` prints as the value."""
        done = self.run("caproto-get", "-w", "10", "--terse", "-S", pv)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """The one child whose command line has all these words."""
        found = [each for each in self.children() if all(word in each.cmdline() for word in words)]
        assert len(found) == 1, [each.cmdline() for each in self.children()]
        return found[0]


def started(state_dir: Path, offset: int, *words: str, file: Path = ROOT / "dbconfig" / "demo.json") -> Facility:
    """``diptych up`` of a facility file, with further options, READY."""
    state_dir.mkdir(parents=True, exist_ok=True)
    output = state_dir / "up.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [
                str(BIN / "diptych"),
                "up",
                str(file),
                "--state-dir",
                str(state_dir),
                "--port-offset",
                str(offset),
                *words,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},  # for devices that only tests and benchmarks have
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "READY" not in (printed := output.read_text()):
            assert process.poll() is None, f"diptych up has ended:\n{printed}"
            assert time.monotonic() < deadline, f"not READY within {START_SECONDS:g} s:\n{printed}"
            time.sleep(0.05)
        words = [str(BIN / "diptych"), "env", "--state-dir", str(state_dir)]
        lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        shell = [
            "bash",
            "-c",
            f"{lines}\nexec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'",
        ]
        environment = json.loads(subprocess.run(shell, capture_output=True, text=True, check=True).stdout)
    except BaseException:
        process.kill()
        raise
    return Facility(process, offset, state_dir, output, environment)


def stopped(facility: Facility, number: int = signal.SIGINT) -> float:
    """End the facility with a signal; nothing may be left. The seconds it took."""
    children = facility.children()
    began = time.monotonic()
    facility.process.send_signal(number)
    facility.process.wait(20.0)
    seconds = time.monotonic() - began
    wait_until(lambda: not any(each.is_running() for each in children), 5.0, "no process is left")
    return seconds
