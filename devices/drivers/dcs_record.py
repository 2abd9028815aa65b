"""A record of what went over the wire between DCSS and hardware servers: JSON lines, one a message."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from devices.core.errors import BadValueError
from devices.core.json_text import read_json_text
from devices.drivers.dcs_text import masked

#: ``in``: from DCSS; ``out``: to it; ``link``: a connection began or ended, the text says how.
DIRECTIONS: Final = ("in", "out", "link")


@dataclass(frozen=True)
class WireLine:
    """One message of a record.

    Attributes:
        time: Unix, s. name: of the hardware server. direction: of `DIRECTIONS`.
        text: what begins with PRIVATE is hidden. binary: what came behind it.
    """

    time: float
    name: str
    direction: str
    text: str
    binary: bytes = b""

    def as_json(self) -> str:
        """As a line of the file, without its end."""
        line = {"time": round(self.time, 6), "name": self.name, "direction": self.direction, "text": masked(self.text)}
        if self.binary:
            line["binary"] = base64.b64encode(self.binary).decode("ascii")
        return json.dumps(line)

    @classmethod
    def of_json(cls, line: str) -> WireLine:
        """From a line of the file.

        Raises:
            BadValueError: it is none.
        """
        try:
            found = read_json_text(line)
            binary = base64.b64decode(found.get("binary", ""), validate=True)
            wire_line = cls(
                float(found["time"]), str(found["name"]), str(found["direction"]), str(found["text"]), binary
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise BadValueError(f"line = {line!r:.80} is none of a wire record: {error}") from None
        if wire_line.direction not in DIRECTIONS:
            raise BadValueError(f"direction = {wire_line.direction!r} is none of {', '.join(DIRECTIONS)}")
        return wire_line


class WireRecord:
    """Takes messages down, several hardware servers into one file.

    Args:
        path: is continued; a line is complete in the file when ``note`` returns.
        max_bytes: the file that is so long becomes PATH.1, and a new one begins.
    """

    def __init__(self, path: Path, max_bytes: int = 64 << 20) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._file: TextIO = path.open("a", buffering=1, encoding="ascii")

    def note(self, name: str, direction: str, text: str, binary: bytes = b"") -> None:
        """Write one message down.

        Raises:
            OSError: no room, no permission.
        """
        self._file.write(WireLine(time.time(), name, direction, text, binary).as_json() + "\n")
        if self._file.tell() > self._max_bytes:
            self.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("a", buffering=1, encoding="ascii")

    def close(self) -> None:
        """End the record."""
        self._file.close()


def read_record(path: Path) -> Iterator[WireLine]:
    """The messages of a record; a last line that was cut off is left out.

    Raises:
        BadValueError: another line is none of a record.
    """
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            if line.strip():
                yield WireLine.of_json(line)
