"""The health of a facility as a device: one row for each process."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.core import Device, Part, Properties, Quality, attribute, poll, setting
from devices.core.errors import NotConnectedError
from servers.health.processes import ProcessFigures, ProcessState, processes

ROWS: Final = 24
ROW_DIGITS: Final = 2
PERIOD_S: Final = 2.0
QUALITIES: Final = {
    ProcessState.STOPPED: Quality.WARNING,
    ProcessState.DOWN: Quality.WARNING,
    ProcessState.HUNG: Quality.ALARM,
}


@dataclass(frozen=True)
class HealthProperties(Properties):
    """Which facility."""

    state_dir: Path = setting(doc="The state directory of the facility")


class Row(Part["Health"]):
    """One process."""

    name = attribute(str, doc="The process; empty where there are no more", pv_name="ROW{key}:Name")
    state = attribute(ProcessState, doc="Whether process {key} works", pv_name="ROW{key}:State")
    pid = attribute(int, doc="Process id; 0 while there is none", pv_name="ROW{key}:Pid")
    uptime = attribute(float, unit="s", precision=0, doc="Since process {key} was started", pv_name="ROW{key}:Uptime")
    cpu = attribute(float, unit="%", precision=1, doc="CPU time, of one core", pv_name="ROW{key}:Cpu")
    memory = attribute(float, unit="MB", precision=1, doc="Resident memory", pv_name="ROW{key}:Memory")
    restarts = attribute(int, doc="Starts after the first one", pv_name="ROW{key}:Restarts")
    lag = attribute(float, unit="ms", precision=1, doc="How late its loop was at worst", pv_name="ROW{key}:Lag")
    age = attribute(float, unit="s", precision=0, doc="Since its last sign of life", pv_name="ROW{key}:Age")
    beats = attribute(int, doc="Counts up once a second; 0: it has no pulse", pv_name="ROW{key}:Heartbeat")
    threads = attribute(int, doc="Threads", pv_name="ROW{key}:Threads")
    files = attribute(int, doc="Open files and sockets", pv_name="ROW{key}:Files")


class Health(Device):
    """The processes of a facility: which work, since when, and what they need."""

    properties_class = HealthProperties
    properties: HealthProperties

    processes = attribute(int, doc="Processes of the facility, with the supervisor")
    running = attribute(int, doc="Processes that run and do something")
    restarts = attribute(int, doc="Starts of all processes after the first one")
    cpu = attribute(float, unit="%", precision=1, doc="CPU time of all, of one core")
    resident_memory = attribute(float, unit="MB", precision=0, doc="Resident memory of all")
    load = attribute(float, precision=2, doc="Load of the machine: processes that wait for a core, mean of a minute")
    disk_free = attribute(float, unit="GB", precision=1, doc="What is left for logs, history and state")
    problem = attribute(str, doc="Processes that do not work, and why; empty when all is well")

    def build(self) -> None:
        self.rows = list(self.parts(Row, [f"{number:0{ROW_DIGITS}d}" for number in range(1, ROWS + 1)]).values())
        self._cpu: dict[int, tuple[float, float]] = {}  # pid -> when, s of CPU

    @poll(PERIOD_S)
    async def poll_processes(self) -> None:
        """Look at all processes."""
        found = await asyncio.to_thread(processes, self.properties.state_dir)
        if not found:
            raise NotConnectedError(f"no facility runs on {self.properties.state_dir}")
        now, before = time.monotonic(), self._cpu
        self._cpu = {each.pid: (now, each.cpu_s) for each in found if each.pid}
        percents = [_percent(now, each, before.get(each.pid)) for each in found]
        for number, row in enumerate(self.rows):
            _fill(row, found[number] if number < len(found) else NOBODY, percents[number] if number < len(found) else 0)
        lines = [f"{each.name}: {each.why}" for each in found if each.why]
        if len(found) > ROWS:
            lines.append(f"{len(found) - ROWS} processes more than there are rows")
        hung = any(each.state is ProcessState.HUNG for each in found)
        self.processes.publish_change(len(found))
        self.running.publish_change(sum(each.state is ProcessState.RUNNING for each in found))
        self.restarts.publish_change(sum(each.restarts for each in found))
        self.cpu.publish_change(round(sum(percents), 1))
        self.resident_memory.publish_change(round(sum(each.memory_bytes for each in found) / 1e6))
        self.load.publish_change(round(os.getloadavg()[0], 2))
        self.disk_free.publish_change(round(shutil.disk_usage(self.properties.state_dir).free / 1e9, 1))
        self.problem.publish_change("; ".join(lines), Quality.ALARM if hung else Quality.VALID)


NOBODY: Final = ProcessFigures("", ProcessState.EMPTY)


def _fill(row: Row, figures: ProcessFigures, percent: float) -> None:
    row.name.publish_change(figures.name)
    row.state.publish_change(figures.state, QUALITIES.get(figures.state, Quality.VALID))
    row.pid.publish_change(figures.pid)
    row.uptime.publish_change(float(round(figures.uptime_s)))
    row.cpu.publish_change(round(percent, 1))
    row.memory.publish_change(round(figures.memory_bytes / 1e6, 1))
    row.restarts.publish_change(figures.restarts)
    row.lag.publish_change(round(1e3 * (figures.lag_s or 0.0), 1))
    row.age.publish_change(float(round(figures.beat_age_s or 0.0)))
    row.beats.publish_change(figures.beats)
    row.threads.publish_change(figures.threads)
    row.files.publish_change(figures.files)


def _percent(now: float, figures: ProcessFigures, before: tuple[float, float] | None) -> float:
    """CPU time since the look before, of one core, %."""
    if before is None or now <= before[0]:
        return 0.0
    return max(0.0, 100.0 * (figures.cpu_s - before[1]) / (now - before[0]))
