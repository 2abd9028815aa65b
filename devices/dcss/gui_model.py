"""What DCSS tells its clients: every device with its values, servers, who is master, and how things ended."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from devices.core.errors import BadValueError
from devices.dcss.motor_configuration import MotorConfiguration
from devices.drivers import tcl_list

log = logging.getLogger(__name__)

LOG_LINES: Final = 100


@dataclass
class DcssDevice:
    """A device of DCSS, as its clients know it.

    Attributes:
        kind: ``real_motor``, ``shutter`` ... host: the hardware server that has it.
        value: position, open or closed, text, counts. status: how the last thing ended.
        lower, upper: limits where they count.
    """

    name: str
    kind: str
    host: str
    value: Any = None
    is_moving: bool = False
    status: str = ""
    unit: str = ""
    lower: float | None = None
    upper: float | None = None


@dataclass
class OperationEnd:
    """An operation that was started here."""

    updates: list[str] = field(default_factory=list)
    done: asyncio.Future[tuple[str, str]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class DcssModel:
    """Keeps what DCSS says; ``take`` gets every message.

    Args:
        changed: called with a device that has news.
        updated: called with the handle and the text of each update of an operation.
    Attributes:
        hosts: hardware server -> online or offline. log: the newest lines, oldest first.
    """

    def __init__(self, changed: Callable[[DcssDevice], None], updated: Callable[[str, str], None]) -> None:
        self._changed, self._updated = changed, updated
        self.devices: dict[str, DcssDevice] = {}
        self.hosts: dict[str, str] = {}
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.is_master = self.is_staff = self.is_complete = False
        self._ends: dict[str, list[asyncio.Future[str]]] = {}
        self._begins: dict[str, list[asyncio.Future[str]]] = {}
        self._operations: dict[str, OperationEnd] = {}

    def end_of(self, name: str) -> asyncio.Future[str]:
        """The status with which what runs at a device ends next."""
        return self._wait(self._ends, name)

    def begin_of(self, name: str) -> asyncio.Future[str]:
        """``started``, or the status with which a move was refused."""
        return self._wait(self._begins, name)

    def operation(self, handle: str) -> OperationEnd:
        """What becomes of an operation that is about to be started."""
        return self._operations.setdefault(handle, OperationEnd())

    def forget(self, handle: str) -> None:
        """Nobody waits for it any more."""
        self._operations.pop(handle, None)

    def rows(self) -> list[dict[str, Any]]:
        """All devices, for a table."""
        return [
            asdict(device) | {"online": self.hosts.get(device.host) == "online"} for device in self.devices.values()
        ]

    def take(self, text: str) -> None:
        """A message of DCSS."""
        command, _, rest = text.partition(" ")
        try:
            words = tcl_list.split(rest)
        except BadValueError:
            words = rest.split()
        name = command.removeprefix("stog_")
        try:
            if name.startswith("configure_") and len(words) > 1:
                self._configure(name.removeprefix("configure_"), words, rest)
            elif (act := _MESSAGES.get(name)) is not None:
                act(self, words, rest)
        except (IndexError, BadValueError) as error:  # the link goes on: what follows is understood again
            log.warning("DCSS says what cannot be understood: %.200s (%s)", text, error)

    def _wait(self, table: dict[str, list[asyncio.Future[str]]], name: str) -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        table.setdefault(name, []).append(future)
        return future

    @staticmethod
    def _tell(table: dict[str, list[asyncio.Future[str]]], name: str, status: str) -> None:
        for future in table.pop(name, ()):
            if not future.done():
                future.set_result(status)

    def _configure(self, kind: str, words: Sequence[str], rest: str) -> None:
        name, host = words[0], words[1]
        if kind == "hardware_host":
            self.hosts[name] = words[-1]
            for device in self.devices.values():
                if device.host == name:
                    self._changed(device)
            return
        found = self.devices.setdefault(name, DcssDevice(name, kind, host))
        found.kind, found.host = kind, host
        if kind.endswith("_motor"):
            known = MotorConfiguration.parse(words[1:])
            found.value, found.is_moving = known.position, words[-1] == "1"
            found.lower = known.lower if known.lower_on else None
            found.upper = known.upper if known.upper_on else None
        elif kind == "shutter" and len(words) > 2:
            found.value = words[2]
        elif kind == "string":
            found.value = _behind(rest, 2)
        elif kind == "encoder" and len(words) > 3:
            found.value = _number(words[3])
        self._changed(found)

    def _set(self, name: str, value: Any = None, *, status: str | None = None, moving: bool | None = None) -> None:
        if (found := self.devices.get(name)) is None:
            return
        found.value = found.value if value is None else value
        found.status = found.status if status is None else status
        found.is_moving = found.is_moving if moving is None else moving
        self._changed(found)

    def _motor_move_started(self, words: Sequence[str], rest: str) -> None:
        self._set(words[0], moving=True)
        self._tell(self._begins, words[0], "started")

    def _update_motor_position(self, words: Sequence[str], rest: str) -> None:
        self._set(words[0], _number(words[1]))

    def _motor_move_completed(self, words: Sequence[str], rest: str) -> None:
        status = words[2] if len(words) > 2 else "unknown"
        self._set(words[0], _number(words[1]), status=status, moving=False)
        self._over(words[0], status)

    def _no_hardware_host(self, words: Sequence[str], rest: str) -> None:
        self._over(words[0], "no_hardware_host")

    def _report_shutter_state(self, words: Sequence[str], rest: str) -> None:
        status = words[2] if len(words) > 2 else "normal"
        self._set(words[0], words[1], status=status)
        self._over(words[0], status)

    def _set_string_completed(self, words: Sequence[str], rest: str) -> None:
        value = _behind(rest, 2) if words[1] == "normal" else None
        self._set(words[0], value, status=words[1])
        self._over(words[0], words[1])

    def _get_encoder_completed(self, words: Sequence[str], rest: str) -> None:
        self._set(words[0], _number(words[1]), status=words[2] if len(words) > 2 else "normal")

    def _report_ion_chambers(self, words: Sequence[str], rest: str) -> None:
        if _number(words[0]) > 0.0:
            for name, counts in zip(words[1::2], words[2::2], strict=False):
                self._set(name, _number(counts), status="normal")
        else:
            for name in words[1:-1]:
                self._set(name, status=words[-1])

    def _set_motor_base_units(self, words: Sequence[str], rest: str) -> None:
        if len(words) > 1 and words[0] in self.devices:
            self.devices[words[0]].unit = words[1]
            self._changed(self.devices[words[0]])

    def _operation_update(self, words: Sequence[str], rest: str) -> None:
        if len(words) > 1 and (found := self._operations.get(words[1])) is not None:
            found.updates.append(_behind(rest, 2))
            self._updated(words[1], found.updates[-1])

    def _operation_completed(self, words: Sequence[str], rest: str) -> None:
        found = self._operations.get(words[1]) if len(words) > 1 else None
        if found is not None and not found.done.done():
            found.done.set_result((words[2] if len(words) > 2 else "unknown", _behind(rest, 3)))

    def _become_master(self, words: Sequence[str], rest: str) -> None:
        self.is_master = True

    def _become_slave(self, words: Sequence[str], rest: str) -> None:
        self.is_master = False

    def _set_permission_level(self, words: Sequence[str], rest: str) -> None:
        self.is_staff = words[:1] == ["1"]

    def _dcss_end_update_all_device(self, words: Sequence[str], rest: str) -> None:
        self.is_complete = True

    def _log(self, words: Sequence[str], rest: str) -> None:
        self.log.append(rest)

    def _over(self, name: str, status: str) -> None:
        self._tell(self._begins, name, status)
        self._tell(self._ends, name, status)


def _behind(text: str, words: int) -> str:
    parts = text.split(None, words)
    return parts[words] if len(parts) > words else ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


#: Messages, without ``stog_``, that change what is known.
_MESSAGES: Final[Mapping[str, Callable[[DcssModel, Sequence[str], str], None]]] = {
    "motor_move_started": DcssModel._motor_move_started,
    "update_motor_position": DcssModel._update_motor_position,
    "motor_move_completed": DcssModel._motor_move_completed,
    "no_hardware_host": DcssModel._no_hardware_host,
    "report_shutter_state": DcssModel._report_shutter_state,
    "set_string_completed": DcssModel._set_string_completed,
    "get_encoder_completed": DcssModel._get_encoder_completed,
    "set_encoder_completed": DcssModel._get_encoder_completed,
    "report_ion_chambers": DcssModel._report_ion_chambers,
    "set_motor_base_units": DcssModel._set_motor_base_units,
    "operation_update": DcssModel._operation_update,
    "operation_completed": DcssModel._operation_completed,
    "become_master": DcssModel._become_master,
    "become_slave": DcssModel._become_slave,
    "set_permission_level": DcssModel._set_permission_level,
    "dcss_end_update_all_device": DcssModel._dcss_end_update_all_device,
    "log": DcssModel._log,
}
