"""The clients, and the configuration of a simulated run."""

from pathlib import Path

from servers.daqdata.client import AioDaqDataClient, DaqDataClient
from servers.daqdata.client_base import SIMULATION

__all__ = ["AioDaqDataClient", "DaqDataClient", "hp_io_config_simulate", "hp_io_config_simulate_path"]

hp_io_config_simulate_path = str(Path(__file__).with_name("config") / "hp_io_config_simulate.json")
hp_io_config_simulate = dict(SIMULATION)
