"""A simulated Cryo-con temperature controller: ``CryoConSimulator`` for tests, ``run`` for a process of its own.

``physics`` and ``channels`` are the cryostat and the electronics, ``instrument`` puts them together, ``syntax`` takes
command lines apart, ``commands`` says what each one does, ``simulator`` holds the sockets.
"""

from devices.simulators.cryocon.simulator import CryoConSimulator, run

__all__ = ["CryoConSimulator", "run"]
