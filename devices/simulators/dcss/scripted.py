"""Scripted operations: a client of DCSS starts them as any other, and Tcl inside of DCSS does the work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

from devices.core.errors import DiptychError
from devices.drivers import dcs_text, tcl_list
from devices.simulators.dcss.core import log
from devices.simulators.dcss.engine import Engine
from devices.simulators.dcss.script import ScriptRunner

COMPLETED: Final = "htos_operation_completed"
#: A text that explains a failure is cut to this length, characters.
MAX_REASON: Final = 200
_START: Final = re.compile(r"^proc\s+(\w+)_start\s", re.MULTILINE)


class ScriptedOperations:
    """The operations NAME whose procedures ``NAME_start`` a text of Tcl has; each run has an interpreter of its own.

    What the procedure returns completes the operation as ``normal``; an error completes it with the first word of its
    text as the status.

    Args:
        say: sends a message as their hardware server.
    Attributes:
        names: of the operations.
    """

    def __init__(self, engine: Engine, text: str, say: Callable[[str], None]) -> None:
        self.names = frozenset(_START.findall(text))
        self._engine, self._text, self._say = engine, text, say
        self._runs: dict[asyncio.Task[None], tuple[str, ScriptRunner]] = {}

    def start(self, name: str, handle: str, arguments: Sequence[str]) -> None:
        """Run one to its end."""

        def update(text: str) -> None:
            self._say(dcs_text.compose("htos_operation_update", (name, handle), text))

        runner = ScriptRunner(self._engine, update)
        task = asyncio.create_task(self._run(runner, name, handle, arguments), name=f"{name} {handle}")
        self._runs[task] = name, runner
        task.add_done_callback(self._runs.pop)

    def end(self, why: str, name: str = "") -> None:
        """Let those of a name, or all, fail where they wait, with this word."""
        for running, runner in self._runs.values():
            if name in ("", running):
                runner.end(why)

    def close(self) -> None:
        """End all at once."""
        for task in self._runs:
            task.cancel()

    async def _run(self, runner: ScriptRunner, name: str, handle: str, arguments: Sequence[str]) -> None:
        try:
            await runner.run(self._text)
            result = await runner.run(tcl_list.join([f"{name}_start", *arguments]))
            message = dcs_text.compose(COMPLETED, (name, handle, "normal"), result)
        except DiptychError as error:
            log.warning("%s has failed: %s", name, error)
            status, _, text = str(error).strip().partition(" ")
            words = (name, handle, status[: dcs_text.MAX_WORD] or "error")
            message = dcs_text.compose(COMPLETED, words, text[:MAX_REASON])
        self._say(message)
