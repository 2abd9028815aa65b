"""Run ``diptych up`` on a small facility as a user does, and look at it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

STAND_IN = Path(__file__).with_name("stand_in.py")
CHECKOUT = Path(__file__).parents[2]
DIPTYCH = [sys.executable, "-P", "-m", "servers.main"]
START_SECONDS = 150.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(question: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask until the answer is true, and give it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return answer


def command(*words: object, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One ``diptych`` command."""
    return subprocess.run(
        [*DIPTYCH, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60.0,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
    )


def write_facility(folder: Path, port: int, servers: Sequence[str] = ("heater",), **extra: Any) -> Path:
    """A facility of stand-in servers, each with one device ``test/NAME/1``."""
    path = folder / "bench.json"
    devices = {name: {"StandIn": {f"test/{name}/1": {"properties": {"room": ["B 12"]}}}} for name in servers}
    path.write_text(json.dumps({"servers": {"Diptych": devices}}))
    programs = {name: [sys.executable, str(STAND_IN), name] for name in servers}
    document = {"ports": {"tango": port}, **extra, "programs": {**programs, **extra.get("programs", {})}}
    path.with_suffix(".facility.yaml").write_text(json.dumps(document))  # JSON is YAML
    return path


class Up:
    """A running ``diptych up``."""

    def __init__(self, facility: Path, state_dir: Path, *words: str, environment: Mapping[str, str] | None = None):
        self.state_dir = state_dir
        # As a script's `diptych up &` has it: SIGINT is ignored unless the program wants it.
        ignore_sigint = ["bash", "-c", "trap '' INT; exec \"$@\"", "up"]
        self.output_path = facility.parent / f"{state_dir.name}.out"
        with self.output_path.open("w") as output:
            self.process = subprocess.Popen(
                [*ignore_sigint, *DIPTYCH, "up", str(facility), "--state-dir", str(state_dir), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return any(line.startswith("READY") for line in self.output.splitlines())

        wait_for(ready, START_SECONDS, f"READY\n{self.output}")

    def record(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.state_dir / "facility.json").read_text())
        return document

    def pid(self, name: str) -> int:
        pid: int = self.record()["processes"][name]
        return pid

    def family(self) -> list[psutil.Process]:
        """Every process of its session: the supervisor, its children, and theirs."""
        session = self.process.pid
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.Error):
                if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def end(self) -> None:
        """However the test left it: nothing stays behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15.0)
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(5.0)


@contextlib.contextmanager
def up(facility: Path, state_dir: Path, *words: str, environment: Mapping[str, str] | None = None) -> Iterator[Up]:
    """A facility that is READY, and ended at the end."""
    running = Up(facility, state_dir, *words, environment=environment)
    try:
        running.wait_ready()
        yield running
    finally:
        running.end()


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
