"""The options of the simulated modules."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError
from devices.drivers.observing_run import MAX_MODULE, STATUS_PIPE, RunName
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
        run: folder of a run, `obs_SIMULATE...`: frames that are there already are deleted.
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
    run: str = SIMULATED
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
        if not found.pipe_name or "/" in found.pipe_name:
            problems.append(f"pipe_name = {found.pipe_name!r} is not the name of a file")
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
    """Numbers and ranges, ``[1, 3]`` or ``"1,5-8"``."""
    words = [str(each) for each in given] if isinstance(given, Sequence) and not isinstance(given, str) else None
    found: list[int] = []
    for word in words if words is not None else str(given).split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_MODULE:
            problems.append(f'modules = {given} are not numbers and ranges up to {MAX_MODULE}, such as "1,5-8"')
            break
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found)) or (224,)


def _paths(given: object, problems: list[str]) -> tuple[str, ...]:
    words = [str(each) for each in given] if isinstance(given, Sequence) and not isinstance(given, str) else None
    found = words if words is not None else [word for word in str(given).split(",") if word]
    for word in found:
        if PffName.parse(Path(word).name) is None:
            problems.append(f"paths: {word} is not the name of a PFF file (.dp_NAME., .pff)")
    return tuple(found)
