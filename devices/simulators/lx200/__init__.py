"""A simulated mount that speaks Meade's LX200 protocol."""

from devices.simulators.lx200.simulator import Lx200Simulator, run

__all__ = ["Lx200Simulator", "run"]
