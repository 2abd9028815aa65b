"""A simulated AXIS camera before a loop that turns: ``AxisSimulator`` for tests, ``run`` for a process of its own.

``view`` has the pictures, ``pushing`` posts them, ``simulator`` answers requests and turns the spindle, ``settings``
are the options and the faults.
"""

from devices.simulators.axis.settings import AxisCameraSettings
from devices.simulators.axis.simulator import AxisSimulator, run

__all__ = ["AxisCameraSettings", "AxisSimulator", "run"]
