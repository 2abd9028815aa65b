"""The figures of processes as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from servers.health.exposition import Metric
from servers.health.processes import ProcessFigures, ProcessState

PREFIX: Final = "diptych_process_"
STATES: Final = tuple(state for state in ProcessState if state is not ProcessState.EMPTY)

#: Name, kind, help, and the value of a process; None: it has none.
FIGURES: Final[tuple[tuple[str, str, str, Callable[[ProcessFigures], float | None]], ...]] = (
    ("up", "gauge", "1 if the process runs and does something.", lambda each: each.state is ProcessState.RUNNING),
    ("uptime_seconds", "gauge", "Since the process was started.", lambda each: each.uptime_s if each.pid else None),
    ("cpu_seconds_total", "counter", "CPU time with its helpers.", lambda each: each.cpu_s if each.pid else None),
    ("resident_memory_bytes", "gauge", "Resident memory with its helpers.", lambda each: each.memory_bytes),
    ("restarts_total", "counter", "Starts after the first one.", lambda each: each.restarts),
    ("threads", "gauge", "Threads with those of its helpers.", lambda each: each.threads),
    ("open_files", "gauge", "Open files and sockets with those of its helpers.", lambda each: each.files),
    (
        "heartbeats_total",
        "counter",
        "Counts up once a second while its loop turns.",
        lambda each: None if each.beat_age_s is None else each.beats,
    ),
    ("heartbeat_age_seconds", "gauge", "Since its last sign of life.", lambda each: each.beat_age_s),
    ("loop_lag_seconds", "gauge", "How late its loop was at worst in a second.", lambda each: each.lag_s),
)


def process_metrics(processes: Iterable[ProcessFigures]) -> list[Metric]:
    """One metric for each kind of figure, with a sample for each process."""
    found = list(processes)
    metrics = []
    for name, kind, text, value_of in FIGURES:
        metric = Metric(PREFIX + name, kind, text)
        for each in found:
            if (value := value_of(each)) is not None:
                metric.add(float(value), process=each.name)
        metrics.append(metric)
    states = Metric(PREFIX + "state", "gauge", "1 for the state that the process is in.")
    for each in found:
        for state in STATES:
            states.add(float(each.state is state), process=each.name, state=state.name)
    return [*metrics, states]
