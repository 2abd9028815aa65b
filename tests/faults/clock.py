"""A date that a campaign moves while processes run; the date of the machine stays as it is."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("clock.c")


class Clock:
    """The date of all processes that are started with its ``environment``.

    Args:
        folder: for the library and the file.

    Raises:
        OSError: there is no C compiler, or it cannot make the library.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise OSError("there is no C compiler (cc)")
        library, self._file = folder / "clock.so", folder / "clock"
        words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{SOURCE} cannot be compiled: {done.stderr[-300:]}")
        self.move(0)
        self.environment = {"LD_PRELOAD": str(library), "FALSE_CLOCK": str(self._file)}

    def is_of(self, pid: int) -> bool:
        """Whether a process has this clock."""
        return self.environment["LD_PRELOAD"] in Path(f"/proc/{pid}/maps").read_text()

    def move(self, seconds: int) -> None:
        """From the true date."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
