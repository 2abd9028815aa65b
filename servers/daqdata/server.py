"""``diptych daq server``: a DAQ node and its DaqData service alone, as the PANOSETI project has its server."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError
from devices.daq.configuration import HpIoConfig, parse_hp_io_config, read_configuration
from devices.daq.configuration_server import ServerConfig, parse_server_config
from servers.facility import leash as parent_leash
from servers.facility.facility_file import SERVER_NAME, Facility
from servers.facility.ports import Ports
from servers.host import Host
from servers.log.formatter import log_to_stderr
from servers.native import NativeService

SERVER: Final = f"{SERVER_NAME}/daqserver"
DEVICE: Final = "daq/node/1"
UNIX: Final = "unix://"


def run(
    *,
    config: Path | None,
    listen: str,
    data_root: Path,
    needs_recorder: bool,
    udp: str,
    certificate: Path | None,
    key: Path | None,
    client_authority: Path | None,
    token_file: Path | None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Args:
        config: a ``daq_data_server_config.json``; None: files and sockets at their usual places.
        listen: HOST:PORT, several with blanks between them.
        data_root: what the folders that clients name are confined to.
        needs_recorder: whether a recorder has to run for InitHpIo.
        udp: HOST:PORT at which packets of quabos come; empty: none do.
    Raises:
        ConfigurationError: a file is wrong.
    """
    properties = {
        "data_root": [str(data_root.absolute())],
        "needs_recorder": [str(needs_recorder)],
        "udp": [udp],
        "begins_alone": ["false"],
    }
    options = {"listen": listen}
    if config is not None:
        config = config.absolute()
        found = _server_config(config)
        properties["config"] = [str(config)]
        if found.unix_domain_socket:
            options["unix"] = found.unix_domain_socket.removeprefix(UNIX)
        if found.init_from_default:
            properties |= _first(found)
    files = {"certificate": certificate, "key": key, "client_authority": client_authority, "token_file": token_file}
    options |= {name: str(path.absolute()) for name, path in files.items() if path is not None}
    with tempfile.TemporaryDirectory(prefix="diptych-daq-") as state:
        facility = Facility(
            name="daqserver",
            path=config or Path("daqserver"),
            state_dir=Path(state),
            ports=Ports(),
            devices={SERVER: {"DaqNode": {DEVICE: {name: lines for name, lines in properties.items() if any(lines)}}}},
            classes={"DaqNode": "devices.daq:DaqNode"},
            services=(NativeService("daqdata", "daqdata", DEVICE, options),),
        )
        parent_leash.attach()
        log_to_stderr()
        logging.getLogger("diptych").info("DaqData at %s", " ".join(filter(None, (listen, options.get("unix")))))
        return Host(SERVER, facility, tango_host=None, state_dir=Path(state)).run()


def _server_config(path: Path) -> ServerConfig:
    return read_configuration(path, lambda found, name: parse_server_config(found, name, path.parent))


def _first(config: ServerConfig) -> dict[str, list[str]]:
    """The properties of a node that begins by itself, as the file of the first configuration says."""
    path = config.default_hp_io_config_file
    found: HpIoConfig = read_configuration(path, parse_hp_io_config)
    if found.data_dir and not Path(found.data_dir).is_absolute() and not found.simulate_daq:
        raise ConfigurationError(str(path), [f"data_dir = {found.data_dir!r}: not an absolute path"])
    return {
        "begins_alone": ["true"],
        "data_dir": ["" if found.simulate_daq else found.data_dir],
        "interval": [str(found.update_interval_seconds)],
        "simulates": [str(found.simulate_daq)],
        "modules": [str(each) for each in found.module_ids],
    }
