"""PVs that have been INVALID since their device came: they may just not have been measured yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from servers.alarms.formula import Seen
from servers.epics.alarm import Severity

PATIENCE_S: Final = 5.0  # then it is believed


class FirstValues:
    """Which PVs have not had a value since they are connected."""

    def __init__(self) -> None:
        self._believed: set[str] = set()
        self._doubted: dict[str, tuple[float, str]] = {}  # since when, s since 1970, and the text

    def is_doubted(self, pv: str, seen: Seen, text: str, now_s: float) -> bool:
        """Whether what a PV shows is not to be believed yet."""
        if not seen.is_connected:
            self._believed.discard(pv)
        elif seen.severity < Severity.INVALID:
            self._believed.add(pv)
        elif pv not in self._believed:
            since_s, _ = self._doubted.get(pv, (now_s, ""))
            self._doubted[pv] = since_s, text
            return True
        self._doubted.pop(pv, None)
        return False

    def ripe(self, now_s: float) -> Iterator[tuple[str, str]]:
        """PVs that have been doubted long enough, with their texts; once each."""
        for pv, (since_s, text) in list(self._doubted.items()):
            if now_s >= since_s + PATIENCE_S:
                del self._doubted[pv]
                self._believed.add(pv)
                yield pv, text

    def forget(self, pv: str) -> None:
        """It is served no more."""
        self._doubted.pop(pv, None)
        self._believed.discard(pv)
