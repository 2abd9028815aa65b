"""A hardware server that a simulated DCSS plays itself: motors turn, shutters open, chambers count, strings stay.

Its operations are scripted, or give their arguments back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from devices.core.errors import BadValueError
from devices.drivers import tcl_list
from devices.simulators.dcss.core import Dcss, HostClient, log
from devices.simulators.dcss.database import DcssString, Encoder, Host, Motor, RealMotor, Shutter
from devices.simulators.dcss.engine import Engine
from devices.simulators.dcss.hardware_messages import HardwareMessages
from devices.simulators.dcss.scripted import ScriptedOperations

TICK_S: Final = 0.1
COUNTS_PER_S: Final = 10_000.0


class InnerServer(HostClient):
    """Answers for all devices of one host."""

    def __init__(self, dcss: Dcss, engine: Engine, host: Host) -> None:
        self.name = host.name
        self._dcss = dcss
        self._messages = HardwareMessages(dcss)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._scripted = ScriptedOperations(engine, host.scripts, self._say)

    def send(self, text: str) -> None:
        try:
            command, *words = tcl_list.split(text)
        except BadValueError as error:
            log.warning("%s: %s", self.name, error)
            return
        act: Callable[[list[str]], None] | None = getattr(self, f"_{command}", None)
        if act is not None:
            # Behind who asks, as over a wire.
            asyncio.get_running_loop().call_soon(act, words)

    def close(self) -> None:
        """End everything."""
        self._scripted.close()
        self._end_motion()

    def _end_motion(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _say(self, text: str) -> None:
        self._messages.take(self.name, text, b"")

    def _keep(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work)

    def _stoh_start_operation(self, words: list[str]) -> None:
        name, handle, *arguments = words
        if name in self._scripted.names:
            self._scripted.start(name, handle, arguments)
            return
        self._say(" ".join(["htos_operation_completed", name, handle, "normal", tcl_list.join(arguments)]).strip())

    def _stoh_stop_operation(self, words: list[str]) -> None:
        self._scripted.end("stopped", words[0])

    def _stoh_start_motor_move(self, words: list[str]) -> None:
        motor, target = self._motor(words[0]), float(words[1])
        speed = motor.speed / motor.scale if isinstance(motor, RealMotor) and motor.scale else 100.0
        self._keep(motor.name, self._go(motor, target, abs(target - motor.position) / abs(speed or 1.0)))

    def _stoh_start_oscillation(self, words: list[str]) -> None:
        self._keep(words[0], self._oscillate(self._motor(words[0]), words[1], float(words[2]), float(words[3])))

    def _stoh_abort_motor_move(self, words: list[str]) -> None:
        if task := self._tasks.get(words[0]):
            task.cancel()

    def _stoh_abort_all(self, words: list[str]) -> None:
        self._end_motion()
        self._scripted.end("aborted")

    def _stoh_set_motor_position(self, words: list[str]) -> None:
        self._say(f"htos_update_motor_position {words[0]} {float(words[1]):f} normal")

    def _stoh_set_shutter_state(self, words: list[str]) -> None:
        self._say(f"htos_report_shutter_state {words[0]} {words[1]} normal")

    def _stoh_register_shutter(self, words: list[str]) -> None:
        device = self._dcss.devices[words[0]]
        if isinstance(device, Shutter):
            self._say(f"htos_report_shutter_state {device.name} {device.state}")

    def _stoh_read_ion_chambers(self, words: list[str]) -> None:
        self._keep("counting", self._count(float(words[0]), words[2:]))

    def _stoh_set_string(self, words: list[str]) -> None:
        if isinstance(self._dcss.devices.get(words[0]), DcssString):
            self._say(f"htos_set_string_completed {words[0]} normal {tcl_list.join(words[1:])}")

    def _stoh_get_encoder(self, words: list[str]) -> None:
        device = self._dcss.devices.get(words[0])
        if isinstance(device, Encoder):
            self._say(f"htos_get_encoder_completed {device.name} {device.position:f} normal")

    def _stoh_set_encoder(self, words: list[str]) -> None:
        self._say(f"htos_set_encoder_completed {words[0]} {float(words[1]):f} normal")

    async def _count(self, seconds: float, names: list[str]) -> None:
        await asyncio.sleep(seconds)
        counts = " ".join(f"{name} {COUNTS_PER_S * seconds:f}" for name in names)
        self._say(f"htos_report_ion_chambers {seconds:f} {counts}")

    async def _oscillate(self, motor: Motor, shutter: str, delta: float, seconds: float) -> None:
        self._say(f"htos_report_shutter_state {shutter} open")
        await self._go(motor, motor.position + delta, seconds, f"htos_report_shutter_state {shutter} closed")

    async def _go(self, motor: Motor, target: float, seconds: float, before_end: str = "") -> None:
        loop, start = asyncio.get_running_loop(), motor.position
        began, status = loop.time(), "normal"
        self._say(f"htos_motor_move_started {motor.name} {target:f}")
        try:
            while (left := began + seconds - loop.time()) > 0.0:
                await asyncio.sleep(min(TICK_S, left))
                part = min(1.0, (loop.time() - began) / seconds)
                self._say(f"htos_update_motor_position {motor.name} {start + (target - start) * part:f} normal")
            motor.position = target
        except asyncio.CancelledError:
            status = "aborted"
        if before_end:
            self._say(before_end)
        self._say(f"htos_motor_move_completed {motor.name} {motor.position:f} {status}")

    def _motor(self, name: str) -> Motor:
        motor = self._dcss.devices[name]
        assert isinstance(motor, Motor), name
        return motor
