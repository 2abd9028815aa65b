"""How often somebody may try: failures run full and drain away."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MAX_KEYS: Final = 10_000  # the one that is untouched longest is forgotten first


class Brake:
    """Counts tries by key.

    Args:
        limit: tries that may follow each other at once.
        period: s in which so many drain away.
    """

    def __init__(self, limit: int, period: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._period, self._clock = limit, period, clock
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """How long until the next try, s; 0 for at once."""
        over = self._level(key) - (self._limit - 1)
        return max(0.0, over * self._period / self._limit)

    def count(self, key: Hashable, tries: int = 1) -> None:
        """Count a try, or with ``tries=-1`` take one back that succeeded."""
        level = max(0.0, self._level(key) + tries)
        self._levels.pop(key, None)
        if level:
            self._levels[key] = (level, self._clock())
        if len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self._levels.pop(key, None)

    def __len__(self) -> int:
        return len(self._levels)

    def _level(self, key: Hashable) -> float:
        level, since = self._levels.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock() - since) * self._limit / self._period)
