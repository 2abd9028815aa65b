"""A simulated ASCOM Alpaca server: ``AlpacaSimulator`` for tests, ``run`` for a process of its own.

``members`` is what all devices share, ``camera``, ``focuser``, ``filter_wheel``, ``telescope``, ``dome`` are the
devices, ``http`` is the wire, ``simulator`` holds the sockets, ``settings`` are the options and the faults.
"""

from devices.simulators.alpaca.settings import AlpacaSettings, Faults
from devices.simulators.alpaca.simulator import AlpacaSimulator, run

__all__ = ["AlpacaSettings", "AlpacaSimulator", "Faults", "run"]
