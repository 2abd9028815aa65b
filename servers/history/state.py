"""How the recording goes, in a small file that other commands read.

The file is written over in place and never grows, so that it can say that the disk is full.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = "state.json"
FILE_BYTES: Final = 4096
SILENCE_S: Final = 15.0  # after so long without news, whoever wrote them is gone


@dataclass(frozen=True)
class State:
    """How the recording goes.

    Attributes:
        reason: why it pauses, "" while it does not.
        since_s: when that began, s since 1970; ``now_s``, when this was written.
        samples_per_s: in the last second.
        waiting, lost: samples that wait for the store, and that were dropped since there was no room.
        size_bytes: of the store.
    """

    is_recording: bool
    reason: str
    since_s: float
    now_s: float
    samples_per_s: float = 0.0
    waiting: int = 0
    lost: int = 0
    size_bytes: int = 0

    def write(self, path: Path) -> None:
        """Replace what the file says; a disk that cannot even do that is spoken of by nobody."""
        text = json.dumps(asdict(self))[: FILE_BYTES - 1].ljust(FILE_BYTES - 1) + "\n"
        with contextlib.suppress(OSError):
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                os.pwrite(number, text.encode("ascii", "replace"), 0)
            finally:
                os.close(number)

    @classmethod
    def read(cls, path: Path) -> State | None:
        """What the file says; None when there is none."""
        try:
            return cls(**json.loads(path.read_text(encoding="ascii")))
        except (OSError, ValueError, TypeError):
            return None

    def line(self, now_s: float) -> str:
        """In words."""
        if now_s - self.now_s > SILENCE_S:
            return f"not recording: nothing was heard of the recorder for {now_s - self.now_s:.0f} s"
        rate = f"{self.samples_per_s:.0f} samples/s, {self.size_bytes / 1e6:.1f} MB"
        waits = (f", {self.waiting} samples wait" if self.waiting else "") + (
            f", {self.lost} lost" if self.lost else ""
        )
        if self.is_recording:
            return f"recording, {rate}{waits}"
        return f"recording pauses for {now_s - self.since_s:.0f} s: {self.reason}{waits}"
