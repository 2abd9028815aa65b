"""A plain PyTango server in the place of one of ours, so that supervision is tested by itself."""

from __future__ import annotations

import os
import sys
import time

import tango
from tango.server import Device, attribute, command, run


class StandIn(Device):
    """A heater with a set point."""

    def init_device(self) -> None:
        super().init_device()
        self.celsius = 21.5
        self.stage_name = "Warm"
        self.set_state(tango.DevState.ON)
        self.set_change_event("setpoint", True, False)

    @attribute(dtype=float, unit="degC")
    def setpoint(self) -> float:
        return self.celsius

    @setpoint.write
    def set_setpoint(self, celsius: float) -> None:
        self.celsius = celsius
        self.push_change_event("setpoint", celsius)

    @attribute(dtype="DevEnum", enum_labels=["Cold", "Warm", "Hot"])
    def stage(self) -> int:
        return ["Cold", "Warm", "Hot"].index(self.stage_name)

    @stage.write
    def set_stage(self, index: int) -> None:
        self.stage_name = ["Cold", "Warm", "Hot"][index]

    @attribute(dtype=(int,), max_dim_x=8)
    def counts(self) -> list[int]:
        return [3, 1, 4]

    @command(dtype_in=float, dtype_out=float)
    def twice(self, celsius: float) -> float:
        return 2.0 * celsius

    @command
    def hang_at_stop(self) -> None:
        """From now on SIGTERM is ignored."""
        import ctypes

        ctypes.CDLL(None).signal(15, 1)


if __name__ == "__main__":
    if "--fail" in sys.argv:
        sys.exit("the heater is upside down")
    if "--helper" in sys.argv and os.fork() == 0:
        time.sleep(600.0)
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    run((StandIn,), args=["Diptych", *words, "-ORBendPoint", "giop:tcp:127.0.0.1:0"])
