"""Simulated PANOSETI modules and their recorder: ``run`` for a process of its own, ``FrameStream`` for frames alone.

``night_sky`` is what modules see, ``recording`` plays real files instead, ``stream`` gives frames their times and
headers, ``outputs`` brings them where a recorder does, ``settings`` are the options.
"""

from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.simulator import run
from devices.simulators.daq.stream import FrameStream, ModuleFrame

__all__ = ["DaqSettings", "FrameStream", "ModuleFrame", "run"]
