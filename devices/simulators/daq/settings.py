"""The options of the simulated modules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.observing_run import STATUS_PIPE, RunName, module_numbers
from devices.drivers.pff_file import PffName

MODES: Final = ("filesystem", "pipe", "uds")
MOVIES: Final = ("img16", "img8", "none")
SIMULATED: Final = "obs_SIMULATE"
PULSE_HEIGHTS: Final = ("ph256", "ph1024", "none")


@dataclass(frozen=True)
class DaqSettings:
    """What is simulated.

    Args:
        mode: where frames go: files, files and a status pipe, or sockets.
        data_dir: of files; made when it is missing.
        socket_path_template: of sockets, with ``{dp_name}``.
        modules: their numbers.
        rate_hz: movie frames of each module.
        event_rate_hz: air showers, seen by all modules, on average.
        single_rate_hz: events that only one quabo of each module sees, on average.
        movie, pulse_heights: data products, or none.
        paths: PFF files that are played instead of the synthetic sky.
        burst_bytes: by how much files grow; 0: by each frame.
        max_file_mb: a file that is larger, in 10^6 bytes, is followed by the next one.
        keep_files: of each module and data product; older ones are deleted.
        frames_per_file: a file that holds so many is followed by the next one; 0: its size decides alone.
        frame_limit: so many movie frames of each module end the simulation; -1: none do.
        run: folder of a run, `obs_SIMULATE...`: frames that are there already are deleted.
        active_file: in that folder as long as the simulation runs, with ``{module_id}``.
        pipe_name: of the status pipe.
        seed: of the sky.
        turn_deg_per_s: how quickly the field of view turns.
    """

    mode: str = "filesystem"
    data_dir: str = ""
    socket_path_template: str = "/tmp/hashpipe_grpc.dp_{dp_name}.sock"  # noqa: S108 - the recorder's default
    modules: tuple[int, ...] = (224,)
    rate_hz: float = 10.0
    event_rate_hz: float = 1.0
    single_rate_hz: float = 1.0
    movie: str = "img16"
    pulse_heights: str = "ph256"
    paths: tuple[str, ...] = ()
    burst_bytes: int = 1 << 20
    max_file_mb: float = 100.0
    keep_files: int = 2
    frames_per_file: int = 0
    frame_limit: int = -1
    run: str = SIMULATED
    active_file: str = "module_{module_id}.daq-active"
    pipe_name: str = STATUS_PIPE
    seed: int = 0
    turn_deg_per_s: float = 0.1

    @classmethod
    def of(cls, options: Mapping[str, object]) -> DaqSettings:
        """Settings from options of a facility file or a command line.

        Raises:
            ConfigurationError: wrong options, all of them.
        """
        known = {each.name: each.default for each in fields(cls)}
        problems = [f"unknown option {name}" for name in options.keys() - known.keys()]
        values: dict[str, object] = {}
        for name, given in options.items():
            if name == "modules":
                values[name] = _modules(given, problems)
            elif name == "paths":
                values[name] = _paths(given, problems)
            elif name in _BOUNDS:
                number = _number(name, given, problems)
                values[name] = int(number) if isinstance(known[name], int) else number
            elif name in known:
                values[name] = str(given)
        for name, choices in (("mode", MODES), ("movie", MOVIES), ("pulse_heights", PULSE_HEIGHTS)):
            if values.get(name, choices[0]) not in choices:
                problems.append(f"{name} = {values[name]} is not {', '.join(choices[:-1])} or {choices[-1]}")
        found = cls(**values)  # type: ignore[arg-type]
        if found.mode == "uds" and "{dp_name}" not in found.socket_path_template:
            problems.append(f"socket_path_template = {found.socket_path_template} has no {{dp_name}}")
        if found.mode != "uds" and found.mode in MODES and not found.data_dir:
            problems.append("data_dir is missing: where the files appear")
        if "/" in found.run or not found.run.startswith(SIMULATED) or RunName.parse(found.run) is None:
            problems.append(f"run = {found.run} is not the name of a simulated run, such as {SIMULATED}")
        for name in ("pipe_name", "active_file"):
            if "/" in getattr(found, name) or not getattr(found, name):
                problems.append(f"{name} = {getattr(found, name)!r} is not the name of a file")
        if problems:
            raise ConfigurationError("simulator daq", sorted(problems))
        return found


#: Name -> lowest and highest number.
_BOUNDS: Final = {
    "rate_hz": (0.01, 5000.0),
    "event_rate_hz": (0.0, 1000.0),
    "single_rate_hz": (0.0, 1000.0),
    "burst_bytes": (0, 1 << 26),
    "max_file_mb": (0.001, 10_000.0),
    "keep_files": (1, 1_000_000),
    "frames_per_file": (0, 1_000_000_000),
    "frame_limit": (-1, 1 << 62),
    "seed": (0, 2**63),
    "turn_deg_per_s": (-360.0, 360.0),
}


def _number(name: str, given: object, problems: list[str]) -> float:
    lowest, highest = _BOUNDS[name]
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if lowest <= value <= highest:
        return value
    problems.append(f"{name} = {given} is not a number in [{lowest:g}, {highest:g}]")
    return lowest


def _modules(given: object, problems: list[str]) -> tuple[int, ...]:
    try:
        return module_numbers(given) or DaqSettings.modules
    except BadValueError as error:
        problems.append(f"modules = {error}")
        return DaqSettings.modules


def _paths(given: object, problems: list[str]) -> tuple[str, ...]:
    words = [str(each) for each in given] if isinstance(given, Sequence) and not isinstance(given, str) else None
    found = words if words is not None else [word for word in str(given).split(",") if word]
    for word in found:
        if PffName.parse(Path(word).name) is None:
            problems.append(f"paths: {word} is not the name of a PFF file (.dp_NAME., .pff)")
    return tuple(found)
