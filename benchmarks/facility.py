"""How long a whole facility takes from the command to READY, each time with a state directory of its own."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure
from tests.support.demo_facility import free_offset
from tests.support.serving import ROOT

FACILITY = "dbconfig/demo.json"
ROUNDS = 3
READY_SECONDS = 20.0


def run() -> list[Figure]:
    """The seconds from ``diptych up`` to READY."""
    seconds = statistics.median(_seconds_to_ready() for _ in range(ROUNDS))
    return [Figure(f"diptych up {FACILITY} to READY", seconds, "s", below=READY_SECONDS)]


def _seconds_to_ready() -> float:
    diptych = Path(sys.executable).with_name("diptych")
    with tempfile.TemporaryDirectory() as state_dir:
        ports = ["--port-offset", str(free_offset())]
        began = time.perf_counter()
        process = subprocess.Popen(
            [diptych, "up", FACILITY, "--state-dir", state_dir, *ports],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                if line.startswith("READY"):
                    return time.perf_counter() - began
                said.append(line)
            raise AssertionError(f"no READY: {''.join(said)}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30.0)
