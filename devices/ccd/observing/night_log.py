"""The log of a night: a line of CSV for each image and each row, beside those of other scripts of that night."""

from __future__ import annotations

import csv
import io
import os
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from devices.core.errors import StorageError


@dataclass(frozen=True)
class Line:
    """What was done; a time is UTC, a place J2000, and what there is not is empty.

    Attributes:
        outcome: done, failed, skipped, paused, begun or ended. problem: why.
        took: s. image: its number within the row.
    """

    time: str
    script: str
    row: int | str = ""
    image: int | str = ""
    command: str = ""
    target: str = ""
    filter: str = ""
    type: str = ""
    seconds: float | str = ""
    file: str = ""
    right_ascension: str = ""
    declination: str = ""
    altitude: str = ""
    airmass: str = ""
    outcome: str = ""
    took: str = ""
    problem: str = ""


def utc(unix_seconds: float) -> str:
    """A moment, to a second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_seconds))


def night_of(unix_seconds: float, longitude_deg: float) -> str:
    """The date of a night, that of its evening: it changes at local noon."""
    return time.strftime("%Y-%m-%d", time.gmtime(unix_seconds + longitude_deg / 360.0 * 86400.0 - 43200.0))


class NightLog:
    """A folder with one file for each night. Methods block as long as the disk does, and raise StorageError."""

    def __init__(self, folder: Path, longitude_deg: float) -> None:
        self._folder, self._longitude = folder, longitude_deg

    def path(self, unix_seconds: float) -> Path:
        """Where what is done now stands."""
        return self._folder / f"night-{night_of(unix_seconds, self._longitude)}.csv"

    def add(self, line: Line, unix_seconds: float) -> None:
        """Append a line; a new file begins with the names of the columns."""
        path = self.path(unix_seconds)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", newline="") as file:
                if file.tell() == 0:
                    writer.writerow(field.name for field in fields(Line))
                writer.writerow(astuple(line))
                file.write(text.getvalue())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error
