"""A series of exposures at a simulated beamline: images, the detector's log, the file of the data logger."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from devices.simulators.saxs import write_image
from devices.simulators.saxs_logs import Beamline, Exposed, detector_header, detector_row

T0 = 1400682300.0  # 2014-05-21 14:25:00 UTC, the day of a measurement of silver behenate
FRAME = np.arange(6, dtype=np.int32).reshape(2, 3)
AHEAD = 41.2345  # s, by how much the clock of the beamline is ahead


@dataclass(frozen=True)
class Series:
    """What lies in a folder.

    Args:
        folder: of the images.
        log: of the beamline, with the Mac's epoch.
    """

    folder: Path
    log: Path
    beamline: Beamline
    exposures: list[Exposed]

    def middle(self, number: int) -> float:
        exposed = self.exposures[number]
        return exposed.start + exposed.seconds / 2.0


def take(base: Path, lengths: list[float], *, period: float = 0.1, names: list[str] | None = None) -> Series:
    """Expose for these times (s), with 2.5 s after each; the data logger runs from 3 s before to 3 s after."""
    folder = base / "data"
    folder.mkdir(parents=True, exist_ok=True)
    beamline, exposures, start = Beamline(T0, AHEAD, period), [], T0
    for number, seconds in enumerate(lengths):
        exposures.append(Exposed(names[number] if names else f"agbeh_{number:05d}.tif", start, seconds))
        start += seconds + 2.5
    for each in exposures:
        write_image(folder / each.name, FRAME, each.seconds, each.start)
    (folder / "detector.log").write_text(detector_header() + "".join(map(detector_row, exposures)))
    log = base / "datalogger.txt"
    log.write_text(beamline.header() + beamline.rows(T0 - 3.0, start + 0.5, exposures))
    return Series(folder, log, beamline, exposures)


def configuration(**changes: Any) -> dict[str, Any]:
    """Merge the logger's file; the first image tells the time shift."""
    table = {"Name": "Dlogger", "FirstImageCorrelation": True, "Files": [{"RemotePath": ["datalogger.txt"]}]}
    return {"TimeOffset": 0, "LogDataTables": [table], "OutputFormats": {"csv": True}, **changes}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
