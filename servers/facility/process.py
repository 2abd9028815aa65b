"""One child process of a facility: started, logged, started again when it ends, stopped with everything it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from servers.facility.leash import FD_VARIABLE
from servers.facility.log_file import LogFile

# Waits before the 1st, 2nd, ... start in a row; a process that lived 10 s begins anew. Back within 5 s even at the end.
BACK_OFF_SECONDS: Final = (0.0, 0.3, 0.6, 1.2, 2.5)
SETTLED_SECONDS: Final = 10.0

PYTHON: Final = (sys.executable, "-P", "-m")


@dataclass(frozen=True)
class Program:
    """A command line with a name; ``ours`` means that it attaches to the leash by itself."""

    name: str
    command: Sequence[str]
    ours: bool = True

    @property
    def argv(self) -> list[str]:
        return [*self.command] if self.ours else [*PYTHON, "servers.facility.leash", *self.command]


class Process:
    """A program that is kept running.

    Args:
        program: what to run.
        environment: its whole environment.
        log: where its stdout and stderr go.
        leash_fd: the reading end of the supervisor's pipe.
        announce: called with one line when the process ends unexpectedly or is started again.
        on_start: called after each start.
    """

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        log: LogFile,
        leash_fd: int,
        announce: Callable[[str], None],
        on_start: Callable[[Process], None] = lambda process: None,
    ) -> None:
        self.program = program
        self.starts = 0
        self.held_back = asyncio.Event()
        self.held_back.set()
        self._environment = {**environment, FD_VARIABLE: str(leash_fd)}
        self.log = log
        self._leash_fd = leash_fd
        self._announce = announce
        self._on_start = on_start
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The pid while the process lives."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def keep_running(self) -> None:
        """Start the process, and again whenever it ends, until `stop`."""
        failures = 0
        while not self._stopping:
            await self.held_back.wait()
            if self._stopping:
                return
            started = time.monotonic()
            child = await self._start()
            if self._stopping:  # it was asked for while the child was being made
                self._end_group(child.pid)
            code = await child.wait()
            self._end_group(child.pid)
            if self._stopping or not self.held_back.is_set():
                continue
            failures = 0 if time.monotonic() - started > SETTLED_SECONDS else failures + 1
            delay = BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]
            last = self.log.last_line()
            self._announce(
                f"{self.name} {ending(code)}{f': {last}' if last and code > 0 else ''}; starts again"
                + (f" in {delay:g} s (log: {self.log.path})" if delay else "")
            )
            await asyncio.sleep(delay)

    async def stop(self, seconds: float) -> None:
        """End the process: SIGTERM, and SIGKILL to its whole group when it is still there after ``seconds``."""
        self._stopping = True
        self.held_back.set()
        await self.end(seconds)

    async def end(self, seconds: float) -> None:
        """End the present process only; `keep_running` starts the next one unless it is held back."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), seconds)
        except TimeoutError:
            self._announce(f"{self.name} did not end within {seconds:g} s and is killed")
        self._end_group(child.pid)

    def kill(self) -> None:
        """SIGKILL to the whole group, at once."""
        self._stopping = True
        if self.pid is not None:
            self._end_group(self.pid)

    async def _start(self) -> asyncio.subprocess.Process:
        with self.log.path.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *self.program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                pass_fds=(self._leash_fd,),
                # Ctrl-C reaches the foreground process group; only the supervisor decides in which order things end.
                process_group=0,
            )
        self.starts += 1
        self._child = child
        self._on_start(self)
        return child

    @staticmethod
    def _end_group(pid: int) -> None:
        """What the process started (pools, helpers) is in its group and ends with it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
