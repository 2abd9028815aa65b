"""Scripted operations of a simulated DCSS: a small Tcl with the commands that scripts of beamlines use."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Mapping
from typing import Final

from devices.core.errors import DiptychError, RefusedError
from devices.drivers import tcl_list
from devices.simulators.dcss.database import DcssString, IonChamber, Motor
from devices.simulators.dcss.engine import Engine, OperationRun
from devices.simulators.dcss.tcl import Command, Tcl
from devices.simulators.dcss.tcl_parse import TclError

WAIT_S: Final = 600.0
#: Scripts that come with the simulator; the arguments are ``$args``.
BUILTIN: Final[Mapping[str, str]] = {
    # Arguments: how far to turn (degree), how long (s).
    "loopFast": """
        set delta 180.0
        set seconds 3.0
        if {[llength $args] > 0} { set delta [lindex $args 0] }
        if {[llength $args] > 1} { set seconds [lindex $args 1] }
        set handle [start_waitable_operation collectLoopImages 0.2]
        set first [wait_for_operation $handle]
        if {[lindex $first 1] ne "start_oscillation"} { error "unexpected_$first" }
        start_oscillation gonio_phi video_trigger $delta $seconds
        wait_for_devices gonio_phi
        start_operation stopCollectLoopImages
        set rows {}
        while {1} {
            set news [wait_for_operation $handle]
            if {[lindex $news 0] ne "update"} { break }
            if {[lindex $news 1] eq "LOOP_INFO"} { lappend rows [lrange $news 2 end] }
        }
        puts "loopFast: [llength $rows] rows, [lrange $news 1 end]"
        return $rows
    """,
}


class ScriptRunner:
    """Runs one script at a time; several runners may share an engine.

    Args:
        update: is told the texts of ``send_operation_update``.
    """

    def __init__(self, engine: Engine, update: Callable[[str], None] = lambda text: None) -> None:
        self._engine, self._update = engine, update
        self._waiting: asyncio.Task[str] | None = None
        self._ended = ""
        self._runs: dict[str, OperationRun] = {}
        self.tcl = Tcl()
        own: dict[str, Command] = {
            "start_operation": self._start,
            "start_waitable_operation": self._start,
            "wait_for_operation": self._endable(self._wait),
            "wait_for_operation_to_finish": self._endable(self._wait_to_finish),
            "stop_operation": self._stop,
            "move": self._move,
            "start_oscillation": self._oscillate,
            "wait_for_devices": self._endable(self._wait_for_devices),
            "wait_for_string_contents": self._endable(self._wait_for_string),
            "after": self._endable(self.tcl.commands["after"]),
            "set_string_contents": self._set_string,
            "get_string_contents": self._get_string,
            "get_motor_position": self._get_position,
            "open_shutter": self._shutter("open"),
            "close_shutter": self._shutter("closed"),
            "read_ion_chambers": self._read_ion_chambers,
            "get_ion_chamber_counts": self._counts,
            "abort_motor_move": self._abort_move,
            "abort": self._abort,
            "send_operation_update": self._send_update,
            "log_note": self._log("note"),
            "log_warning": self._log("warning"),
            "log_error": self._log("error"),
        }
        self.tcl.commands.update(own)

    async def run(self, script: str, arguments: str = "") -> str:
        """Run a script: the text of one, or the name of one of `BUILTIN`; its result.

        Raises:
            TclError: it failed; the text is a word of DCSS where one of its commands was refused.
        """
        self.tcl.variables["args"] = arguments
        return await self.tcl.run(BUILTIN.get(script.strip(), script))

    def end(self, why: str) -> None:
        """What the script waits for now, or next, fails with this word; it may still leave the beamline in order."""
        self._ended = why
        if self._waiting is not None:
            self._waiting.cancel()

    def _endable(self, command: Command) -> Command:
        async def waiting(words: list[str]) -> str:
            self._waiting = asyncio.ensure_future(command(words))
            if self._ended:
                self._waiting.cancel()
            try:
                return await self._waiting
            except asyncio.CancelledError:
                why, self._ended = self._ended, ""
                if not why:
                    raise
                raise TclError(why) from None
            finally:
                self._waiting = None

        return waiting

    async def _start(self, words: list[str]) -> str:
        try:
            run = self._engine.start_operation(words[0], tcl_list.join(words[1:]))
        except DiptychError as error:
            raise TclError(str(error)) from None
        self._runs[run.handle] = run
        return run.handle

    async def _wait(self, words: list[str]) -> str:
        run = self._runs.get(words[0])
        if run is None:
            raise TclError(f"no such operation {words[0]}")
        try:
            kind, text = await asyncio.wait_for(run.news.get(), WAIT_S)
        except builtins.TimeoutError:
            raise TclError(f"{run.name} {run.handle}: nothing within {WAIT_S:g} s") from None
        if kind == "update":
            return f"update {text}"
        del self._runs[run.handle]
        if kind != "normal":
            raise TclError(f"{kind} {text}".strip())
        return f"normal {text}".strip()

    async def _wait_to_finish(self, words: list[str]) -> str:
        while (news := await self._wait(words)).startswith("update "):
            pass
        return news

    async def _stop(self, words: list[str]) -> str:
        self._engine.stop_operation(words[0])
        return ""

    async def _move(self, words: list[str]) -> str:
        # move gonio_phi to 90.0 deg; move gonio_phi by -5
        name, how, amount = words[:3]
        motor = self._motor(name)
        if how not in ("to", "by"):
            raise TclError(f"move {name} {how}: neither to nor by")
        self._need(self._engine.move(name, float(amount) + (motor.position if how == "by" else 0.0)))
        return ""

    async def _oscillate(self, words: list[str]) -> str:
        self._need(self._engine.start_oscillation(words[0], words[1], float(words[2]), float(words[3])))
        return ""

    async def _wait_for_devices(self, words: list[str]) -> str:
        try:
            await self._engine.idle(*words, seconds=WAIT_S)
        except RefusedError as error:
            raise TclError(str(error)) from None
        return ""

    async def _wait_for_string(self, words: list[str]) -> str:
        # wait_for_string_contents detectorStatus READY ?index of the word?
        name, wanted = words[:2]

        def has_come() -> bool:
            contents = self._contents(name)
            if len(words) < 3:
                return contents == wanted
            return wanted in tcl_list.split(contents)[int(words[2]) :][:1]

        await self._engine.until(has_come, WAIT_S, f"{name} {wanted}")
        return self._contents(name)

    async def _set_string(self, words: list[str]) -> str:
        self._need(self._engine.ask(words[0], f"stoh_set_string {words[0]} {' '.join(words[1:])}"))
        return ""

    async def _get_string(self, words: list[str]) -> str:
        return self._contents(words[0])

    async def _get_position(self, words: list[str]) -> str:
        return f"{self._motor(words[0]).position:f}"

    async def _read_ion_chambers(self, words: list[str]) -> str:
        # read_ion_chambers 0.1 i0 i1; then wait_for_devices i0 i1
        self._need(self._engine.read_ion_chambers(float(words[0]), words[1:]))
        return ""

    async def _counts(self, words: list[str]) -> str:
        counts = []
        for name in words:
            chamber = self._engine.dcss.devices.get(name)
            if not isinstance(chamber, IonChamber):
                raise TclError(f"no such ion chamber {name}")
            counts.append(f"{chamber.counts:f}")
        return " ".join(counts)

    async def _abort_move(self, words: list[str]) -> str:
        # Not as something to wait for: a motor that stands does not answer.
        self._need(self._engine.dcss.to_device(self._motor(words[0]), f"stoh_abort_motor_move {words[0]}"))
        return ""

    async def _send_update(self, words: list[str]) -> str:
        self._update(" ".join(words))
        return ""

    async def _abort(self, words: list[str]) -> str:
        self._engine.abort_all(words[0] if words else "soft")
        return ""

    def _shutter(self, state: str) -> Command:
        async def command(words: list[str]) -> str:
            self._need(self._engine.ask(words[0], f"stoh_set_shutter_state {words[0]} {state}"))
            return ""

        return command

    def _log(self, level: str) -> Command:
        async def command(words: list[str]) -> str:
            self._engine.dcss.broadcast(f"stog_log {level} self {' '.join(words)}")
            return ""

        return command

    def _motor(self, name: str) -> Motor:
        motor = self._engine.dcss.devices.get(name)
        if not isinstance(motor, Motor):
            raise TclError(f"no such motor {name}")
        return motor

    def _contents(self, name: str) -> str:
        device = self._engine.dcss.devices.get(name)
        if not isinstance(device, DcssString):
            raise TclError(f"no such string {name}")
        return device.contents

    def _need(self, why: str) -> None:
        if why:
            raise TclError(why)
