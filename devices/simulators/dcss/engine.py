"""The scripting engine inside a simulated DCSS: starts operations and moves, waits for them, ends what a loss ends."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from devices.core.errors import BadValueError, RefusedError, TimeoutError, UnknownNameError
from devices.drivers import tcl_list
from devices.simulators.dcss.core import Dcss
from devices.simulators.dcss.database import CIRCLES, DcssString, Encoder, IonChamber, Motor, Operation, Shutter

#: The engine is the first client.
ENGINE_ID: Final = 1


@dataclass
class OperationRun:
    """An operation that was started.

    Attributes:
        news: what came and nobody waited for yet: ("update" or the status, the rest); the last is its completion.
        updates: all texts of updates. status: "" while it runs. result: the text of its completion.
        started, ended: time of the loop, s.
    """

    name: str
    handle: str
    host: str
    started: float
    news: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)
    updates: list[str] = field(default_factory=list)
    status: str = ""
    result: str = ""
    ended: float = 0.0


class Engine:
    """Scripts of DCSS act through this; it hears what clients hear."""

    def __init__(self, dcss: Dcss) -> None:
        self.dcss = dcss
        #: Running operations by handle.
        self.runs: dict[str, OperationRun] = {}
        #: Devices that something was asked of which is not over: motors, shutters, strings, encoders, ion chambers.
        self.busy: dict[str, str] = {}
        #: How each device's last activity ended: ``normal``, or the reason.
        self.outcomes: dict[str, str] = {}
        self._count = 0
        self._changed = asyncio.Event()
        dcss.listeners.append(self._hear)

    # Starting

    def start_operation(self, name: str, text: str = "", *, handle: str = "") -> OperationRun:
        """Start an operation; the arguments are one text.

        Args:
            handle: ``CLIENT.COUNT``; "": the engine's own next one.
        Raises:
            UnknownNameError: there is none. RefusedError: its server is offline (``no_hw_host_X``).
        """
        device = self.dcss.devices.get(name)
        if not isinstance(device, Operation):
            raise UnknownNameError(f"there is no operation {name}")
        if not handle:
            self._count += 1
            handle = f"{ENGINE_ID}.{self._count}"
        if device.host not in self.dcss.online:
            raise RefusedError(f"no_hw_host_{device.host}")
        run = OperationRun(name, handle, device.host, asyncio.get_running_loop().time())
        self.runs[handle] = run
        tail = f" {text}" if text else ""
        self.dcss.broadcast(f"stog_start_operation {name} {handle}{tail}")
        self.dcss.to_device(device, f"stoh_start_operation {name} {handle}{tail}")
        return run

    def stop_operation(self, name: str) -> None:
        """Ask an operation to end early."""
        device = self.dcss.devices[name]
        self.dcss.broadcast(f"stog_stop_operation {name}")
        self.dcss.to_device(device, f"stoh_stop_operation {name}")

    def move(self, name: str, target: float) -> str:
        """Start a move; "" or the reason why not: locked, sw_limit, moving, no_hw_host_X."""
        motor = self.dcss.devices.get(name)
        if not isinstance(motor, Motor):
            return "no_such_motor"
        moving = any(getattr(self.dcss.devices.get(each), "moving", False) for each in (name, *motor.children))
        if motor.lock_on:
            return "locked"
        if (motor.upper_on and target > motor.upper) or (motor.lower_on and target < motor.lower):
            return "sw_limit"
        if moving:
            return "moving"
        if motor.circle:
            target = motor.position + (target - motor.position + 180.0) % 360.0 - 180.0
        return self._begin_move(motor, f"stoh_start_motor_move {name} {target:f}")

    def start_oscillation(self, name: str, shutter: str, delta: float, seconds: float) -> str:
        """Turn a motor evenly with a shutter open; "" or the reason why not."""
        motor = self.dcss.devices.get(name)
        if not isinstance(motor, Motor):
            return "no_such_motor"
        if motor.moving:
            return "moving"
        return self._begin_move(motor, f"stoh_start_oscillation {name} {shutter} {delta:f} {seconds:f}")

    def ask(self, name: str, text: str) -> str:
        """Send something that a device completes (a shutter, a string, an encoder); "" or no_hw_host_X."""
        return self._begin(name, text)

    def read_ion_chambers(self, seconds: float, names: Sequence[str], repeat: int = 0) -> str:
        """Count; all chambers are of one server."""
        return self._begin(names[0], f"stoh_read_ion_chambers {seconds:f} {repeat} {' '.join(names)}", *names[1:])

    def abort_all(self, how: str = "soft") -> None:
        """End everything, on every server."""
        for host in list(self.dcss.online):
            self.dcss.to_host(host, f"stoh_abort_all {how}")

    # Waiting

    async def completed(self, run: OperationRun, seconds: float = 30.0) -> OperationRun:
        """Wait until an operation has ended, whatever its status is."""
        await self.until(lambda: bool(run.status), seconds, f"operation {run.name} {run.handle}")
        return run

    async def idle(self, *names: str, seconds: float = 60.0) -> None:
        """Wait until devices are idle.

        Raises:
            RefusedError: the last activity of one ended with another status than normal, which is the text.
        """
        await self.until(lambda: not any(name in self.busy for name in names), seconds, " ".join(names))
        for name in names:
            if (outcome := self.outcomes.get(name, "normal")) != "normal":
                raise RefusedError(outcome)

    async def until(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something that broadcasts bring about.

        Raises:
            TimeoutError: it did not come.
        """
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except builtins.TimeoutError:
            raise TimeoutError(f"{what}: not within {seconds:g} s") from None

    # Hearing

    def _hear(self, text: str) -> None:
        try:
            words = tcl_list.split(text)
        except BadValueError as error:
            self.dcss.violation(f"clients cannot evaluate {text:.200}: {error}")
            words = text.split()
        command, words = words[0], words[1:]
        handle = getattr(self, f"_{command}", None)
        if handle is not None:
            handle(words, text)
        self._changed.set()

    def _stog_operation_update(self, words: list[str], text: str) -> None:
        run = self._run_of(words, "updated")
        if run is not None:
            update = _tail(text, 3)
            run.updates.append(update)
            run.news.put_nowait(("update", update))

    def _stog_operation_completed(self, words: list[str], text: str) -> None:
        run = self._run_of(words, "completed")
        if run is None:
            return
        run.status = words[2] if len(words) > 2 else "unknown"
        run.result = _tail(text, 4)
        run.ended = asyncio.get_running_loop().time()
        run.news.put_nowait((run.status, run.result))
        del self.runs[run.handle]

    def _run_of(self, words: list[str], what: str) -> OperationRun | None:
        run = self.runs.get(words[1]) if len(words) > 1 else None
        if run is None or run.name != words[0]:
            self.dcss.violation(f"{' '.join(words[:2])} is {what}: no such operation runs")
            return None
        return run

    def _stog_motor_move_completed(self, words: list[str], text: str) -> None:
        self._over(words[0], words[2] if len(words) > 2 else "unknown")

    def _stog_report_shutter_state(self, words: list[str], text: str) -> None:
        self._over(words[0], words[2] if len(words) > 2 else "normal")

    def _stog_set_string_completed(self, words: list[str], text: str) -> None:
        self._over(words[0], words[1])

    def _stog_get_encoder_completed(self, words: list[str], text: str) -> None:
        self._over(words[0], words[2] if len(words) > 2 else "normal")

    _stog_set_encoder_completed = _stog_get_encoder_completed

    def _stog_report_ion_chambers(self, words: list[str], text: str) -> None:
        is_good = float(words[0]) > 0.0
        chambers = [word for word in words[1:] if isinstance(self.dcss.devices.get(word), IonChamber)]
        for name in chambers:
            self._over(name, "normal" if is_good else words[-1])

    def _stog_configure_hardware_host(self, words: list[str], text: str) -> None:
        if words[2:] != ["offline"]:
            return
        why, dcss = f"no_hw_host_{words[0]}", self.dcss
        for run in [each for each in self.runs.values() if each.host == words[0]]:
            dcss.broadcast(f"stog_operation_completed {run.name} {run.handle} {why}")
        for device in dcss.database.of_host(words[0]):
            if isinstance(device, Motor) and device.moving:
                device.moving = False
                dcss.broadcast(f"stog_motor_move_completed {device.name} {device.position:f} {why}")
            if device.name not in self.busy:
                continue
            if isinstance(device, Shutter):
                dcss.broadcast(f"stog_report_shutter_state {device.name} {device.state} {why}")
            elif isinstance(device, DcssString):
                dcss.broadcast(f"stog_set_string_completed {device.name} {why} {device.contents}")
            elif isinstance(device, Encoder):
                dcss.broadcast(f"stog_get_encoder_completed {device.name} {device.position:f} {why}")
            elif isinstance(device, IonChamber):
                dcss.broadcast(f"stog_report_ion_chambers 0 {device.name} {why}")

    def _begin_move(self, motor: Motor, text: str) -> str:
        why = self._begin(motor.name, text)
        motor.moving = not why
        return why

    def _begin(self, name: str, text: str, *others: str) -> str:
        device = self.dcss.devices.get(name)
        if device is None:
            return "no_such_device"
        if device.host not in self.dcss.online:
            return f"no_hw_host_{device.host}"
        # Before it is sent: a simulated server answers at once.
        for each in (name, *others):
            self.busy[each] = device.host
            self.outcomes.pop(each, None)
        return self.dcss.to_device(device, text)

    def _over(self, name: str, outcome: str) -> None:
        if self.busy.pop(name, None) is not None:
            self.outcomes[name] = outcome


def _tail(text: str, words: int) -> str:
    """What follows the first words, as it came."""
    parts = text.split(" ", words)
    return parts[words] if len(parts) > words else ""


def circle_value(motor: Motor, position: float) -> float:
    """A position of a circle within its range, degree."""
    low = CIRCLES[motor.circle]
    return (position - low) % 360.0 + low if motor.circle else position
