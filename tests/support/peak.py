"""How much memory this process has needed at most since a moment.

``ru_maxrss`` will not do: it is that of the whole life of the process, and a child begins with that of its parent.

Source: proc(5), ``VmHWM`` in /proc/pid/status and ``clear_refs``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
CLEAR: Final = Path("/proc/self/clear_refs")
RESET_PEAK: Final = "5"


class Peak:
    """The most that was resident since this was made."""

    def __init__(self) -> None:
        CLEAR.write_text(RESET_PEAK)
        self._before = _kibibytes("VmRSS")

    @property
    def bytes(self) -> int:
        """The peak itself."""
        return 1024 * _kibibytes("VmHWM")

    @property
    def grown(self) -> int:
        """How much more than at the beginning, bytes."""
        return 1024 * (_kibibytes("VmHWM") - self._before)


def _kibibytes(name: str) -> int:
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])
