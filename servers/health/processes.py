"""The processes of a facility as the kernel, the supervisor and their pulses show them."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from servers.facility import programs, record
from servers.facility.pulse import Beat, read_pulse

SUPERVISOR: Final = "facility"
HUNG_S: Final = 5.0  # without a beat
_HALTED: Final = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class ProcessState(enum.IntEnum):
    """EMPTY: there is no process; STOPPED: by request; DOWN: it ended and is started again; HUNG: it does nothing."""

    EMPTY = 0
    RUNNING = 1
    STOPPED = 2
    DOWN = 3
    HUNG = 4


@dataclass(frozen=True)
class ProcessFigures:
    """One process with its helpers, which are in its process group.

    Attributes:
        pid: 0 while there is none.
        uptime_s: since it was started.
        cpu_s: CPU time since then.
        memory_bytes: resident.
        restarts: how often it was started after the first time.
        threads, files: how many it has, and has open.
        beats: of its pulse; 0 where it has none.
        beat_age_s: since the last one; None where it has no pulse.
        lag_s: how late its loop was at worst in the last second; None where it has no pulse.
        why: what is wrong.
    """

    name: str
    state: ProcessState
    pid: int = 0
    uptime_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    restarts: int = 0
    threads: int = 0
    files: int = 0
    beats: int = 0
    beat_age_s: float | None = None
    lag_s: float | None = None
    why: str = ""


def processes(state_dir: Path) -> list[ProcessFigures]:
    """Every process of the facility that runs on a state directory, the supervisor first; none when none runs."""
    running = record.running(state_dir)
    if running is None:
        return []
    groups = _groups()
    found = [_figures(state_dir, SUPERVISOR, running.pid, 0, [])]
    for name, starts in running.starts.items():
        pid = running.processes.get(name, 0)
        found.append(_figures(state_dir, name, pid, max(0, starts - 1), groups.get(pid, [])))
    return found


def _figures(state_dir: Path, name: str, pid: int, restarts: int, members: Iterable[int]) -> ProcessFigures:
    with suppress(psutil.NoSuchProcess):
        if pid:
            leader = psutil.Process(pid)
            status = leader.status()
            if status != psutil.STATUS_ZOMBIE:
                beat = read_pulse(state_dir, name)
                beat = beat if beat is not None and beat.pid == pid else None
                state, why = _state(status, beat)
                return _sum(name, state, leader, restarts, members, beat, why)
    if programs.is_held_back(state_dir, name):
        return ProcessFigures(name, ProcessState.STOPPED, restarts=restarts, why="stopped by request")
    return ProcessFigures(name, ProcessState.DOWN, restarts=restarts, why="it ended and is to be started again")


def _state(status: str, beat: Beat | None) -> tuple[ProcessState, str]:
    if status in _HALTED:
        return ProcessState.HUNG, "halted by a signal"
    if beat is not None and beat.age_s > HUNG_S:
        return ProcessState.HUNG, f"no sign of life for {beat.age_s:.0f} s"
    return ProcessState.RUNNING, ""


def _sum(
    name: str,
    state: ProcessState,
    leader: psutil.Process,
    restarts: int,
    members: Iterable[int],
    beat: Beat | None,
    why: str,
) -> ProcessFigures:
    cpu_s, memory, threads, files = 0.0, 0, 0, 0
    for pid in {leader.pid, *members}:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # a helper may end meanwhile
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                cpu_s += times.user + times.system
                if name != SUPERVISOR:  # whose children are processes of their own
                    cpu_s += times.children_user + times.children_system
                memory += process.memory_info().rss
                threads += process.num_threads()
                files += process.num_fds()
    return ProcessFigures(
        name=name,
        state=state,
        pid=leader.pid,
        uptime_s=max(0.0, time.time() - leader.create_time()),
        cpu_s=cpu_s,
        memory_bytes=memory,
        restarts=restarts,
        threads=threads,
        files=files,
        beats=beat.count if beat else 0,
        beat_age_s=beat.age_s if beat else None,
        lag_s=beat.lag_s if beat else None,
        why=why,
    )


def _groups() -> dict[int, list[int]]:
    """Process group -> pids."""
    groups: dict[int, list[int]] = {}
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            groups.setdefault(os.getpgid(pid), []).append(pid)
    return groups
