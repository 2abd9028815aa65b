"""One alarm and its life.

Source of the states and their names: ISA-18.2 and IEC 62682, the alarm state transition diagram.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from devices.core.errors import NotAllowedError
from servers.epics.alarm import Severity


class Stand(enum.StrEnum):
    """Where an alarm stands."""

    NORMAL = "NORMAL"
    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RETURNED = "RETURNED"  # to normal, and nobody has acknowledged it
    SHELVED = "SHELVED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"


class Step(enum.StrEnum):
    """What happened to an alarm."""

    RAISED = "raised"
    WORSE = "worse"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    TAKEN_OUT = "taken out of service"
    PUT_BACK = "put back into service"


@dataclass(frozen=True)
class Manner:
    """How an alarm behaves.

    Attributes:
        delay_s: it is raised when it has lasted so long.
        latches: it stays in the list until somebody has acknowledged it.
        guidance: what the operator is to do.
        tell: who is told, names of the ``tell`` section.
    """

    delay_s: float = 0.0
    latches: bool = True
    guidance: str = ""
    tell: tuple[str, ...] = ()


@dataclass
class Memory:
    """What of an alarm survives a restart; times in s since 1970.

    Attributes:
        severity: the present one, once raised.
        worst: of all that nobody has acknowledged; 0 when it is over and acknowledged.
    """

    severity: int = 0
    worst: int = 0
    text: str = ""
    is_acknowledged: bool = True
    raised_s: float = 0.0
    cleared_s: float = 0.0
    acknowledged_by: str = ""
    shelved_until_s: float = 0.0
    set_aside_by: str = ""
    set_aside_why: str = ""
    is_out_of_service: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Alarm:
    """Something that may be wrong: a PV's severity, or a rule.

    Every method that changes something returns what happened, for the journal.

    Args:
        name: of the PV, or of the rule.
    """

    def __init__(self, name: str, manner: Manner | None = None, memory: Memory | None = None) -> None:
        self.name = name
        self.manner = manner or Manner()
        self.memory = memory or Memory()
        self._seen = Severity(self.memory.severity)
        self._seen_text = self.memory.text
        self._pending_since: float | None = None

    @property
    def severity(self) -> Severity:
        """The present one; NO_ALARM as long as the delay runs."""
        return Severity(self.memory.severity)

    @property
    def worst(self) -> Severity:
        return Severity(self.memory.worst)

    @property
    def is_active(self) -> bool:
        return self.memory.severity > 0

    @property
    def stand(self) -> Stand:
        memory = self.memory
        if memory.is_out_of_service:
            return Stand.OUT_OF_SERVICE
        if memory.shelved_until_s:
            return Stand.SHELVED
        if memory.is_acknowledged:
            return Stand.ACKNOWLEDGED if self.is_active else Stand.NORMAL
        return Stand.UNACKNOWLEDGED if self.is_active else Stand.RETURNED

    @property
    def is_listed(self) -> bool:
        """Whether operators are to see it."""
        return self.stand in (Stand.UNACKNOWLEDGED, Stand.ACKNOWLEDGED, Stand.RETURNED)

    def see(self, severity: Severity, text: str, now_s: float) -> list[Step]:
        """Take what is true now, with the words for it."""
        self._seen, self._seen_text = severity, text
        return self.tick(now_s)

    def tick(self, now_s: float) -> list[Step]:
        """Let time pass: delays and shelves end."""
        steps = []
        memory = self.memory
        if memory.shelved_until_s and now_s >= memory.shelved_until_s:
            steps += self._unshelve()
        if not self._seen:
            self._pending_since = None
            steps += self._clear(now_s)
        elif self.is_active:
            steps += self._change(now_s)
        else:
            self._pending_since = now_s if self._pending_since is None else min(self._pending_since, now_s)
            if now_s - self._pending_since >= self.manner.delay_s:
                steps += self._raise(now_s)
        return steps

    def acknowledge(self, by: str) -> list[Step]:
        """Somebody knows of it; one that has gone leaves the list."""
        if self.memory.is_acknowledged:
            return []
        self.memory.is_acknowledged = True
        self.memory.acknowledged_by = by
        self.memory.worst = self.memory.severity
        return [Step.ACKNOWLEDGED]

    def shelve(self, until_s: float, by: str, why: str) -> list[Step]:
        """Set it aside for a time.

        Raises:
            NotAllowedError: it is out of service.
        """
        if self.memory.is_out_of_service:
            raise NotAllowedError(f"{self.name} is out of service, by {self.memory.set_aside_by}")
        self.memory.shelved_until_s = until_s
        self.memory.set_aside_by, self.memory.set_aside_why = by, why
        return [Step.SHELVED]

    def unshelve(self) -> list[Step]:
        """Have it back before its time.

        Raises:
            NotAllowedError: it is not shelved.
        """
        if not self.memory.shelved_until_s:
            raise NotAllowedError(f"{self.name} is not shelved")
        return self._unshelve()

    def take_out(self, by: str, why: str) -> list[Step]:
        """Set it aside until somebody puts it back, e.g. for maintenance."""
        if self.memory.is_out_of_service:
            return []
        self.memory.shelved_until_s = 0.0
        self.memory.is_out_of_service = True
        self.memory.set_aside_by, self.memory.set_aside_why = by, why
        return [Step.TAKEN_OUT]

    def put_back(self) -> list[Step]:
        """Put it back into service.

        Raises:
            NotAllowedError: it is in service.
        """
        if not self.memory.is_out_of_service:
            raise NotAllowedError(f"{self.name} is in service")
        self.memory.is_out_of_service = False
        self._come_back()
        return [Step.PUT_BACK]

    def _raise(self, now_s: float) -> list[Step]:
        memory = self.memory
        memory.severity, memory.worst = self._seen, max(memory.worst, self._seen)
        memory.text = self._seen_text
        memory.raised_s, memory.cleared_s = now_s, 0.0
        memory.is_acknowledged, memory.acknowledged_by = False, ""
        self._pending_since = None
        return [Step.RAISED]

    def _change(self, now_s: float) -> list[Step]:
        memory = self.memory
        is_worse = self._seen > max(memory.worst, memory.severity)
        memory.severity, memory.text = self._seen, self._seen_text
        memory.worst = max(memory.worst, self._seen)
        if not is_worse:
            return []
        memory.is_acknowledged, memory.acknowledged_by = False, ""
        return [Step.WORSE]

    def _clear(self, now_s: float) -> list[Step]:
        memory = self.memory
        if not self.is_active:
            return []
        memory.severity, memory.cleared_s = 0, now_s
        if not self.manner.latches:
            memory.is_acknowledged = True
        if memory.is_acknowledged:
            memory.worst = 0
        return [Step.CLEARED]

    def _unshelve(self) -> list[Step]:
        self.memory.shelved_until_s = 0.0
        self._come_back()
        return [Step.UNSHELVED]

    def _come_back(self) -> None:
        """Nobody has looked at it for a while: one that is active is new, one that is not is over."""
        memory = self.memory
        memory.set_aside_by = memory.set_aside_why = ""
        memory.is_acknowledged = not self.is_active
        memory.acknowledged_by = ""
        memory.worst = memory.severity
