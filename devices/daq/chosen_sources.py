"""Which sources a DAQ node has for a configuration, by its properties, or by its server's configuration file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import psutil

from devices.core.errors import BadValueError, NotAllowedError
from devices.daq.configuration import read_configuration
from devices.daq.configuration_server import ServerConfig, parse_server_config
from devices.daq.frame import Frame
from devices.daq.node import Acquisition, Limits
from devices.daq.properties import DaqProperties, simulation_options
from devices.daq.sources.quabo_udp import QuaboUdp
from devices.daq.sources.run_directory import RunDirectory
from devices.daq.sources.simulation import SimulatedRecorder, Simulation
from devices.daq.sources.source import Source
from devices.daq.sources.status_pipe import StatusPipe
from devices.daq.sources.unix_sockets import UnixSockets
from devices.simulators.daq.settings import DaqSettings

RECORDER: Final = "hashpipe"
IN_PROCESS: Final = "rpc"
ACTIVE: Final = "module_*/obs_*/module_*.daq-active"  # the mark of a simulated recorder


class ChosenSources:
    """Makes and checks the sources of configurations.

    Raises:
        ConfigurationError: the file that the properties name is wrong.
    """

    def __init__(self, given: DaqProperties) -> None:
        self._config: ServerConfig | None = None
        if given.config:
            path = Path(given.config)
            self._config = read_configuration(path, lambda found, name: parse_server_config(found, name, path.parent))
            given = _as_configured(given, self._config)
        self._given = given

    @property
    def limits(self) -> Limits:
        """What clients may do."""
        config = self._config
        if config is None:
            return Limits(max_read_queue_size=self._given.queue_size)
        return Limits(**{each.name: getattr(config, each.name) for each in fields(Limits)})

    async def check(self, wanted: Acquisition) -> None:
        """What has to be so before a configuration is taken into use.

        Raises:
            BadValueError: no such folder, or it lies where clients may not look. NotAllowedError: no recorder runs.
        """
        if wanted.simulates:
            return
        await asyncio.to_thread(self._check, wanted.data_dir)

    def make(self, wanted: Acquisition, publish: Callable[[Frame], None]) -> list[Source]:
        """The sources, not yet running.

        Raises:
            BadValueError: a property is wrong.
        """
        if wanted.simulates:
            return self._simulated(wanted, publish)
        given, modules = self._given, wanted.modules
        sources: list[Source] = []
        if wanted.data_dir and given.watches_files:
            sources.append(RunDirectory(publish, Path(wanted.data_dir), modules=modules, polls=given.polls))
        if wanted.data_dir and given.reads_pipe:
            sources.append(StatusPipe(publish, Path(wanted.data_dir), modules=modules, name=given.pipe_name))
        if given.sockets:
            sources.append(UnixSockets(publish, given.sockets, products=given.socket_products, modules=modules))
        if given.udp:
            host, _, port = given.udp.rpartition(":")
            sources.append(
                QuaboUdp(publish, host, int(port), modules=modules, groups_pulse_heights=given.groups_pulse_heights)
            )
        return sources

    def _simulated(self, wanted: Acquisition, publish: Callable[[Frame], None]) -> list[Source]:
        if self._config is not None:
            mode, settings = self._config.simulation.mode, self._config.simulator_settings()
        else:
            options = dict(simulation_options(self._given.simulation))
            mode = options.pop("mode", IN_PROCESS)
            options = {"data_dir": wanted.data_dir or self._given.data_dir or "/"} | options
            settings = DaqSettings.of(options | {"mode": "uds" if mode == IN_PROCESS else mode})
        if mode == IN_PROCESS:
            return [Simulation(publish, settings)]
        recorder = SimulatedRecorder(publish, settings)
        folder = Path(settings.data_dir)
        if mode == "uds":
            return [UnixSockets(publish, settings.socket_path_template, modules=wanted.modules), recorder]
        folder.mkdir(parents=True, exist_ok=True)
        if mode == "pipe":
            return [StatusPipe(publish, folder, modules=wanted.modules, name=settings.pipe_name), recorder]
        return [RunDirectory(publish, folder, modules=wanted.modules), recorder]

    def _check(self, data_dir: str) -> None:
        given = self._given
        needs_folder = given.watches_files or given.reads_pipe
        if needs_folder or data_dir:
            real = os.path.realpath(data_dir) if data_dir and "\0" not in data_dir else ""
            root = os.path.realpath(given.data_root)
            # One text for both: whoever asks does not learn what else there is on this machine.
            if not (real and Path(real).is_relative_to(root) and os.path.isdir(real)):
                raise BadValueError(f"data_dir '{data_dir}' does not exist.")
        if given.needs_recorder and needs_folder and not _recorder_runs(Path(data_dir)):
            raise NotAllowedError("Real DAQ software is not active.")


def _as_configured(given: DaqProperties, config: ServerConfig) -> DaqProperties:
    """The properties with what the configuration file says of sources."""
    uds = config.uds
    return replace(
        given,
        watches_files=config.filesystem_poll,
        reads_pipe=config.filesystem_pipe,
        pipe_name=config.read_status_pipe_name,
        sockets=uds.socket_path_template if uds else "",
        socket_products=uds.data_products if uds else given.socket_products,
    )


def _recorder_runs(data_dir: Path) -> bool:
    if any(True for _ in data_dir.glob(ACTIVE)):
        return True
    return any(process.info["name"] == RECORDER for process in psutil.process_iter(["name"]))
