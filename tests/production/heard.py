"""What a program on another host says, line by line, and a Channel Access client that says what it hears."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field

#: Prints `value VALUE SEVERITY SECONDS`, `connected` or `gone` for a PV; seconds of the monotonic clock.
WATCH = """
import sys, time, epics
def hear(value=None, severity=None, **_):
    print("value", value, severity, time.monotonic(), flush=True)
def connection(conn=None, **_):
    print("connected" if conn else "gone", 0, 0, time.monotonic(), flush=True)
pv = epics.PV(sys.argv[1], form="time", callback=hear, connection_callback=connection)
while True:
    time.sleep(1.0)
"""


@dataclass
class Heard:
    """The lines that a process prints, as words, read as they come."""

    process: subprocess.Popen[str]
    lines: list[list[str]] = field(default_factory=list)
    _rest: str = ""

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def words(self) -> list[list[str]]:
        assert self.process.stdout is not None
        with contextlib.suppress(TypeError):  # nothing there
            self._rest += self.process.stdout.read() or ""
        *whole, self._rest = self._rest.split("\n")
        self.lines += [words for line in whole if (words := line.split())]
        return self.lines

    def until(self, value: float, severity: int = 0, seconds: float = 100.0) -> float:
        """Wait for a value of the client, and return when it was heard, s of the monotonic clock of all namespaces."""
        deadline, wanted = time.monotonic() + seconds, ["value", str(value), str(severity)]
        while not (found := [words for words in self.words()[-3:] if words[:3] == wanted]):
            assert time.monotonic() < deadline, f"{value}, severity {severity}: not heard, but {self.lines[-5:]}"
            time.sleep(0.02)
        return float(found[-1][3])
