"""The shutter of a simulated camera, and what an exposure left on its detector."""

from __future__ import annotations

import time


class Light:
    """How long the shutter was open: the integration signal opens it, or whoever forces the trigger output."""

    def __init__(self) -> None:
        self.integrating = False
        self.forced: bool | None = None
        self._seconds = 0.0
        self._since: float | None = None

    @property
    def open(self) -> bool:
        return self.integrating if self.forced is None else self.forced

    @property
    def seconds(self) -> float:
        """Since `clear`."""
        return self._seconds + (0.0 if self._since is None else time.monotonic() - self._since)

    def clear(self) -> None:
        self._seconds = 0.0
        self._since = time.monotonic() if self.open else None

    def integrate(self, on: bool, late_s: float = 0.0) -> None:
        """A shutter that ought to have been shut before is counted as if it had been."""
        self.integrating = on
        self._moved(late_s)

    def force(self, is_open: bool | None) -> None:
        self.forced = is_open
        self._moved()

    def _moved(self, late_s: float = 0.0) -> None:
        if self.open and self._since is None:
            self._since = time.monotonic()
        elif not self.open and self._since is not None:
            self._seconds = max(0.0, self.seconds - late_s)
            self._since = None


class Exposure:
    """What one exposure left on the detector: seconds of light and of dark current, rows shifted."""

    def __init__(self) -> None:
        self.open_s = 0.0
        self.dark_s = 0.0
        self.shifted_rows = 0
