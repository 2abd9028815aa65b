"""The properties of a DAQ node."""

from __future__ import annotations

from dataclasses import dataclass

from devices.core import Properties, setting
from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.pff import PRODUCTS
from devices.drivers.quabo import SCIENCE_PORT
from devices.simulators.daq.settings import DaqSettings


def simulation_options(lines: tuple[str, ...]) -> dict[str, str]:
    """The options of simulated frames; raises BadValueError."""
    pairs = [line.partition("=") for line in lines]
    for name, equals, _ in pairs:
        if not (name.strip() and equals):
            raise BadValueError(f"{name!r} is not NAME=VALUE")
    options = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        DaqSettings.of({"data_dir": "/", **{key: value for key, value in options.items() if key != "mode"}})
    except ConfigurationError as error:
        raise BadValueError("; ".join(error.problems)) from error
    return options


def known_products(names: tuple[str, ...]) -> None:
    """Raises BadValueError: one is no data product."""
    for name in names:
        if name not in PRODUCTS:
            raise BadValueError(f"{name!r} is no data product; there are {', '.join(PRODUCTS)}")


def udp_address(text: str) -> None:
    """Raises BadValueError: it is not HOST:PORT, as 127.0.0.1:60001."""
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdigit() and 0 <= int(port) <= 65535):
        raise BadValueError(f"{text!r} is not HOST:PORT, as 127.0.0.1:{SCIENCE_PORT}")


@dataclass(frozen=True)
class DaqProperties(Properties):
    """Where frames come from, and what clients may do."""

    data_dir: str = setting("", doc="The folder that the recorder writes to; absolute; empty: given by InitHpIo")
    data_root: str = setting("/", doc="What data_dir of clients is confined to; absolute")
    config: str = setting(
        "", doc="A daq_data_server_config.json; absolute; empty: its defaults, and this node's properties"
    )
    begins_alone: bool = setting(True, doc="Whether the node is initialised with data_dir when it starts")
    needs_recorder: bool = setting(True, doc="Whether a recorder (hashpipe) has to run for InitHpIo")
    simulates: bool = setting(False, doc="Whether it begins with simulated frames")
    simulation: tuple[str, ...] = setting(
        (), doc="Options of simulated frames, NAME=VALUE a line: mode=rpc, rate_hz=50 ...", check=simulation_options
    )
    watches_files: bool = setting(True, doc="Whether frames are read from the files of the recorder")
    polls: bool = setting(False, doc="Look for files again and again: for file systems that other machines write to")
    reads_pipe: bool = setting(False, doc="Whether the recorder's status pipe is read")
    pipe_name: str = setting("read_status_2", doc="Of the status pipe in the folder of a run")
    sockets: str = setting("", doc="Unix sockets for frames, a path with {dp_name}; empty: none")
    socket_products: tuple[str, ...] = setting(
        tuple(PRODUCTS), doc="Data products that have a socket", check=known_products
    )
    udp: str = setting(
        "", doc="HOST:PORT at which quabos' packets come; empty: they do not come here", check=udp_address
    )
    groups_pulse_heights: bool = setting(False, doc="Whether packets of four quabos make one pulse-height image")
    interval: float = setting(0.1, doc="Of clients that ask for the node's own rhythm, s", limits=(0.001, 60.0))
    modules: tuple[int, ...] = setting((), doc="Modules that are served; empty: all", limits=(0, 16383))
    show_modules: tuple[int, ...] = setting((), doc="Modules that have attributes of their own", limits=(0, 16383))
    queue_size: int = setting(4096, doc="Frames that wait for a client at most, of each kind", limits=(1, 1_000_000))
