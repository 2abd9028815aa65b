"""The log of one process: its stdout and stderr, in the state directory, limited in length."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 5 << 20


@dataclass(frozen=True)
class LogFile:
    """``STATE/log/NAME.log``, and ``NAME.log.1`` with what was before it."""

    path: Path

    @classmethod
    def of(cls, state_dir: Path, name: str) -> LogFile:
        """The log of a process; the folder is made when it is missing."""
        folder = state_dir / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder / f"{name.replace('/', '.')}.log")

    @classmethod
    def all(cls, state_dir: Path) -> list[LogFile]:
        """Those of every process that ever ran here, also of servers in the background."""
        return [cls(path) for path in (state_dir / "log").glob("*.log")]

    def last_line(self) -> str:
        """The last line that is not empty: it says why a process ended."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 2000))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")

    def limit(self) -> None:
        """Set a long log aside. The file stays the same one, since the process has it open for appending."""
        aside = self.path.with_suffix(".log.1")
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size > LIMIT_BYTES:
                try:
                    shutil.copyfile(self.path, aside)
                except OSError:  # the disk is full, and needs the room more than the old lines
                    aside.unlink(missing_ok=True)
                os.truncate(self.path, 0)
