"""How long the stages of a search took."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Clock:
    """Begins when it is made; a stage that comes again adds to itself."""

    def __init__(self) -> None:
        self._began = self._before = time.perf_counter()
        self._stages: dict[str, float] = {}

    def ended(self, stage: str, within: Mapping[str, float] | None = None) -> None:
        """A stage has ended; ``within`` is what is known of its parts, which then stand in its place."""
        now = time.perf_counter()
        for name, seconds in (within or {stage: now - self._before}).items():
            self._stages[name] = self._stages.get(name, 0.0) + seconds
        self._before = now

    def seconds(self) -> dict[str, float]:
        """Stage -> s, and "total": all of it until now."""
        return {**self._stages, "total": time.perf_counter() - self._began}
