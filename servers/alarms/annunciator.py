"""All alarms of a facility: what is seen goes in, what operators see comes out."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import BadValueError, UnknownNameError
from servers.alarms.alarm import Alarm, Memory, Stand, Step
from servers.alarms.alarm_list import AlarmList, Rule
from servers.alarms.first_values import FirstValues
from servers.alarms.formula import Seen, UnknownInputError
from servers.alarms.journal import Entry, Journal, entry
from servers.alarms.watch import News
from servers.epics.alarm import Severity
from servers.facility.pv_list import ServedPv

LONGEST_SHELF_S: Final = 7 * 86400.0
STATE: Final = "state"  # the part whose PV speaks for its device when that is away
SUMMARY: Final = "alarm_summary"  # a device that has it is in state ALARM when an attribute is beyond a bound
#: What is news, when it leaves an alarm that nobody has acknowledged: one that comes back is new to everybody.
TOLD: Final = (Step.RAISED, Step.WORSE, Step.UNSHELVED, Step.PUT_BACK)
MAX_UNWRITTEN: Final = 10_000  # steps kept while the journal cannot be written

_ORDER: Final = {Stand.UNACKNOWLEDGED: 0, Stand.RETURNED: 1, Stand.ACKNOWLEDGED: 2}


@dataclass(frozen=True)
class Notice:
    """What somebody is told.

    Attributes:
        time_s: s since 1970.
        tell: names of recipients.
    """

    time_s: float
    alarm: str
    device: str
    severity: str
    text: str
    guidance: str
    tell: tuple[str, ...]


class Annunciator:
    """Keeps every alarm; for one thread.

    An alarm of a PV has its name. While a device is away, its State alone is an alarm: the others stay as they were.
    The state ALARM of a device that has an ``alarm_summary`` is none: it sums up attributes, and each is one already.

    Args:
        journal: where the alarms stood, and what happens to them.
        tell: is given each notice.
        own_prefix: PVs of the alarms themselves, which are none.
    """

    def __init__(
        self,
        wanted: AlarmList,
        journal: Journal,
        tell: Callable[[Notice], None],
        own_prefix: str = "ALARM:",
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._tell, self._own_prefix, self._clock_s = journal, tell, own_prefix, clock_s
        self._memories = journal.memories()
        self._alarms: dict[str, Alarm] = {}
        self._devices: dict[str, str] = {}
        self._states: set[str] = set()
        self._sums: set[str] = set()
        self._served: list[ServedPv] = []
        self._inputs: dict[str, Seen] = {}
        self._first_values = FirstValues()
        self._tango_names: dict[str, str] = {}
        self._touched: dict[str, Memory] = {}
        self._entries: deque[Entry] = deque(maxlen=MAX_UNWRITTEN)
        self.problems: dict[str, str] = {}
        self.journal_problem = ""  # empty when all is written
        self.news_count = 0  # alarms raised, or got worse: whoever sounds the horn looks at it
        self.reload(wanted)

    def reload(self, wanted: AlarmList) -> None:
        """Take another alarm list; alarms that it still has stay as they are."""
        self.wanted = wanted
        self._rules = {rule.name: rule for rule in wanted.rules}
        for rule in wanted.rules:
            self._ensure(rule.name, "").manner = rule.manner
        self.problems = {name: text for name, text in self.problems.items() if name in self._rules}
        self.follow(self._served)

    def follow(self, served: Iterable[ServedPv]) -> tuple[list[str], list[str]]:
        """Take what is served now; returns which PVs must be watched, scalars and arrays."""
        self._served = list(served)
        by_part: dict[tuple[str, str], ServedPv] = {}
        for pv in self._served:
            if _is_source(pv) and not pv.name.startswith(self._own_prefix):
                found = by_part.get((pv.device, pv.part))
                if found is None or pv.name == f"{found.name}_RBV":
                    by_part[pv.device, pv.part] = pv
        self._tango_names = {f"{device}/{part}".lower(): pv.name for (device, part), pv in by_part.items()}
        sources = []
        for (device, part), pv in by_part.items():
            entry_of = self.wanted.entry(pv.name, device, part)
            if not entry_of.is_off:
                self._ensure(pv.name, device).manner = entry_of.manner
                sources.append(pv)
        self._states = {pv.name for pv in sources if pv.part.lower() == STATE}
        self._sums = {pv.name for pv in sources if pv.part.lower() == STATE and (pv.device, SUMMARY) in by_part}
        kept = {pv.name for pv in sources} | set(self._rules)
        for name in [name for name in self._alarms if name not in kept]:
            self._forget(name)
        needed = {self._pv(name) for rule in self._rules.values() for name in rule.names}
        arrays = {pv.name for pv in self._served if pv.rank} & (needed | {pv.name for pv in sources})
        scalars = (needed | {pv.name for pv in sources}) - arrays
        self._judge_all()
        return sorted(scalars), sorted(arrays)

    def see(self, news: Iterable[News]) -> None:
        """Take what PVs show, and judge what depends on it."""
        now_s, changed = self._clock_s(), set()
        for pv, seen, text in news:
            self._inputs[pv] = seen
            changed.add(pv)
            alarm = self._alarms.get(pv)
            if alarm is None or self._first_values.is_doubted(pv, seen, text, now_s):
                continue
            if seen.is_connected:
                is_sum = pv in self._sums and seen.label == "ALARM"
                self._note(alarm, alarm.see(Severity(0 if is_sum else seen.severity), text, now_s))
            elif pv in self._states:
                self._note(alarm, alarm.see(Severity.INVALID, f"{self._devices[pv]} does not answer", now_s))
        for rule in self._rules.values():
            if not changed.isdisjoint(self._pv(name) for name in rule.names):
                self._judge(rule, now_s)
        self._keep()

    def tick(self) -> None:
        """Let time pass: delays and shelves end. To be called once a second or more often."""
        now_s = self._clock_s()
        for pv, text in self._first_values.ripe(now_s):
            self._note(self._alarms[pv], self._alarms[pv].see(Severity.INVALID, text, now_s))
        for alarm in self._alarms.values():
            self._note(alarm, alarm.tick(now_s))
        self._keep()

    def acknowledge(self, name: str, who: str) -> None:
        """Somebody knows of an alarm; ``*`` for all."""
        chosen = [alarm for alarm in self._alarms.values() if alarm.is_listed] if name == "*" else [self.alarm(name)]
        for alarm in chosen:
            self._note(alarm, alarm.acknowledge(who), who)
        self._keep()

    def shelve(self, name: str, minutes: float, who: str, why: str) -> None:
        """Set an alarm aside for some minutes.

        Raises:
            UnknownNameError, BadValueError, NotAllowedError
        """
        seconds = 60.0 * minutes
        if not 0.0 < seconds <= LONGEST_SHELF_S:
            raise BadValueError(f"minutes = {minutes:g}: an alarm is shelved for 0 to {LONGEST_SHELF_S / 60:g} minutes")
        if not who.strip():
            raise BadValueError("who: an alarm is shelved by somebody with a name")
        alarm = self.alarm(name)
        self._note(alarm, alarm.shelve(self._clock_s() + seconds, who, why), who, why)
        self._keep()

    def unshelve(self, name: str, who: str) -> None:
        """Have a shelved alarm back before its time; raises UnknownNameError, NotAllowedError."""
        alarm = self.alarm(name)
        self._note(alarm, alarm.unshelve(), who)
        self._keep()

    def take_out(self, name: str, who: str, why: str) -> None:
        """Take an alarm out of service until somebody puts it back."""
        if not who.strip() or not why.strip():
            raise BadValueError("who, why: an alarm is taken out of service by somebody, for a reason")
        alarm = self.alarm(name)
        self._note(alarm, alarm.take_out(who, why), who, why)
        self._keep()

    def put_back(self, name: str, who: str) -> None:
        """Put an alarm back into service; raises UnknownNameError, NotAllowedError."""
        alarm = self.alarm(name)
        self._note(alarm, alarm.put_back(), who)
        self._keep()

    def alarm(self, name: str) -> Alarm:
        """One alarm.

        Raises:
            UnknownNameError: there is none of this name.
        """
        found = self._alarms.get(name)
        if found is None:
            raise UnknownNameError(f"there is no alarm {name}")
        return found

    @property
    def listed(self) -> list[Alarm]:
        """What operators see, what needs them most first: not acknowledged, then worst, then newest."""
        return sorted(
            (alarm for alarm in self._alarms.values() if alarm.is_listed),
            key=lambda alarm: (
                _ORDER[alarm.stand],
                -max(alarm.severity, alarm.worst),
                -alarm.memory.raised_s,
                alarm.name,
            ),
        )

    @property
    def stands(self) -> Counter[Stand]:
        """How many alarms stand where."""
        return Counter(alarm.stand for alarm in self._alarms.values())

    @property
    def severities(self) -> Counter[Severity]:
        """How many active alarms of each severity are listed."""
        return Counter(alarm.severity for alarm in self._alarms.values() if alarm.is_listed and alarm.is_active)

    def as_dict(self, alarm: Alarm) -> dict[str, Any]:
        """Everything of an alarm, for a table; times in s since 1970."""
        memory = alarm.memory.as_dict()
        return {
            "name": alarm.name,
            "device": self._devices.get(alarm.name, ""),
            "stand": alarm.stand.value,
            **memory,
            "severity": alarm.severity.name,
            "worst": alarm.worst.name,
            "guidance": alarm.manner.guidance,
        }

    def everything(self) -> list[dict[str, Any]]:
        """The listed alarms in their order, then those set aside."""
        aside = [alarm for alarm in self._alarms.values() if alarm.stand in (Stand.SHELVED, Stand.OUT_OF_SERVICE)]
        return [self.as_dict(alarm) for alarm in (*self.listed, *sorted(aside, key=lambda each: each.name))]

    def _judge_all(self) -> None:
        """Judge the rules that may have changed themselves, as far as anything has been seen."""
        now_s = self._clock_s()
        for rule in self._rules.values():
            if any(self._pv(name) in self._inputs for name in rule.names):
                self._judge(rule, now_s)
        self._keep()

    def _judge(self, rule: Rule, now_s: float) -> None:
        inputs = {name: self._inputs[pv] for name in rule.names if (pv := self._pv(name)) in self._inputs}
        try:
            is_true = rule.when.is_true(inputs)
        except UnknownInputError as error:
            self.problems[rule.name] = str(error)  # it stays as it is: the device that is away has its own alarm
            return
        self.problems.pop(rule.name, None)
        alarm = self._alarms[rule.name]
        severity = rule.severity if is_true else Severity.NO_ALARM
        self._note(alarm, alarm.see(severity, rule.text(inputs) if is_true else alarm.memory.text, now_s))

    def _pv(self, name: str) -> str:
        """The PV of a name in a formula, which may be that of a Tango attribute."""
        return self._tango_names.get(name.lower(), name) if "/" in name else name

    def _ensure(self, name: str, device: str) -> Alarm:
        if name not in self._alarms:
            self._alarms[name] = Alarm(name, memory=self._memories.pop(name, None))
        self._devices[name] = device
        return self._alarms[name]

    def _forget(self, name: str) -> None:
        """It is served no more; should it come back, it is where it was."""
        self._memories[name] = self._alarms.pop(name).memory
        self._devices.pop(name, None)
        self._inputs.pop(name, None)
        self._first_values.forget(name)

    def _note(self, alarm: Alarm, steps: list[Step], who: str = "", why: str = "") -> None:
        now_s = self._clock_s()
        for step in steps:
            self._touched[alarm.name] = alarm.memory
            self._entries.append(entry(now_s, alarm.name, step, alarm.memory, who, why))
            if step in TOLD and alarm.stand is Stand.UNACKNOWLEDGED:
                self.news_count += 1
                if alarm.manner.tell:
                    self._tell(self._notice(alarm, now_s))

    def _notice(self, alarm: Alarm, now_s: float) -> Notice:
        device, memory = self._devices.get(alarm.name, ""), alarm.memory
        manner = alarm.manner
        return Notice(now_s, alarm.name, device, alarm.severity.name, memory.text, manner.guidance, manner.tell)

    def _keep(self) -> None:
        """Write what has changed; while that fails the alarms go on, and it is tried again at the next tick."""
        if not self._entries:
            return
        try:
            self._journal.write(self._touched, self._entries)
        except sqlite3.Error as error:
            self.journal_problem = f"the journal cannot be written: {error}"
            return
        self._touched = {}
        self._entries.clear()
        self.journal_problem = ""


def _is_source(pv: ServedPv) -> bool:
    """Whether the PV is the value of an attribute, and no image."""
    endings = (":Error", ":Text", ":Label")
    return pv.rank < 2 and not pv.part.endswith("()") and not pv.name.endswith(endings) and pv.part.lower() != "status"
