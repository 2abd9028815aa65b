"""The memory of all processes of a facility over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
import psutil

PERIOD_S: Final = 5.0
SETTLED_S: Final = 60.0  # of a process, before its memory says whether it grows
SLOPE_S: Final = 240.0  # a shorter time tells no slope


class Memory(threading.Thread):
    """Resident memory of each process, every 5 s.

    Args:
        processes: name -> pid, as it is now.
    """

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        super().__init__(name="memory", daemon=True)
        self._processes = processes
        self._samples: dict[str, list[tuple[float, int, float]]] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            with suppress(AssertionError):  # no facility runs now
                for name, pid in self._processes().items():
                    with suppress(psutil.NoSuchProcess):
                        megabytes = psutil.Process(pid).memory_info().rss / 1e6
                        self._samples.setdefault(name, []).append((time.monotonic(), pid, megabytes))

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def figures(self) -> dict[str, dict[str, Any]]:
        """Name -> lives, MB at the beginning (of the first life, settled if it was long), at the end, at most; MB/h."""
        rows = {}
        for name, samples in sorted(self._samples.items()):
            lives: dict[int, list[tuple[float, float]]] = {}
            for at, pid, megabytes in samples:
                lives.setdefault(pid, []).append((at, megabytes))
            first, longest = next(iter(lives.values())), max(lives.values(), key=lambda life: life[-1][0] - life[0][0])
            settled = [each for each in first if each[0] - first[0][0] > SETTLED_S] or first[-1:]
            rows[name] = {
                "lives": len(lives),
                "begin_mb": settled[0][1],
                "end_mb": samples[-1][2],
                "most_mb": max(megabytes for *_, megabytes in samples),
                "slope_mb_per_h": slope(longest),
            }
        return rows


def slope(life: list[tuple[float, float]]) -> float | None:
    """MB per hour of one life, behind its first minute; None when it was too short."""
    settled = np.array([each for each in life if each[0] - life[0][0] > SETTLED_S])
    if len(settled) < 3 or settled[-1, 0] - settled[0, 0] < SLOPE_S:
        return None
    return float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0] * 3600.0)
