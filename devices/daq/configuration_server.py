"""How a DaqData server works: ``daq_data_server_config.json``, of today's and of the older generation.

Keys, bounds and defaults stand in `devices/drivers/daq_server.schema.json`. The older generation has `files` where
today's has `source_data` and `filesystem_cfg`, and the modes `filesystem` and `rpc` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devices.core.errors import ConfigurationError
from devices.daq.configuration import modules
from devices.drivers.json_schema import checked, schema_of
from devices.simulators.daq.settings import DaqSettings

#: Modes of a configuration -> modes of the simulator; frames of `rpc` go to no place.
MODES: Final = {
    "uds": "uds",
    "rpc": "rpc",
    "filesystem": "filesystem",
    "filesystem_poll": "filesystem",
    "filesystem_pipe": "pipe",
}
_FILES: Final = ("filesystem", "filesystem_poll", "filesystem_pipe")


@dataclass(frozen=True)
class UdsMethod:
    """Frames come over unix sockets; a connection that is silent for `read_timeout` s is not ended for that."""

    data_products: tuple[str, ...]
    socket_path_template: str
    read_timeout: float


@dataclass(frozen=True)
class SimulationConfig:
    """What is simulated.

    Args:
        mode: `filesystem`, `pipe`, `uds` or `rpc`.
        paths: PFF files that are played, as far as they exist; none: a synthetic sky.
        frame_limit: movie frames of each module; -1: no limit.
    """

    mode: str
    module_ids: tuple[int, ...]
    movie: str
    pulse_heights: str
    update_interval_seconds: float
    paths: tuple[Path, ...]
    data_dir: Path
    run: str
    active_file: str
    frames_per_file: int
    frame_limit: int

    def settings(self, socket_path_template: str, pipe_name: str) -> DaqSettings:
        """What the simulator needs: one movie frame and one pulse height of each module in an interval."""
        rate_hz = 1.0 / self.update_interval_seconds
        return DaqSettings(
            mode=self.mode if self.mode != "rpc" else "filesystem",
            data_dir=str(self.data_dir),
            socket_path_template=socket_path_template,
            modules=self.module_ids,
            rate_hz=rate_hz,
            event_rate_hz=rate_hz,
            single_rate_hz=0.0,
            movie=self.movie,
            pulse_heights=self.pulse_heights,
            paths=tuple(str(path) for path in self.paths if path.is_file()),
            burst_bytes=0,
            frames_per_file=self.frames_per_file,
            frame_limit=self.frame_limit,
            run=self.run,
            active_file=self.active_file,
            pipe_name=pipe_name,
        )


@dataclass(frozen=True)
class ServerConfig:
    """``daq_data_server_config.json``; names are those of the file.

    Args:
        unix_domain_socket: ``unix:///...``, empty: none.
        filesystem_poll, filesystem_pipe: whether frames are read from files, or as a status pipe tells.
        uds: None: frames do not come over sockets.
    """

    init_from_default: bool
    default_hp_io_config_file: Path
    unix_domain_socket: str
    max_concurrent_rpcs: int
    max_read_queue_size: int
    min_hp_io_update_interval_seconds: float
    max_client_update_interval_seconds: float
    max_reader_enqueue_timeouts: int
    max_reader_dequeue_timeouts: int
    reader_timeout: float
    shutdown_grace_period: float
    hp_io_stop_timeout: float
    valid_data_products: tuple[str, ...]
    read_status_pipe_name: str
    filesystem_poll: bool
    filesystem_pipe: bool
    uds: UdsMethod | None
    simulation: SimulationConfig

    def simulator_settings(self) -> DaqSettings:
        """What the simulator needs; its sockets are those of this server."""
        template = self.uds.socket_path_template if self.uds else DaqSettings.socket_path_template
        return self.simulation.settings(template, self.read_status_pipe_name)


_SAME: Final = (
    "init_from_default",
    "unix_domain_socket",
    "max_concurrent_rpcs",
    "max_read_queue_size",
    "min_hp_io_update_interval_seconds",
    "max_client_update_interval_seconds",
    "max_reader_enqueue_timeouts",
    "max_reader_dequeue_timeouts",
    "reader_timeout",
    "shutdown_grace_period",
    "hp_io_stop_timeout",
    "read_status_pipe_name",
)


def parse_server_config(
    document: object, subject: str = "daq_data_server_config", folder: Path = Path()
) -> ServerConfig:
    """Check a ``daq_data_server_config.json``.

    Args:
        folder: where relative paths begin, that of the file as a rule.
    Raises:
        ConfigurationError: all wrong entries, each with its key.
    """
    found = checked(document, schema_of("daq_server"), subject, subject)
    problems: list[str] = []
    methods = found["acquisition_methods"]
    simulation = _simulation(found["simulate_daq_cfg"], folder, problems)
    if found["min_hp_io_update_interval_seconds"] > found["max_client_update_interval_seconds"]:
        problems.append("min_hp_io_update_interval_seconds: above max_client_update_interval_seconds")
    if problems:
        raise ConfigurationError(subject, problems)
    uds = methods["uds"]
    return ServerConfig(
        default_hp_io_config_file=folder / found["default_hp_io_config_file"],
        valid_data_products=tuple(found["valid_data_products"]),
        filesystem_poll=methods["filesystem_poll"]["enabled"],
        filesystem_pipe=methods["filesystem_pipe"]["enabled"],
        uds=UdsMethod(tuple(uds["data_products"]), uds["socket_path_template"], float(uds["read_timeout"]))
        if uds["enabled"]
        else None,
        simulation=simulation,
        **{name: found[name] for name in _SAME},
    )


def _simulation(found: Mapping[str, Any], folder: Path, problems: list[str]) -> SimulationConfig:
    key = "simulate_daq_cfg"
    named, old = found["simulation_mode"], found.get("files", {})
    strategy = found["strategies"].get(named) or {"frame_limit": -1, "data_products": None}
    filesystem = {**old, **found.get("filesystem_cfg", {})}
    numbers = modules(found["sim_module_ids"], f"{key}.sim_module_ids", problems)
    products = strategy["data_products"]
    return SimulationConfig(
        mode=MODES[named],
        module_ids=numbers or (224,),
        movie=found["movie_type"] if products is None or found["movie_type"] in products else "none",
        pulse_heights=found["ph_type"] if products is None or found["ph_type"] in products else "none",
        update_interval_seconds=float(found["update_interval_seconds"]),
        paths=tuple(folder / path for path in _played(found, problems)),
        data_dir=folder / filesystem.get("sim_data_dir", filesystem.get("data_dir", "simulated_data_dir")),
        run=_run(filesystem, f"{key}.sim_run_dir_template", problems),
        active_file=filesystem.get("daq_active_file", DaqSettings.active_file),
        frames_per_file=strategy.get("frames_per_pff", found.get("frames_per_pff", 100 if named in _FILES else 0)),
        frame_limit=strategy["frame_limit"],
    )


def _played(found: Mapping[str, Any], problems: list[str]) -> list[str]:
    """The files that are played, of either generation."""
    source, old = found.get("source_data", {}), found.get("files", {})
    module = source.get("real_module_id", found.get("real_module_id", old.get("real_module_id", 1)))
    paths = [source[name] for name in ("movie_pff_path", "ph_pff_path") if source.get(name)]
    for name in ("movie_pff_template", "ph_pff_template"):
        if old.get(name) and not source:
            paths.append(str(Path(old.get("data_dir", ""), old.get("real_run_dir", ""), old[name])))
    try:
        return [path.format(module_id=module, seqno=0, **_types(found)) for path in paths]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        problems.append(f"simulate_daq_cfg: a path of frames has a placeholder that is unknown: {error}")
        return []


def _types(found: Mapping[str, Any]) -> dict[str, str]:
    return {"movie_type": found["movie_type"], "ph_type": found["ph_type"]}


def _run(filesystem: Mapping[str, Any], key: str, problems: list[str]) -> str:
    """The folder of a simulated run, of a template such as ``module_{module_id}/obs_SIMULATE``."""
    template = str(filesystem.get("sim_run_dir_template", "module_{module_id}/obs_SIMULATE"))
    folder, slash, run = template.strip("/").partition("/")
    if folder != "module_{module_id}" or not slash or "/" in run or not run.startswith("obs_SIMULATE"):
        problems.append(f"{key}: {template!r} is not module_{{module_id}}/obs_SIMULATE...")
    return run
