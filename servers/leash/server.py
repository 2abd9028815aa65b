"""``saxsdogserver``: the queues of a network file, each a SAXS detector of its own, without a facility around them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from devices.core.errors import ConfigurationError
from servers.facility import background
from servers.facility import leash as parent_leash
from servers.facility.facility_file import SERVER_NAME, Facility
from servers.facility.log_file import LogFile
from servers.facility.ports import Ports
from servers.facility.process import PYTHON
from servers.host import Host
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import network_file, read_network, write_network
from servers.log.formatter import log_to_stderr
from servers.native import NativeService

STATE: Final = ".diptych"
NAME: Final = "saxsdogserver"
SERVER: Final = f"{SERVER_NAME}/{NAME}"


def in_background(options: Mapping[str, Any]) -> str:
    """Start the same in a process that outlives this one; a line for the person who started it."""
    words = [*PYTHON, "servers.main", "saxs", "server"]
    names = {"relative": "--relpath", "output": "--out", "form": "--format", "network_path": "--network"}
    for name, value in options.items():
        if name in ("daemon", "base") or value is None:
            continue
        if name == "watch":
            words.append("--watch" if value else "--no-watch")
        else:
            words += [names.get(name, f"--{name.replace('_', '-')}"), str(value)]
    base = Path(options["base"]).absolute()
    state = Path(options["state_dir"] or base / STATE).absolute()
    process = background.start(state, NAME, [*words, str(base)])
    return f"process {process.pid} serves {base}; its log is {LogFile.of(state, NAME).path}"


def run(
    base: Path,
    *,
    network: Path | None,
    port: int | None,
    feeder: str | None,
    bind: str,
    threads: int | None,
    watch: bool,
    relative: str,
    output: Path | None,
    form: str,
    state_dir: Path | None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Args:
        base: the folder that images and results are confined to.
        network: the network file; None: that of the home folder.
        port, feeder: in the place of what the network file says; only for a single entry.
        threads: worker processes of each queue; None: one for each processor.
        relative, output: where results go; see the properties of the SAXS detector.
        form: what is written: chi, hdf5, both.
    Raises:
        ConfigurationError: the network file is missing or faulty, or has several entries where one is meant.
    """
    path = network or network_file()
    entries = list(read_network(path))
    if len(entries) != 1 and (port is not None or feeder is not None):
        raise ConfigurationError(str(path), [f"has {len(entries)} entries: --port and --feeder are for a single one"])
    if port is not None:
        entries[0] = replace(entries[0], server=Endpoint(entries[0].server.host, port))
    if feeder is not None:
        entries[0] = replace(entries[0], feeder=Endpoint.parse(feeder))
    base = base.absolute()
    if not base.is_dir():
        raise ConfigurationError(str(base), ["no such folder"])
    state = (state_dir or base / STATE).absolute()
    state.mkdir(parents=True, exist_ok=True)
    devices, services = {}, []
    for number, entry in enumerate(entries, 1):
        device = f"saxs/{re.sub(r'[^A-Za-z0-9-]', '_', entry.name) or 'queue'}/{number}"
        own = state / f"network-{number}.json"
        write_network(own, [entry])
        devices[device] = {
            "folder": [str(base)],
            "executor": [f"process:{threads or os.cpu_count() or 1}"],
            "watch": [str(watch)],
            "relative_output": [relative],
            "output_folder": [str(output.absolute()) if output else ""],
            "outputs": [form],
            "runs": [str(state / f"runs-{number}")],
            "begins_alone": ["false"],  # queues are begun by clients
        }
        ends = {"server": str(entry.server), "feeder": str(entry.feeder)}
        options = {name: url.removeprefix("tcp://") for name, url in ends.items()}
        options |= {"network": str(own), "keys": str(path.absolute()), "name": entry.name, "bind": bind}
        services.append(NativeService(entry.name, "leash", device, options))
    facility = Facility(
        name=NAME,
        path=path,
        state_dir=state,
        ports=Ports(),
        devices={SERVER: {"SaxsDetector": devices}},
        classes={"SaxsDetector": "devices.saxs:SaxsDetector"},
        services=tuple(services),
    )
    parent_leash.attach()
    log_to_stderr()
    logging.getLogger("diptych").info("%s: %s", base, ", ".join(f"{each.name} at {each.server}" for each in entries))
    return Host(SERVER, facility, tango_host=None, state_dir=state).run()
