"""The logs beside a simulated SAXS detector: a data logger of the beamline, whose clock is ahead; the detector's own.

The motor ramps, the ionisation chamber falls with the ring current: what they are at any time is known exactly.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

BEAMLINE_LOG, DETECTOR_LOG, MERGE_NAME = "beamline.txt", "detector.log", "merge.json"
MAC_EPOCH_S: Final = 2_082_844_800
OPEN_VOLT: Final = 5.0
JUST_BEFORE_S: Final = 2e-6


class Exposed(NamedTuple):
    """An image: its file, the begin of its exposure (s since 1970, by the detector's clock) and its length, s."""

    name: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Beamline:
    """A beamline with a shutter, an ionisation chamber and a motor.

    Args:
        origin: when the motor begins, s since 1970 by the detector's clock.
        ahead_seconds: by how much the beamline's clock is ahead of the detector's.
        period_seconds: of the logger's rows; it writes one just before and one after each change of the shutter, too.
    """

    origin: float
    ahead_seconds: float = 0.0
    period_seconds: float = 0.1
    epoch: Literal["Mac", "Unix"] = "Mac"

    def motor_mm(self, at: float) -> float:
        """Where the motor is: 0.05 mm/s from 2 mm on."""
        return 2.0 + 0.05 * (at - self.origin)

    def ionisation(self, at: float) -> float:
        """What the ionisation chamber counts in a second: the ring current's 10 h of life."""
        return 1e5 * math.exp((self.origin - at) / 36_000.0)

    def header(self) -> str:
        return "Time\tShutter\tIoni         \tMotor X\tSample\n"

    def rows(self, start: float, end: float, exposures: Sequence[Exposed]) -> str:
        """The rows after `start` up to `end`, s since 1970 by the detector's clock."""
        count = math.floor((end - start) / self.period_seconds)
        changes = {at for each in exposures for at in (each.start, each.start + each.seconds)}
        times = {start + number * self.period_seconds for number in range(1, count + 1)}
        times |= changes | {at - JUST_BEFORE_S for at in changes}
        return "".join(self._row(at, exposures) for at in sorted(times) if start < at <= end)

    def _row(self, at: float, exposures: Sequence[Exposed]) -> str:
        is_open = any(each.start <= at < each.start + each.seconds for each in exposures)
        clock = at + self.ahead_seconds + (MAC_EPOCH_S if self.epoch == "Mac" else 0)
        shutter = OPEN_VOLT if is_open else 0.02
        return f"{clock:.6f}\t{shutter}\t{self.ionisation(at):.6f}\t{self.motor_mm(at):.6f}\tagbeh\n"


def detector_header() -> str:
    return "Time Requested   Time Measured   End Date Time               File Name\n" + 78 * "-" + "\n"


def detector_row(exposed: Exposed) -> str:
    """The line of an image; its date is the clock of the wall, as detectors write it."""
    end = datetime.fromtimestamp(exposed.start + exposed.seconds)
    date = end.isoformat(sep=" ", timespec="microseconds")
    return f"{exposed.seconds:14.6f}  {exposed.seconds:14.6f}   {date}  {exposed.name}\n"


class LiveLogs:
    """Logs that grow with the images of a folder, and the configuration that merges them.

    Args:
        keep: the logs begin anew with the newest images after so many.
    """

    def __init__(self, folder: Path, beamline: Beamline, keep: int) -> None:
        self._folder, self._beamline = folder, beamline
        self._newest: deque[Exposed] = deque(maxlen=keep)
        self._written, self._count = beamline.origin, 0

    def prepare(self) -> None:
        """Write the configuration."""
        zone = datetime.fromtimestamp(self._beamline.origin).replace(tzinfo=UTC).timestamp() - self._beamline.origin
        document = {
            "TimeOffset": round(zone - self._beamline.ahead_seconds, 6),
            "LogDataTables": [
                {
                    "Name": "Dlogger",
                    "TimeEpoch": self._beamline.epoch,
                    "Files": [{"RemotePath": [BEAMLINE_LOG], "LocalPath": ""}],
                }
            ],
            "OutputFormats": {"csv": True, "hdf": False, "exel": False, "json": False},
            "HDFOptions": {"IncludeCHI": False, "IncludeTIF": False},
            "OutputFileBaseName": "./results/logs/",
        }
        (self._folder / MERGE_NAME).write_text(json.dumps(document, indent=2))

    def free_seconds(self, now: float, seconds: float) -> float:
        """How long an exposure that ends now can have been: the shutter was closed after the one before."""
        return max(min(seconds, now - self._written - 2.0 * JUST_BEFORE_S), JUST_BEFORE_S) if self._count else seconds

    def add(self, exposed: Exposed) -> None:
        """An image was taken."""
        begins = self._count % (self._newest.maxlen or 1) == 0
        self._newest.append(exposed)
        self._count += 1
        if begins:
            self._written = self._newest[0].start - 1.0
        end = exposed.start + exposed.seconds
        images = list(self._newest) if begins else [exposed]
        rows = self._beamline.rows(self._written, end, self._newest)
        lines = "".join(map(detector_row, images))
        self._write(BEAMLINE_LOG, self._beamline.header() + rows if begins else rows, begins)
        self._write(DETECTOR_LOG, detector_header() + lines if begins else lines, begins)
        self._written = end

    def _write(self, name: str, text: str, begins: bool) -> None:
        with (self._folder / name).open("w" if begins else "a") as file:
            file.write(text)
