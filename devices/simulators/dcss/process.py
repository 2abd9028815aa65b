"""A simulated DCSS as a process of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from devices.core.errors import ConfigurationError, DiptychError
from devices.drivers.limited_file import read_limited
from devices.simulators.dcss.control import Control
from devices.simulators.dcss.database import MAX_FILE_BYTES, Database
from devices.simulators.dcss.script import BUILTIN, ScriptRunner
from devices.simulators.dcss.simulator import DcssSimulator

log = logging.getLogger("diptych.simulators.dcss")


@dataclass(frozen=True)
class DcssOptions:
    """What can be chosen.

    Args:
        database: YAML or JSON file of hosts and devices; empty: the built-in example.
        gui: ``new`` or ``old`` core of the client port.
        staff: users who may redefine devices, parted by commas; empty: all.
        script: name of a built-in script or a file; empty: none. arguments: of it.
        every_s: how often it is run, s; 0: once, when ``wait_for`` is online.
        wait_for: hardware servers, parted by commas, that the script needs.
    """

    database: str = ""
    gui: str = "new"
    staff: str = ""
    script: str = ""
    arguments: str = ""
    every_s: float = 0.0
    wait_for: str = ""

    @classmethod
    def of(cls, options: Mapping[str, object]) -> DcssOptions:
        """From options of a facility file or a command line.

        Raises:
            ConfigurationError: wrong options, all of them.
        """
        problems = [f"unknown option {name}" for name in options.keys() - {each.name for each in fields(cls)}]
        values: dict[str, object] = {}
        for name, given in options.items():
            if name != "every_s":
                values[name] = str(given)
                continue
            try:
                values[name] = float(str(given))
            except ValueError:
                problems.append(f"every_s = {given} is not a number")
        if values.get("gui", "new") not in ("new", "old"):
            problems.append(f"gui = {values['gui']} is neither new nor old")
        if problems:
            raise ConfigurationError("simulator dcss", problems)
        return cls(**values)  # type: ignore[arg-type]


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        port: of hardware servers; clients have the next one, the control (JSON lines, see `Control`) the one behind it.
        options: as `DcssOptions` has them.
    Raises:
        ConfigurationError: wrong options, or a wrong database. BadValueError: a script that cannot be read.
        OSError: a port is taken.
    """
    chosen = DcssOptions.of(options)
    script = chosen.script
    if script and script not in BUILTIN:
        script = read_limited(script, MAX_FILE_BYTES).decode("utf-8", "replace")
    simulator = DcssSimulator(
        Database.read(Path(chosen.database) if chosen.database else None), gui=chosen.gui, staff=_names(chosen.staff)
    )
    control = Control(simulator)
    try:
        await simulator.start(port, port and port + 1)
        await control.start(port and port + 2)
        log.info("hardware port %d, client port %d, control port %d", simulator.port, simulator.gui_port, control.port)
        if script:
            await _repeat(simulator, script, chosen)
        await asyncio.Event().wait()
    finally:
        control.stop()
        await simulator.stop()


async def _repeat(simulator: DcssSimulator, script: str, chosen: DcssOptions) -> None:
    """Run a script again and again, whatever becomes of each run."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        try:
            for name in _names(chosen.wait_for):
                await simulator.online(name, 1e9)
            result = await ScriptRunner(simulator.engine).run(script, chosen.arguments)
            log.info("script ended: %.200s", result)
        except DiptychError as error:
            log.warning("script failed: %s", error)
        if not chosen.every_s:
            return
        due = max(due + chosen.every_s, loop.time())
        await asyncio.sleep(due - loop.time())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
