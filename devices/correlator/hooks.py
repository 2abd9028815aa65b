"""Triggers: programs of the site that are told of candidates, each within a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shlex
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from devices.core.errors import BadValueError
from devices.pipelines.candidates.candidate import Candidate

log = logging.getLogger("diptych.correlator")

FUNCTION: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
RUN_FUNCTION: Final = (
    "import importlib, json, sys; module, _, name = sys.argv[1].partition(':'); "
    "getattr(importlib.import_module(module), name)(json.load(sys.stdin))"
)
MOST_WAITING: Final = 32
MOST_SAID: Final = 500


@dataclass(frozen=True)
class Hook:
    """A program that gets a candidate as JSON on its standard input.

    Attributes:
        text: as the property has it.
        arguments: the program and its arguments; no shell reads them.
    """

    text: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Hook:
        """A hook by its line: ``program: /path/to/program --option`` or ``python: package.module:function``.

        Raises:
            BadValueError: it is neither, or the program's path is not absolute.
        """
        kind, colon, rest = (part.strip() for part in text.partition(":"))
        if kind == "python" and FUNCTION.fullmatch(rest):
            return cls(text, (sys.executable, "-c", RUN_FUNCTION, rest))
        if kind == "program" and colon:
            try:
                arguments = tuple(shlex.split(rest))
            except ValueError as error:
                raise BadValueError(f"{text!r}: {error}") from error
            if arguments and os.path.isabs(arguments[0]):
                return cls(text, arguments)
        raise BadValueError(f"{text!r} is neither 'program: /absolute/path ARGUMENT...' nor 'python: module:function'")


def hooks_of(lines: tuple[str, ...]) -> tuple[Hook, ...]:
    """The hooks of all lines that are not empty; raises BadValueError."""
    return tuple(Hook.parse(line) for line in lines if line.strip())


class Hooks:
    """The hooks of a server, run one candidate after the other, beside the search.

    Args:
        limit_s: a program that has not ended by then is killed.
    """

    def __init__(self, hooks: tuple[Hook, ...], limit_s: float) -> None:
        self._hooks, self._limit_s = hooks, limit_s
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.told = self.failed = self.dropped = 0
        self.problem = ""

    def start(self) -> None:
        if self._hooks:
            self._task = asyncio.create_task(self._run(), name="hooks")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def tell(self, candidate: Candidate, **more: Any) -> None:
        """Tell all hooks of a candidate; never waits."""
        if not self._hooks:
            return
        try:
            self._waiting.put_nowait({**asdict(candidate), **more})
        except asyncio.QueueFull:
            self.dropped += 1
            self.problem = f"{candidate.name} is not told to hooks: {MOST_WAITING} candidates wait"
            log.error("%s", self.problem)

    async def _run(self) -> None:
        while True:
            content = await self._waiting.get()
            # NaN is no JSON.
            plain = {key: None if value != value else value for key, value in content.items()}
            text = json.dumps(plain).encode()
            for hook in self._hooks:
                try:
                    await self._run_one(hook, text)
                    self.told += 1
                except (OSError, BadValueError) as error:
                    self.failed += 1
                    self.problem = f"{hook.text} for {content['name']}: {error}"
                    log.error("hook %s", self.problem)

    async def _run_one(self, hook: Hook, text: bytes) -> None:
        process = await asyncio.create_subprocess_exec(
            *hook.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(text), self._limit_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its children
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise BadValueError(f"did not end within {self._limit_s:g} s") from None
        if process.returncode:
            last = said.decode(errors="replace").strip()[-MOST_SAID:]
            raise BadValueError(f"ended with {process.returncode}: {last}")
