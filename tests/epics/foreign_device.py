"""A cryostat of some other site, as a PyTango device that knows nothing of this project; run as a script.

It has one attribute of each sort that a mirror has to cope with: with and without events, with a changing size and a
changing configuration, and attributes that come and go while it runs.
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

MODES = ["warm", "cooling", "cold"]


class Cryostat(Device):
    """A foreign device; ``read_attributes`` calls are counted, so that a test sees how it is asked."""

    def init_device(self) -> None:
        super().init_device()
        self._mode, self._heater, self._limit, self._key = 1, 12.5, 300.0, 0
        self._size = (3, 5)
        self._failure, self._stall = "", 0.0
        self._pressure, self._level, self._report = 2.5e-6, 41.5, "nothing to report"
        self._calls: list[tuple[float, list[str]]] = []
        self._count = 0
        for name in ("pressure", "heater", "State", "mode"):
            self.set_change_event(name, True, False)
        self.set_archive_event("drift", True, False)
        self.set_state(DevState.ON)
        self.set_status("cold and quiet")

    def read_attr_hardware(self, indices: Any) -> None:
        names = [self.get_device_attr().get_attr_by_ind(index).get_name() for index in indices]
        self._calls.append((time.monotonic(), sorted(names)))

    # --- with change events

    @attribute(dtype=float, unit="mbar", format="%.2e", max_alarm=1e-3, max_warning=1e-4)
    def pressure(self) -> float:
        return self._pressure

    @attribute(dtype=float, unit="W", min_value=0, max_value=50, access=AttrWriteType.READ_WRITE)
    def heater(self) -> float:
        return self._heater

    @heater.write
    def heater(self, watt: float) -> None:
        self._heater = watt
        self.push_change_event("heater", watt)

    @attribute(dtype=tango.DevEnum, enum_labels=MODES, access=AttrWriteType.READ_WRITE)
    def mode(self) -> int:
        return self._mode

    @mode.write
    def mode(self, mode: int) -> None:
        self._mode = mode
        self.push_change_event("mode", mode)

    # --- with archive events only

    @attribute(dtype=float, unit="K/h", archive_abs_change="0.1")
    def drift(self) -> float:
        return 0.25

    # --- without events

    @attribute(dtype=float, unit="%")
    def level(self) -> float:
        """Helium; nobody has given it bounds."""
        return self._level

    @attribute(dtype=int)
    def counter(self) -> int:
        self._count += 1
        return self._count

    @attribute(dtype=float, unit="K", memorized=True, access=AttrWriteType.READ_WRITE)
    def limit(self) -> float:
        return self._limit

    @limit.write
    def limit(self, kelvin: float) -> None:
        self._limit = kelvin

    @attribute(dtype=int, access=AttrWriteType.WRITE)
    def key(self) -> int:
        return self._key

    @key.write
    def key(self, key: int) -> None:
        self._key = key

    @attribute(dtype=(float,), max_dim_x=100, unit="K")
    def profile(self) -> Any:
        return np.linspace(4.0, 77.0, self._size[1])

    @attribute(dtype=(("uint16",),), max_dim_x=16, max_dim_y=9)
    def map(self) -> Any:
        rows, columns = self._size
        return np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)

    @attribute(dtype=((str,),), max_dim_x=4, max_dim_y=3)
    def table(self) -> tuple[tuple[str, ...], ...]:
        return (("valve", "open", "helium"), ("pump", "running", "vacuum"))

    @attribute(dtype=str, access=AttrWriteType.READ_WRITE)
    def report(self) -> str:
        return self._report

    @report.write
    def report(self, report: str) -> None:
        self._report = report

    @attribute(dtype=int)
    def spare_1(self) -> int:
        return 1

    @attribute(dtype=tango.DevEncoded)
    def snapshot(self) -> tuple[str, bytes]:
        return "TRACE", bytes([1, 0, 255])

    @attribute(dtype=float)
    def sensor(self) -> float:
        time.sleep(self._stall)
        if self._failure:
            reason, _, text = self._failure.partition(":")
            tango.Except.throw_exception(reason, text, "sensor")
        return 4.25

    # --- what a test makes it do

    @command(dtype_out=str)
    def describe(self) -> str:
        return "a cryostat of another site"

    @command(dtype_out=str)
    def Calls(self) -> str:
        calls, self._calls = self._calls, []
        return json.dumps(calls)

    @command(dtype_in=str)
    def Fail(self, failure: str) -> None:
        self._failure = failure

    @command(dtype_in=float)
    def Stall(self, seconds: float) -> None:
        self._stall = seconds

    @command(dtype_in=float)
    def SetLevel(self, level: float) -> None:
        self._level = level

    @command(dtype_in=(int,))
    def Resize(self, size: Any) -> None:
        self._size = (int(size[0]), int(size[1]))

    @command(dtype_in=str)
    def Go(self, state: str) -> None:
        self.set_state(getattr(DevState, state))
        self.push_change_event("State")

    @command(dtype_in=str)
    def Push(self, what: str) -> None:
        """Push pressures: JSON of values, quality (a name) and the time between two of them."""
        said = json.loads(what)
        quality = getattr(AttrQuality, "ATTR_" + said.get("quality", "VALID"))

        def push() -> None:
            with EnsureOmniThread():
                for value in said["values"]:
                    self._pressure = value
                    self.push_change_event("pressure", value, time.time(), quality)
                    time.sleep(said.get("seconds", 0.0))

        threading.Thread(target=push, daemon=True).start()

    @command(dtype_in=str)
    def AddSensor(self, name: str) -> None:
        self.add_attribute(attribute(name=name, dtype=float, unit="K", fget=self._read_sensor))

    @command(dtype_in=str)
    def RemoveSensor(self, name: str) -> None:
        self.remove_attribute(name, clean_db=False)  # without a database; it ends the server otherwise

    def _read_sensor(self, attribute: Any = None) -> float:
        return 77.5

    @command(dtype_in=float, dtype_out=float)
    def Double(self, number: float) -> float:
        return 2 * number

    @command
    def On(self) -> None:
        self.Go("ON")

    @command
    def Off(self) -> None:
        self.Go("OFF")

    @command(dtype_in=tango.DevVarLongStringArray)
    def Load(self, recipe: Any) -> None:
        """A type that EPICS has no place for."""


if __name__ == "__main__":
    tango.server.run((Cryostat,), args=["Cryostat", *sys.argv[1:]])
