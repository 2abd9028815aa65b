"""The control port of a simulated DCSS: one JSON object a line each way, for faults, scripts and what has happened.

``{"do": "drop", "name": "loop", "how": "reset"}`` -> ``{"done": null}``; what is wrong -> ``{"error": "..."}``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from devices.core.errors import BadValueError, DiptychError
from devices.simulators.dcss.database import Motor
from devices.simulators.dcss.script import ScriptRunner
from devices.simulators.dcss.simulator import DcssSimulator

LONGEST: Final = 65536


class Control:
    """Does what lines of JSON ask for.

    ``faults`` sets `Faults`; ``drop`` ends connections (``name``, ``how``: close, reset); ``away`` is dead for
    ``seconds``; ``start`` runs ``operation`` with ``text`` to its end; ``script`` runs ``text`` (or a built-in one by
    name) with ``arguments``; ``move`` starts ``motor`` to ``position``; ``abort`` (``how``); ``state`` tells what there
    is.
    """

    def __init__(self, simulator: DcssSimulator) -> None:
        self._simulator = simulator
        self._server: asyncio.Server | None = None
        self._does: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "faults": self._faults,
            "drop": self._drop,
            "away": self._away,
            "start": self._start,
            "script": self._script,
            "move": self._move,
            "abort": self._abort,
            "state": self._state,
        }

    async def start(self, port: int, host: str = "127.0.0.1") -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LONGEST)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def do(self, line: str | bytes) -> dict[str, Any]:
        """Do what one line asks for; ``done`` or ``error``."""
        try:
            asked = json.loads(line)
            if not isinstance(asked, dict) or asked.get("do") not in self._does:
                raise BadValueError(f"do is none of {', '.join(self._does)}")
            return {"done": await self._does[asked.pop("do")](**asked)}
        except (DiptychError, ValueError, TypeError) as error:
            return {"error": str(error)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self.do(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # gone, or a line without end
        except asyncio.CancelledError:
            pass  # the simulator ends
        finally:
            writer.close()

    async def _faults(self, **values: Any) -> dict[str, Any]:
        hardware = self._simulator.hardware
        try:
            hardware.faults = dataclasses.replace(hardware.faults, **values)
        except TypeError as error:
            raise BadValueError(str(error)) from None
        return dataclasses.asdict(hardware.faults)

    async def _drop(self, name: str = "", how: str = "close") -> None:
        self._simulator.hardware.drop(name, how)

    async def _away(self, seconds: float, how: str = "close") -> None:
        await self._simulator.hardware.away(seconds, how)

    async def _start(self, operation: str, text: str = "", seconds: float = 60.0) -> dict[str, Any]:
        engine = self._simulator.engine
        run = await engine.completed(engine.start_operation(operation, text), seconds)
        return {"handle": run.handle, "status": run.status, "result": run.result, "updates": run.updates}

    async def _script(self, text: str, arguments: str = "") -> str:
        return await ScriptRunner(self._simulator.engine).run(text, arguments)

    async def _move(self, motor: str, position: float) -> str:
        return self._simulator.engine.move(motor, position)

    async def _abort(self, how: str = "soft") -> None:
        self._simulator.engine.abort_all(how)

    async def _state(self) -> dict[str, Any]:
        dcss = self._simulator.dcss
        return {
            "online": sorted(dcss.online),
            "running": {run.handle: run.name for run in self._simulator.engine.runs.values()},
            "moving": [each.name for each in dcss.devices.values() if isinstance(each, Motor) and each.moving],
            "devices": {each.name: each.configuration for each in dcss.devices.values() if each.configuration},
            "violations": dcss.violations[-100:],
            "unrecognized": dcss.unrecognized[-100:],
            "refused": self._simulator.hardware.refused[-100:],
        }
