"""A simulated STA Archon CCD controller: ``ArchonSimulator`` for tests, ``run`` for a process of its own.

``memory`` is its configuration, ``timing`` plays the timing script, ``frames`` are the frame buffers, ``housekeeping``
is power and temperatures, ``commands`` says what each command does, ``simulator`` holds the sockets, ``settings`` are
the options and the faults.
"""

from devices.simulators.archon.settings import ArchonSettings, Faults
from devices.simulators.archon.simulator import ArchonSimulator, run

__all__ = ["ArchonSettings", "ArchonSimulator", "Faults", "run"]
