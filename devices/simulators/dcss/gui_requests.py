"""What a simulated DCSS does with each request of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from devices.core.errors import RefusedError, UnknownNameError
from devices.simulators.dcss.core import Dcss
from devices.simulators.dcss.database import DcssDevice, DcssString, Encoder, IonChamber, Motor, Shutter
from devices.simulators.dcss.engine import Engine

if TYPE_CHECKING:
    from devices.simulators.dcss.gui_port import GuiConnection

#: Passed on to the server of the device that the first word names.
PASSED: Final = (
    "gtos_abort_motor_move gtos_start_oscillation gtos_set_shutter_state gtos_get_encoder gtos_set_encoder "
    "gtos_set_string gtos_set_motor_position gtos_configure_device gtos_start_vector_move gtos_stop_vector_move "
    "gtos_change_vector_speed"
).split()
STAFF_ONLY: Final = ("gtos_set_motor_position", "gtos_configure_device")


class GuiRequests:
    """Answers one client."""

    def __init__(self, dcss: Dcss, engine: Engine, client: GuiConnection) -> None:
        self._dcss, self._engine, self._client = dcss, engine, client
        #: What needs no master.
        self._free: dict[str, Callable[[list[str], str], None]] = {
            "gtos_become_master": lambda words, rest: client.become_master(words[0] if words else "noforce"),
            "gtos_become_slave": lambda words, rest: client.become_slave(),
            "gtos_inquire_gui_clients": lambda words, rest: client.tell_clients(),
            "gtos_log": lambda words, rest: dcss.broadcast(f"stog_log {rest}"),
            "gtos_admin": lambda words, rest: client.send(f"stog_admin {rest}"),
            "gtos_abort_all": lambda words, rest: engine.abort_all(words[0] if words else "soft"),
        }
        self._of_master: dict[str, Callable[[list[str], str], None]] = {
            "gtos_stop_operation": lambda words, rest: engine.stop_operation(words[0]),
            "gtos_start_motor_move": self._move,
            "gtos_read_ion_chambers": self._read_ion_chambers,
        }

    def take(self, text: str) -> None:
        """A request.

        Raises:
            ValueError, IndexError, KeyError: it is not spelled as it should be.
        """
        command, _, rest = text.partition(" ")
        words, client = rest.split(), self._client
        if command in self._free:
            self._free[command](words, rest)
        elif command == "gtos_start_operation":
            self._start_operation(words, rest)
        elif command not in self._of_master and command not in PASSED:
            client.send(f"stog_log error server Unrecognized command: {command}.")
        elif not client.is_master:
            self._refuse(command, words, "not_active")
        elif command in STAFF_ONLY and not (client.person and client.person.is_staff):
            client.send(f"stog_log error server {command} is for staff only")
        elif command in self._of_master:
            self._of_master[command](words, rest)
        else:
            self._pass_on(command, words, rest)

    def _start_operation(self, words: list[str], rest: str) -> None:
        name, handle = words[0], words[1] if len(words) > 1 else ""
        owner, dot, count = handle.partition(".")
        why = ""
        if not (dot and owner.isdigit() and count):
            why = "missing_operation_Id"
        elif int(owner) != self._client.id:
            why = "not_honest_client"
        elif not self._client.is_master:
            why = "not_active"
        elif any(run.name == name for run in self._engine.runs.values()):
            why = "not_idle"
        else:
            try:
                self._engine.start_operation(name, _behind(rest, 2), handle=handle)
            except (RefusedError, UnknownNameError) as error:
                why = str(error)
        if why:
            self._client.send(f"stog_operation_completed {name} {handle or '0'} {why}")

    def _move(self, words: list[str], rest: str) -> None:
        if why := self._engine.move(words[0], float(words[1])):
            self._refuse("gtos_start_motor_move", words, why)

    def _read_ion_chambers(self, words: list[str], rest: str) -> None:
        if why := self._engine.read_ion_chambers(float(words[0]), words[2:], int(words[1])):
            self._client.send(f"stog_report_ion_chambers 0 {' '.join(words[2:])} {why}")

    def _pass_on(self, command: str, words: list[str], rest: str) -> None:
        text = "stoh_" + command.removeprefix("gtos_") + f" {rest}"
        name = words[0]
        device = self._dcss.devices[name]
        if command == "gtos_configure_device" and isinstance(device, Motor):
            if device.adopt([float(word) for word in words[1:]]):
                self._dcss.broadcast(f"stog_{device.configuration}")
                self._dcss.to_device(device, f"stoh_{device.configuration}")
            return
        if command == "gtos_set_motor_position" and isinstance(device, Motor):
            device.position = float(words[1])
        if command == "gtos_start_oscillation":
            why = self._engine.start_oscillation(name, words[1], float(words[2]), float(words[3]))
        elif isinstance(device, Motor):
            why = self._dcss.to_device(device, text)
        else:
            why = self._engine.ask(name, text)
        if why:
            self._refuse(command, words, why)

    def _refuse(self, command: str, words: list[str], why: str) -> None:
        """Tell the client only, in the form that ends what it waits for."""
        device = self._dcss.devices.get(words[0]) if words else None
        self._client.send(_completion(device, why) or f"stog_log warning server {command}: {why}")


def _completion(device: DcssDevice | None, why: str) -> str:
    if isinstance(device, Motor):
        if why.startswith("no_hw_host"):
            return f"stog_no_hardware_host {device.name}"
        return f"stog_motor_move_completed {device.name} {device.position:f} {why}"
    if isinstance(device, Shutter):
        return f"stog_report_shutter_state {device.name} {device.state} {why}"
    if isinstance(device, DcssString):
        return f"stog_set_string_completed {device.name} {why} {device.contents}".rstrip()
    if isinstance(device, Encoder):
        return f"stog_get_encoder_completed {device.name} {device.position:f} {why}"
    if isinstance(device, IonChamber):
        return f"stog_report_ion_chambers 0 {device.name} {why}"
    return ""


def _behind(text: str, words: int) -> str:
    parts = text.split(" ", words)
    return parts[words] if len(parts) > words else ""
