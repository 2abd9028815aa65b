"""A simulated ARC (Leach) CCD controller with its controller server: ``ArcSimulator`` for tests, ``run`` for a process.

``boards`` are the DSPs with their memory, ``camera`` is the detector, ``controller`` says what each command does,
``settings`` are the options; the sockets are those that all controller servers share.
"""

from devices.simulators.arc.settings import ArcSettings
from devices.simulators.arc.simulator import ArcSimulator, run

__all__ = ["ArcSettings", "ArcSimulator", "run"]
