"""Memory, files and threads of the mirror's processes over time, as numbers, as a plot, and as a judgement."""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from servers.epics.lanes import THREADS
from tests.soak.values import RACKS

PERIOD = 2.0  # s
WINDOW = 0.1  # of the whole time: what is compared are medians over such windows
GROWTH = 0.05
#: What there may be more of: clients come and go, and a device gets its put threads as they are needed.
SPARE = {"rss_mb": 0.0, "files": 4, "threads": 4 + THREADS * RACKS}
TRACES = ("rss_mb", "files", "threads")

Sample = dict[str, Any]


def usage(process: psutil.Process) -> dict[str, float]:
    with process.oneshot():
        return {
            "rss_mb": process.memory_info().rss / 1e6,
            "files": process.num_fds(),
            "threads": process.num_threads(),
            "cpu_s": sum(process.cpu_times()[:2]),
        }


class Samples(threading.Thread):
    """Takes a sample every 2 s until ``stop``.

    Args:
        counts: what else is counted, with each sample.
    """

    def __init__(self, processes: Mapping[str, psutil.Process], counts: Callable[[], Mapping[str, float]]) -> None:
        super().__init__(name="samples", daemon=True)
        self.taken: list[Sample] = []
        self._processes, self._counts = processes, counts
        self._stopping = threading.Event()

    def run(self) -> None:
        begun = time.monotonic()
        while not self._stopping.wait(PERIOD):
            now = {name: usage(process) for name, process in self._processes.items()}
            self.taken.append({"s": time.monotonic() - begun, **now, **self._counts()})

    def stop(self) -> list[Sample]:
        self._stopping.set()
        self.join()
        return self.taken


def figures(samples: list[Sample], process: str, warm_up: float) -> dict[str, dict[str, float]]:
    """After the warm-up, at the end (medians over a tenth of the time), and the highest since the warm-up."""
    end = samples[-1]["s"]
    rows = {}
    for trace in TRACES:
        warm = [each[process][trace] for each in samples if warm_up <= each["s"] <= warm_up + WINDOW * end]
        last = [each[process][trace] for each in samples if each["s"] >= (1.0 - WINDOW) * end]
        since = [each[process][trace] for each in samples if each["s"] >= warm_up]
        rows[trace] = {"warm": statistics.median(warm), "end": statistics.median(last), "most": max(since)}
    return rows


def growths(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What grew by more than 5 % between the warm-up and the end."""
    return [
        f"{trace}: {row['warm']:.1f} after the warm-up, {row['end']:.1f} at the end"
        for trace, row in figures.items()
        if row["end"] > (1.0 + GROWTH) * row["warm"] + SPARE[trace]
    ]


def write(folder: Path, report: Mapping[str, Any], samples: list[Sample]) -> None:
    """``soak.json`` and ``soak.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(json.dumps({**report, "samples": samples}, indent=1))
    plot(folder / "soak.png", samples, report["figures"])


def plot(path: Path, samples: list[Sample], processes: Mapping[str, Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    minutes = [each["s"] / 60 for each in samples]
    figure = Figure(figsize=(9, 10), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True)
    for axis, trace, label in zip(axes, TRACES, ("RSS / MB", "open files", "threads"), strict=False):
        for name in processes:
            axis.plot(minutes, [each[name][trace] for each in samples], label=name)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend(loc="lower right")
    steps = itertools.pairwise(samples)
    rates = [(after["updates"] - before["updates"]) / (after["s"] - before["s"]) for before, after in steps]
    axes[3].plot(minutes[1:], rates, label="updates / s")
    axes[3].plot(minutes, [each["subscriptions"] for each in samples], label="subscriptions")
    axes[3].set_ylim(bottom=0)
    axes[3].legend(loc="lower right")
    axes[3].set_xlabel("minutes")
    figure.savefig(path, dpi=100)
