"""A correlator image server and its ingest alone, in this process or in the background."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from devices.core.errors import BusyError
from servers.facility import background
from servers.facility import leash as parent_leash
from servers.facility.facility_file import SERVER_NAME, Facility
from servers.facility.log_file import LogFile
from servers.facility.ports import Ports
from servers.facility.process import PYTHON
from servers.host import Host
from servers.ingest.command import NAME
from servers.ingest.command_serve import given_properties, texts
from servers.log.formatter import log_to_stderr
from servers.native import NativeService

SERVER: Final = f"{SERVER_NAME}/correlator"
DEVICE: Final = "corr/server/1"
LOG: Final = "process_log.txt"


def in_background(command: click.Command, given: Mapping[str, Any], state_dir: Path) -> str:
    """Start the same in a process that outlives this one; a line for the person who started it.

    Raises:
        BusyError: one runs already.
    """
    if (running := background.process(state_dir, NAME)) is not None:
        raise BusyError(f"{NAME} runs already on {state_dir} (pid {running.pid}); kill_proc_server ends it")
    words = [*PYTHON, "servers.main", "correlator", "serve"]
    for option in command.params:
        if option.name not in given or option.name == "background":
            continue
        value = given[option.name]
        if value is True or value is False:
            words.append((option.opts if value else option.secondary_opts)[0])
        else:
            for each in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], str(each)]
    log = state_dir / LOG
    process = background.start(state_dir, NAME, words)
    log.unlink(missing_ok=True)
    log.symlink_to(LogFile.of(state_dir, NAME).path.relative_to(state_dir))
    return f"process {process.pid} takes images; its log is {log}"


def run(
    properties: Mapping[str, Any],
    *,
    bind: str,
    addresses: str,
    multiport: bool,
    token_file: Path | None,
    tango_port: int,
    state_dir: Path,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Args:
        properties: of the correlator image server, those that are not as always.
        bind: own address to listen on.
        addresses: IP=SUBBAND, with blanks between.
        multiport: whether each sub-band has a port, from the port up.
        token_file: nodes have to say its first line; None: nothing.
        tango_port: of the device; 0: any.
    """
    state_dir = state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    given = given_properties(properties)
    told = {"results": str(state_dir / "results"), **properties}
    ports = range(given.port, given.port + given.nchans) if multiport else [given.port]
    options = {"listen": " ".join(f"{bind}:{port}" for port in ports)}
    if multiport:
        options["order"] = "port"
    if addresses:
        options["addresses"] = addresses
    if token_file is not None:
        options["token_file"] = str(token_file.absolute())
    facility = Facility(
        name="correlator",
        path=Path("correlator"),
        state_dir=state_dir,
        ports=Ports(),
        devices={SERVER: {"CorrelatorServer": {DEVICE: texts(told)}}},
        classes={"CorrelatorServer": "devices.correlator:CorrelatorServer"},
        services=(NativeService("ingest", "ingest", DEVICE, options),),
    )
    parent_leash.attach()
    log_to_stderr()
    logging.getLogger("diptych").info("nodes send to %s", options["listen"])
    return Host(SERVER, facility, tango_host=None, state_dir=state_dir, tango_port=tango_port).run()
