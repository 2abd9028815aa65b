"""A simulated Magellan (OCIW gcam) CCD controller: ``MagellanSimulator`` for tests, ``run`` for a process of its own.

``controller`` says what each command does, ``simulator`` brings it to the sockets, ``settings`` are the options;
detector and sockets are those of all simulated controller servers.
"""

from devices.simulators.magellan.settings import MagellanSettings
from devices.simulators.magellan.simulator import MagellanSimulator, run

__all__ = ["MagellanSettings", "MagellanSimulator", "run"]
