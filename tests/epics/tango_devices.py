"""Two Tango devices that import nothing of this project, run as ``python tango_devices.py``.

``Plain`` is a foreign device: one attribute of each type, with and without events. ``Described`` follows the
conventions of a device that describes itself, with an operation.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import numpy as np
import tango
from tango import AttrQuality, AttrWriteType, DevState, EnsureOmniThread
from tango.server import Device, attribute, command

SCALARS: dict[str, tuple[Any, Any]] = {
    "switch": ("bool", True),
    "small": (tango.DevUChar, 200),
    "short": ("int16", -12345),
    "ushort": ("uint16", 54321),
    "integer": ("int32", -2_000_000_000),
    "uinteger": ("uint32", 4_000_000_000),
    "large": ("int64", -(2**62) - 1),
    "ularge": ("uint64", 2**63 + 1),
    "single": ("float32", 0.5),
    "name": ("str", "ein Länge"),
}
STAMP = 1_700_000_000.25  # s; the time that published values carry
MODES = ["standby", "cool down", "regulate"]
MANY = [f"filter position {number:02d}" for number in range(20)]


class Plain(Device):
    """A device of some other site."""

    def init_device(self) -> None:
        super().init_device()
        self._temperature, self._quality = 77.25, AttrQuality.ATTR_VALID
        self._setpoint, self._mode, self._wheel, self._list = 80.0, 1, 3, [1.5, 2.5, 3.5]
        self._note, self._secret = "hello", 0
        self._count = 0
        self._flood = 0
        for name in ("temperature", "setpoint", "curve", "names", "frame", "mode", "wheel", "note", "blob", "State"):
            self.set_change_event(name, True, False)
        self.set_state(DevState.STANDBY)
        self.set_status("cold and quiet")

    temperature = attribute(
        dtype=float, unit="K", format="%8.3f", doc="Cold finger", min_value=0, max_value=400,
        min_alarm=2, min_warning=4, max_warning=310, max_alarm=350, abs_change="0.5", archive_abs_change="1.5",
    )  # fmt: skip

    def read_temperature(self) -> tuple[float, float, AttrQuality]:
        return self._temperature, STAMP, self._quality

    @attribute(dtype=float, unit="K", min_value=1, max_value=325, access=AttrWriteType.READ_WRITE)
    def setpoint(self) -> float:
        return self._setpoint

    @setpoint.write
    def setpoint(self, kelvin: float) -> None:
        if kelvin == 13.0:
            tango.Except.throw_exception("RangeError", "setpoint = 13.0 K brings bad luck", "setpoint")
        self._setpoint = kelvin
        self.push_change_event("setpoint", kelvin)  # carries the former w_value: cppTango sets the new one later

    @attribute(dtype=tango.DevEnum, enum_labels=MODES, access=AttrWriteType.READ_WRITE)
    def mode(self) -> int:
        return self._mode

    @mode.write
    def mode(self, mode: int) -> None:
        self._mode = mode

    @attribute(dtype=tango.DevEnum, enum_labels=MANY, access=AttrWriteType.READ_WRITE)
    def wheel(self) -> int:
        return self._wheel

    @wheel.write
    def wheel(self, wheel: int) -> None:
        self._wheel = wheel
        self.push_change_event("wheel", wheel)

    @attribute(dtype=str, access=AttrWriteType.READ_WRITE)
    def note(self) -> str:
        return self._note

    @note.write
    def note(self, note: str) -> None:
        self._note = note
        self.push_change_event("note", note)

    @attribute(dtype=(float,), max_dim_x=100, access=AttrWriteType.READ_WRITE)
    def list(self) -> list[float]:
        return self._list

    @list.write
    def list(self, values: Any) -> None:
        self._list = [float(value) for value in values]

    @attribute(dtype=int, access=AttrWriteType.WRITE)
    def secret(self) -> int:
        return self._secret

    @secret.write
    def secret(self, secret: int) -> None:
        self._secret = secret

    @attribute(dtype=(float,), max_dim_x=4096, unit="1/nm")
    def curve(self) -> Any:
        return np.linspace(0.0, 3.0, 7)

    @attribute(dtype=(str,), max_dim_x=10)
    def names(self) -> tuple[str, ...]:
        return ("first", "second", "a text of more than forty characters, which a CA STRING cannot hold")

    @attribute(dtype=(("uint16",),), max_dim_x=6, max_dim_y=4)
    def frame(self) -> Any:
        return np.arange(24, dtype=np.uint16).reshape(4, 6)

    @attribute(dtype=tango.DevEncoded)
    def blob(self) -> tuple[str, bytes]:
        return "GREY8", bytes(range(5))

    @attribute(dtype=int)
    def counter(self) -> int:
        self._count += 1
        return self._count

    @attribute(dtype=float)
    def broken(self) -> float:
        tango.Except.throw_exception("NotConnectedError", "the sensor is not plugged in", "broken")

    def initialize_dynamic_attributes(self) -> None:
        for name, (kind, value) in SCALARS.items():
            made = attribute(name=name, dtype=kind, fget=self._reader(value))
            self.add_attribute(made)
            self.set_change_event(name, True, False)

    def _reader(self, value: Any) -> Any:
        def read(_self: Any, attribute: Any = None) -> Any:
            return value

        return read

    @command(dtype_in=str)
    def Publish(self, what: str) -> None:
        """Publish a temperature: JSON of value, quality (a name) and time."""
        said = json.loads(what)
        self._temperature = said["value"]
        self._quality = getattr(AttrQuality, "ATTR_" + said.get("quality", "VALID"))
        self.push_change_event("temperature", self._temperature, said.get("time", STAMP), self._quality)

    @command(dtype_in=int)
    def Flood(self, number: int) -> None:
        """Publish so many temperatures as fast as possible, the last one is their number."""

        def flood() -> None:
            with EnsureOmniThread():
                for value in range(1, number + 1):
                    self._temperature = float(value)
                    self.push_change_event("temperature", float(value), time.time(), AttrQuality.ATTR_VALID)

        threading.Thread(target=flood, daemon=True).start()

    @command(dtype_in=float, dtype_out=float)
    def Double(self, number: float) -> float:
        return 2 * number

    @command
    def Reset(self) -> None:
        self._count = 0

    @command(dtype_in=str)
    def SwitchTo(self, state: str) -> None:
        self.set_state(getattr(DevState, state))
        self.push_change_event("State")


def _argument(name: str, kind: str, **more: Any) -> dict[str, Any]:
    common = {"shape": [], "unit": "", "limits": None, "labels": [], "default": None, "required": True, "doc": ""}
    return {"name": name, "type": kind, "text_limit": 4096} | common | more


class Described(Device):
    """A device that describes itself: a slow operation ``integrate_file`` and a few commands."""

    def init_device(self) -> None:
        super().init_device()
        self._operations: dict[str, dict[str, Any]] = {}
        self._newest = ""
        self._abort = threading.Event()
        self._start = f"{time.time_ns():x}"
        self._gain = 2
        for name in ("operation", "operation_id", "progress", "operation_error", "gain", "State", "Status"):
            self.set_change_event(name, True, False)
        self.set_state(DevState.ON)

    @attribute(dtype=int, access=AttrWriteType.READ_WRITE)
    def gain(self) -> int:
        return self._gain

    @gain.write
    def gain(self, gain: int) -> None:
        self._gain = gain

    @attribute(dtype=str)
    def operation(self) -> str:
        newest = self._operations.get(self._newest, {})
        return newest["name"] if newest.get("state") == "RUNNING" else ""

    @attribute(dtype=str)
    def operation_id(self) -> str:
        return self._newest

    @attribute(dtype=float, unit="%")
    def progress(self) -> float:
        return self._operations.get(self._newest, {}).get("progress", 0.0)

    @attribute(dtype=str)
    def operation_error(self) -> str:
        return self._operations.get(self._newest, {}).get("error") or ""

    @command(dtype_out=str)
    def describe(self) -> str:
        gain = {
            "name": "gain", "type": "int64", "shape": [], "access": "read_write", "unit": "", "label": "gain",
            "doc": "Amplifier gain", "limits": None, "warning": None, "alarm": None, "hysteresis": 0.0,
            "precision": None, "labels": [], "level": "expert", "memorized": None, "text_limit": 4096,
            "pv_name": "AmpGain", "mirror": True,
        }  # fmt: skip
        hidden = gain | {"name": "operation_error", "type": "string", "access": "read", "mirror": False}
        speeds = ["slow", "fast"]
        commands = [
            ("integrate_file", "operation", [_argument("path", "string")], {"type": "string", "shape": []}),
            ("control_on", "command", [], None),
            ("set_speed", "command", [_argument("speed", "enum", labels=speeds)], {"type": "string", "shape": []}),
            ("add", "command", [_argument("left", "int64"), _argument("right", "int64", default=5, required=False)],
             {"type": "int64", "shape": []}),
            ("abort", "command", [_argument("operation_id", "string", default="", required=False)], None),
        ]  # fmt: skip
        return json.dumps({
            "format": 1, "device_class": "Described", "doc": "", "pv_prefix": "SAXS9:", "attributes": [gain, hidden],
            "commands": [
                {"name": name, "kind": kind, "arguments": arguments, "result": result, "level": "operator",
                 "dangerous": False, "mirror": True, "pv_name": None, "doc": f"About {name}"}
                for name, kind, arguments, result in commands
            ] + [
                {"name": "describe", "kind": "command", "arguments": [], "result": None, "mirror": False},
            ],
        })  # fmt: skip

    @command(dtype_in=str, dtype_out=str)
    def integrate_file(self, path: str) -> str:
        """Takes as many seconds as the name says after ``#``; fails for a name with ``bad``."""
        running = [entry for entry in self._operations.values() if entry["state"] == "RUNNING"]
        if running:
            tango.Except.throw_exception("BusyError", f"integrate_file is running ({running[0]['id']})", "saxs")
        if not path:
            tango.Except.throw_exception("BadValueError", "path = '' is no file", "saxs")
        number = f"{self._start}-{len(self._operations)}"
        self._abort.clear()
        entry = {
            "id": number, "name": "integrate_file", "state": "RUNNING", "progress": 0.0, "message": "", "result": None,
            "error": "",
        }  # fmt: skip
        self._operations[number], self._newest = entry, number
        threading.Thread(target=self._integrate, args=(entry, path), daemon=True).start()
        return number

    def _integrate(self, entry: dict[str, Any], path: str) -> None:
        seconds = float(path.partition("#")[2] or 0.2)
        with EnsureOmniThread():
            self._announce()
            for step in range(1, 11):
                if self._abort.wait(seconds / 10):
                    entry |= {"state": "ABORTED", "error": "AbortedError: aborted by a client"}
                    break
                entry["progress"] = 10.0 * step
                self._announce()
            else:
                if "bad" in path:
                    entry |= {"state": "FAILED", "error": f"ProtocolError: {path} is no image"}
                else:
                    entry |= {"state": "DONE", "result": f"{len(path)} characters"}
            self._announce()

    def _announce(self) -> None:
        for name in ("operation_id", "operation", "progress", "operation_error"):
            self.push_change_event(name, self._value(name))

    def _value(self, name: str) -> Any:
        newest = self._operations[self._newest]
        running = newest["state"] == "RUNNING"
        return {
            "operation": newest["name"] if running else "",
            "operation_id": self._newest,
            "progress": newest["progress"],
            "operation_error": newest["error"],
        }[name]

    @command(dtype_in=str, dtype_out=str)
    def operation_status(self, number: str) -> str:
        if number not in self._operations:
            tango.Except.throw_exception("UnknownNameError", f"no operation {number!r}", "saxs")
        return json.dumps(self._operations[number])

    @command(dtype_in=str)
    def abort(self, number: str) -> None:
        self._abort.set()

    @command
    def control_on(self) -> None:
        if self._gain == 0:
            tango.Except.throw_exception("NotAllowedError", "control_on is not allowed with gain 0", "saxs")
        time.sleep(0.3)

    @command(dtype_in=str, dtype_out=str)
    def set_speed(self, speed: str) -> str:
        return f"now {speed}"

    @command(dtype_in=str, dtype_out="int64")
    def add(self, arguments: str) -> int:
        said = json.loads(arguments)
        return said["left"] + said["right"]


if __name__ == "__main__":
    tango.server.run((Plain, Described), args=["TangoDevices", *sys.argv[1:]])
