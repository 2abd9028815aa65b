"""A simulated DCSS: ``DcssSimulator`` for tests, ``run`` for a process of its own.

``database`` has hosts and devices, ``core`` broadcasts, ``hardware_port`` and ``hardware_messages`` are the side of the
hardware servers with its faults, ``inner_server`` plays one, ``gui_port`` and ``gui_requests`` are the side of the
clients, ``engine`` starts operations and moves, ``script`` runs scripted operations in a small ``tcl``, ``control``
takes faults from outside, ``replay`` plays a record.
"""

from devices.simulators.dcss.database import Database
from devices.simulators.dcss.process import run
from devices.simulators.dcss.script import ScriptRunner
from devices.simulators.dcss.simulator import DcssSimulator

__all__ = ["Database", "DcssSimulator", "ScriptRunner", "run"]
